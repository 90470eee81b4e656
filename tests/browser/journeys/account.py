"""What a person sees of their own sessions, and of the limits of their tenant."""

import json

from playwright.sync_api import BrowserContext, expect

from tests.browser.driving import at, given, journey, sign_in, watched


@journey
def signs_other_browsers_out(context: BrowserContext) -> None:
    """The sessions of one key are listed; one of them, then all others, are signed out by keyboard."""
    browser = context.browser
    assert browser is not None
    others = [browser.new_context() for _ in range(3)]
    with watched(context) as page:
        sign_in(page)
        elsewhere = [other.new_page() for other in others]
        for each in elsewhere:
            sign_in(each)
        at(page, "settings")
        rows = page.get_by_role("region", name="Sessions").locator("tbody tr")
        expect(rows).to_have_count(4)
        expect(rows.filter(has_text="this browser")).to_have_count(1)
        rows.get_by_role("button", name="Sign out").first.press("Enter")
        expect(rows).to_have_count(3)
        page.get_by_role("button", name="Sign out all 2 others").press("Enter")
        expect(rows).to_have_count(1)
        expect(rows).to_contain_text("this browser")
        for each in elsewhere:
            expect(each.get_by_label("API key or token")).to_be_visible()
        page.reload()
        expect(rows).to_have_count(1)


@journey
def reads_the_limits(context: BrowserContext) -> None:
    """Each limit with what is used of it, in the words and numbers that the server has."""
    expected = json.loads(given.arguments[0])
    with watched(context) as page:
        sign_in(page)
        at(page, "settings?part=limits")
        rows = page.get_by_role("region", name="Use", exact=True).locator("tbody tr")
        for name, cells in expected["use"].items():
            row = rows.filter(has=page.get_by_role("rowheader", name=name, exact=True)).filter(has_text=cells[0])
            expect(row.locator("td:not(.part)")).to_have_text(cells)
        rates = page.get_by_role("region", name="Rates of leases").locator("tbody tr")
        expect(rates).to_have_count(len(expected["rates"]))
        for row, cells in zip(rates.all(), expected["rates"], strict=True):
            expect(row.locator("th, td")).to_have_text(cells)


@journey
def may_not_see_the_limits(context: BrowserContext) -> None:
    with watched(context) as page:
        sign_in(page)
        at(page, "settings?part=limits")
        expect(page.get_by_role("alert")).to_contain_text("You may not see the limits.")
