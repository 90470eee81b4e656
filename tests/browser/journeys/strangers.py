"""What happens to who is signed out while typing, and to who has colours of their own."""

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.driving import at, evaluated, given, journey, settled, sign_in, watched

OUTLINED = "getComputedStyle(document.querySelector('{}')).outlineStyle !== 'none'"
BORDER = "getComputedStyle(document.querySelector('{}')).borderInlineStartColor"
LINES = "(h => h.clientHeight / parseFloat(getComputedStyle(h).lineHeight))(document.querySelector('main h1'))"


@journey
def goes_on_after_being_signed_out_while_typing(context: BrowserContext) -> None:
    """Another tab signs out; what was typed is there after signing in again, and counts."""
    (approval,) = given.arguments
    with watched(context) as page:
        sign_in(page)
        other = context.new_page()
        other.goto(given.ui)
        expect(other.locator(".dot")).to_have_text("live")
        at(page, f"inbox?approval={approval}")
        expect(page.get_by_role("button", name="Reject…")).to_be_enabled()
        page.keyboard.press("x")
        field = page.get_by_label("Why not?")
        expect(field).to_be_focused()
        page.keyboard.type("the ledger is not ready")
        other.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("status")).to_contain_text("You are signed out.")
        expect(page.get_by_label("API key or token")).to_be_focused()
        page.keyboard.type(given.key)
        page.keyboard.press("Enter")
        expect(field).to_have_value("the ledger is not ready")
        page.get_by_role("button", name="Reject", exact=True).click()
        expect(page.locator(f"a.entry[href*={approval}]")).to_have_count(0)


@journey
def shows_what_is_chosen_in_forced_colours(context: BrowserContext) -> None:
    with watched(context) as page:
        page.emulate_media(forced_colors="active")
        sign_in(page)
        at(page, "tasks")
        expect(page.locator(".task-row a").first).to_be_visible()
        page.keyboard.press("j")
        expect(page.locator(".task-row.chosen")).to_be_visible()
        page.get_by_role("button", name="failed").click()
        settled(page)
        page.keyboard.press("j")
        for chosen in (".task-row.chosen", ".rail [aria-current]", ".chip[aria-pressed=true]"):
            assert _is(page, OUTLINED, chosen), chosen
        assert not _is(page, OUTLINED, ".rail a[href*=bots]")
        assert _is(page, BORDER, ".rail a[href*=bots]") != _is(page, BORDER, ".rail [aria-current]")


def _is(page: Page, expression: str, selector: str) -> object:
    return evaluated(page, expression.replace("{}", selector))


@journey
def keeps_a_long_title_short(context: BrowserContext) -> None:
    with watched(context) as page:
        sign_in(page)
        at(page, f"tasks/{given.arguments[0]}")
        expect(page.get_by_role("heading", level=1)).to_have_attribute("title", "W" * 500)
        assert 3 < evaluated(page, LINES) < 4.5, evaluated(page, LINES)


@journey
def only_looks_at_what_waits(context: BrowserContext) -> None:
    """Who may not decide is not asked to."""
    with watched(context) as page:
        sign_in(page)
        at(page, f"tasks/{given.arguments[0]}")
        expect(page.get_by_role("link", name="See what is asked")).to_be_visible()
        expect(page.get_by_role("link", name="Decide…")).to_have_count(0)
