"""What it takes to open a page: files, requests, and the processor's time until something is painted."""

import json
from typing import Any

from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from tests.browser.driving import evaluated, given, journey, settled, sign_in, watched

PAINT = "performance.getEntriesByName('first-contentful-paint').map(each => each.startTime)[0] ?? 0"
ASKED = "performance.getEntriesByType('resource').map(each => [each.name, each.responseEnd])"
TRACED = ["toplevel", "loading", "blink.user_timing", "disabled-by-default-devtools.timeline", "__metadata"]
TRIES = 5


def painted(page: Page) -> float:
    """Wait for the first paint, and return after how many milliseconds it was, by the clock."""
    for _ in range(100):
        if found := evaluated(page, PAINT):
            return float(found)
        page.wait_for_timeout(20)
    raise AssertionError("nothing is painted")


@journey
def loads_what_each_page_needs(context: BrowserContext) -> None:
    """Each page is opened as by a link, and then does what takes a file of its own."""
    with watched(context) as page:
        sign_in(page)
        loaded: dict[str, list[str]] = {}
        for place in given.arguments:
            asked: list[str] = []

            def hear(call: Request, asked: list[str] = asked) -> None:
                asked.append(call.url)

            # The page hears nothing of it, and so does not show the place before it is opened there.
            evaluated(page, f"history.replaceState(null, '', {json.dumps(f'#/{place}')})")
            page.on("request", hear)
            page.reload()
            expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
            settled(page)
            page.remove_listener("request", hear)
            loaded[place] = [url.partition("/ui/")[2].partition("?")[0] for url in asked if "/ui/" in url]
        print(json.dumps(loaded))


@journey
def paints_soon(context: BrowserContext) -> None:
    """The best of some tries, on a server that is warm."""
    with watched(context) as page:
        sign_in(page)
        settled(page)
        print(json.dumps([_opened(page) for _ in range(TRIES)]))


def _opened(page: Page) -> dict[str, Any]:
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=TRACED)
    page.reload()
    by_clock = painted(page)
    before = [name for name, end in evaluated(page, ASKED) if end <= by_clock]
    settled(page)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    own = {(each["pid"], each["tid"]) for each in events if each.get("args", {}).get("name") == "CrRendererMain"}
    (paint,) = {each["ts"] for each in events if each["name"] == "firstContentfulPaint"}
    tasks = [each for each in events if (each["pid"], each["tid"]) in own and "RunTask" in each["name"]]
    computed = sum(each.get("tdur", 0) for each in tasks if each["ts"] <= paint) / 1_000
    return {"by_clock": by_clock, "computed": computed, "tasks": len(tasks), "before": before}


@journey
def paints_without_an_answer(context: BrowserContext) -> None:
    """The API answers nothing until something is painted."""
    page = context.new_page()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/session", hold)
    page.goto(given.ui)
    painted(page)
    expect(page.get_by_role("status")).to_have_text("Reading who you are.")
    assert held, "it did not ask"
    held[0].continue_()
    expect(page.get_by_label("API key or token")).to_be_visible()
