"""Every page in every state: barriers that axe-core finds, and pictures."""

from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page

from tests.browser.driving import NARROW, THEMES, WIDE, at, given, journey, settled, sign_in


@journey
def has_no_barrier(context: BrowserContext) -> None:
    """axe-core finds nothing on any page, in either theme. It runs with the policy off, because it is injected."""
    found: list[str] = []
    script = Path(given.axe).read_text(encoding="utf-8")
    page = context.new_page()

    def look(where: str) -> None:
        found.extend(barriers(page, script, where))

    page.goto(given.ui)
    look("sign-in")
    sign_in(page)
    for place in given.arguments:
        at(page, place)
        settled(page)
        look(place)
    page.keyboard.press("?")
    look("help")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("invoice")
    page.get_by_role("option", name="File invoice").first.wait_for()
    look("palette")
    assert found == [], "\n".join(found)


def barriers(page: Page, script: str, where: str) -> list[str]:
    """Return what axe-core finds on what is shown, in either theme."""
    found: list[str] = []
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        found += axe_finds(page, script, f"{where}, {theme}", theme)
    return found


def axe_finds(page: Page, script: str, where: str, theme: str) -> list[str]:
    """Return what axe-core finds in one theme. The themes differ in colours alone: the others are asked about these."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(script)
    rules = "" if theme == THEMES[0] else ", runOnly: {type: 'rule', values: ['color-contrast', 'link-in-text-block']}"
    result: Any = page.evaluate(f"axe.run(document, {{resultTypes: ['violations']{rules}}})")
    return [
        f"{where}: {each['id']}: {each['help']}: {[node['html'][:160] for node in each['nodes'][:3]]}"
        for each in result["violations"]
    ]


@journey
def makes_pictures(context: BrowserContext) -> None:
    folder = Path(given.arguments[0])
    places = [each.partition("=") for each in given.arguments[1:]]
    for size, name in ((WIDE, "1440"), (NARROW, "390")):
        for theme in THEMES:
            page = context.new_page()
            page.set_viewport_size(size)
            page.emulate_media(color_scheme=theme)
            page.goto(given.ui)
            page.wait_for_timeout(300)
            if page.get_by_label("API key or token").count():
                page.screenshot(path=folder / f"sign-in-{name}-{theme}.png")
                sign_in(page)
            for title, _, place in places:
                at(page, place)
                settled(page)
                page.wait_for_timeout(300)
                page.screenshot(path=folder / f"{title}-{name}-{theme}.png")
            page.close()
