"""Each role sees and may exactly its row of the table of roles."""

import json

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.driving import at, given, journey, settled, sign_in, watched


def _acts(page: Page, place: str, may: set[str], roles: dict[str, str]) -> set[str]:
    """Check that just those buttons are off that the role may not use; return the actions that were seen."""
    seen = set()
    for button in page.locator("main button[data-action]").all():
        action = button.get_attribute("data-action") or ""
        why = button.get_attribute("title")
        seen.add(action)
        if action in may:
            assert why is None, (place, action, why)
            # What has nothing to act on yet is off for all.
            assert button.is_enabled() or button.inner_text() == "Redact", (place, action)
        else:
            assert why == f"Your role may not {action}; these may: {roles[action]}.", (place, action, why)
            assert button.is_disabled(), (place, action)
    return seen


@journey
def sees_exactly_its_row(context: BrowserContext) -> None:
    """Pages that the role may not read say who may; buttons that it may not use are there, off, and say who may."""
    forbidden: dict[str, bool] = json.loads(given.arguments[0])
    may = set(json.loads(given.arguments[1]))
    roles: dict[str, str] = json.loads(given.arguments[2])
    seen: set[str] = set()
    with watched(context) as page:
        sign_in(page)
        for place, is_forbidden in forbidden.items():
            at(page, place)
            expect(page.locator("main h1").first).to_be_attached()
            settled(page)
            refusals = page.locator("main .trouble.forbidden")
            expect(refusals, place).to_have_count(int(is_forbidden))
            if is_forbidden:
                expect(refusals, place).to_contain_text("these may: ")
            assert page.locator("main .trouble:not(.forbidden)").count() == 0, place
            seen |= _acts(page, place, may, roles)
    print(json.dumps(sorted(seen)))
