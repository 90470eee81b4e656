"""Every state that the server can name, and every state of the parts that all pages share, in both themes."""

import json
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.driving import THEMES, TOO_WIDE, WIDE, at, given, journey, sign_in
from tests.browser.journeys.views import axe_finds

GALLERY = Path(__file__).parents[1] / "gallery.js"


@journey
def shows_every_state(context: BrowserContext) -> None:
    """axe-core is injected, so the policy is off, as in `has_no_barrier`."""
    text = GALLERY.read_text(encoding="utf-8").replace("const WORDS = {}", f"const WORDS = {given.arguments[0]}")

    def serve(route: Route) -> None:
        route.fulfill(body=text, content_type="text/javascript")

    found: list[str] = []
    script = Path(given.axe).read_text(encoding="utf-8")
    for theme in THEMES:
        page = context.new_page()
        page.route("**/ui/task.js", serve)
        page.emulate_media(color_scheme=theme)
        if theme == THEMES[0]:
            sign_in(page)
        at(page, "tasks/gallery")
        expect(page.get_by_role("heading", level=1, name="Gallery")).to_be_visible()
        _states(page)
        found += axe_finds(page, script, "all states", theme)
        page.get_by_role("button", name="Lose the connection").click()
        expect(page.locator(".disconnected")).to_contain_text("Next try in 3600 s")
        for button in page.locator("section[aria-label=Actions] button").all():
            expect(button).to_be_disabled()
        found += axe_finds(page, script, "no connection", theme)
        page.set_viewport_size({"width": 320, "height": 640})
        assert page.evaluate(TOO_WIDE) <= 0
        page.set_viewport_size(WIDE)
        if len(given.arguments) > 1:
            page.set_viewport_size({"width": 1000, "height": 2200})
            page.screenshot(path=f"{given.arguments[1]}/gallery-{theme}.png")
        page.close()
    assert found == [], found


def _states(page: Page) -> None:
    words = json.loads(given.arguments[0])
    buttons = words.pop("buttons")
    assert {
        each.get_attribute("data-action"): each.inner_text() for each in page.locator("li[data-action]").all()
    } == buttons
    shown = page.locator("li[data-word]")
    expect(shown).to_have_count(sum(map(len, words.values())) + 3)
    for each in shown.all():
        word, tone = each.get_attribute("data-word") or "", each.get_attribute("data-tone")
        assert each.locator(".state svg").count() == 1, f"{word}: never by colour alone"
        if word.lower() == UNKNOWN:
            assert tone == "plain", "a word of a newer server is neutral"
            expect(each.locator(".state")).to_have_text("pondering deeply")
        else:
            assert (tone == "plain") == (word.lower() in NEUTRAL), f"{word} is shown as if it were not known"
    off = page.locator("section[aria-label=Actions] button", has_text="Not mine")
    expect(off).to_be_disabled()
    expect(off).to_have_attribute("title", "Your role may not no.such; these may: admin.")
    expect(page.locator("section[aria-label=Forbidden]")).to_contain_text("one of the roles auditor, admin")
    expect(page.locator("section[aria-label='Error with what was read last']")).to_contain_text("was read 29 Nov")


UNKNOWN = "pondering_deeply"
NEUTRAL = {"cancelled", "skipped", "released", "unseen"}  # nobody has to look at them
