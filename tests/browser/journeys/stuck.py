"""Why a swarm does not go on, found from the inbox by keyboard alone."""

import json

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.driving import at, evaluated, given, journey, leave, settled, watched


@journey
def finds_each_cause_in_two_acts(context: BrowserContext) -> None:
    """Each swarm is a tenant of its own.

    The first act chooses a row of the inbox, which says the cause and what helps; a second one decides, or opens the
    task.
    """
    with watched(context) as page:
        for case in json.loads(given.arguments[0]):
            page.goto(given.ui)
            page.get_by_label("API key or token").fill(case["key"])
            page.keyboard.press("Enter")
            expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
            at(page, "inbox")
            settled(page)
            row = page.locator(f"section[aria-labelledby={case['section']}] a.entry").first
            expect(row, case["name"]).to_contain_text(case["row"])
            page.keyboard.press("j")
            expect(row, case["name"]).to_have_attribute("aria-current", "true")
            shown = page.locator(".decision article")
            for words in case["shows"]:
                expect(shown, case["name"]).to_contain_text(words)
            if "press" in case:
                _second(page, case)
            evaluated(page, "fetch('../session', {method: 'DELETE', headers: {'content-type': 'application/json'}})")
            leave(page)


def _second(page: Page, case: dict[str, str]) -> None:
    page.keyboard.press(case["press"])
    then = page.locator("#main").get_by_text(case["then"]).first
    expect(then, case["name"]).to_be_visible()
