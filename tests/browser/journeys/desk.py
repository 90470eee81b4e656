"""Costs, settings, evaluations and the simulator's page."""

import json

from playwright.sync_api import BrowserContext, expect

from tests.browser.driving import ARGUMENTS, at, journey, settled, sign_in, watched


@journey
def reads_what_it_cost(context: BrowserContext) -> None:
    """The figures are those of the API, in the order asked for; the address holds what is asked."""
    rows_by: dict[str, list[list[str]]] = json.loads(ARGUMENTS[0])
    with watched(context) as page:
        sign_in(page)
        page.keyboard.press("g")
        page.keyboard.press("c")
        expect(page.locator(".days rect").first).to_be_attached()
        for by, expected in rows_by.items():
            page.get_by_role("button", name=by, exact=True).click()
            expect(page.get_by_role("button", name=by, exact=True)).to_have_attribute("aria-pressed", "true")
            expect(page.locator("tbody tr")).to_have_count(min(25, len(expected)))
            more = page.get_by_role("button", name=f"and {len(expected) - 25} more")
            if len(expected) > 25:
                more.click()
            rows = [row.locator("th, td.num").all_inner_texts() for row in page.locator("tbody tr").all()]
            assert rows == expected, (by, rows, expected)
        page.get_by_role("button", name="tokens", exact=True).click()
        assert "unit=tokens" in page.url
        assert "by=label" in page.url, page.url
        page.get_by_label("from").fill("2026-01-01")
        page.get_by_label("to", exact=True).fill("2026-01-31")
        expect(page.get_by_text("No attempt from 2026-01-01 to 2026-01-31 says what it used.")).to_be_visible()
        assert "from=2026-01-01" in page.url
        page.reload()
        expect(page.get_by_text("No attempt from 2026-01-01 to 2026-01-31")).to_be_visible()
        page.go_back()
        page.get_by_role("button", name="7 days").click()
        expect(page.locator("tbody tr").first).to_be_visible()
        settled(page)


@journey
def reads_amounts_that_no_float_has(context: BrowserContext) -> None:
    """What the server says is shown to its last digit that is shown at all, and never rounded up."""
    amounts = {"cost_micro_usd": 1_999_999_999_999, "tokens": 9_007_199_254_740_991, "unpriced_tokens": 7, "attempts": 1}
    report = {"by": "day", "first_day": "2026-11-28", "last_day": "2026-11-29", "total": amounts, "more": False}
    with watched(context) as page:
        page.route("**/costs?*", lambda route: route.fulfill(json={**report, "items": [{"name": "2026-11-29", **amounts}]}))
        sign_in(page)
        at(page, "costs")
        expect(page.locator("tbody td.num")).to_have_text(["$1,999,999.99", "9,007,199,254,740,991", "1"])
        expect(page.locator(".sums")).to_contain_text("tokens without a price")
