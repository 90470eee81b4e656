"""The audit log: a record is found and proved; what was forged on the way is not."""

import json
import re
from collections.abc import Callable

from playwright.sync_api import APIResponse, BrowserContext, Page, Route, expect

from tests.browser.driving import at, given, journey, let_happen, settled, sign_in, watched

# What a browser lacks where the server has no TLS.
NO_SUBTLE = "Object.defineProperty(Crypto.prototype, 'subtle', {get: () => undefined})"


def _prove(page: Page) -> None:
    expect(page.locator("#record")).to_be_visible()
    page.keyboard.press("p")
    expect(page.locator(".verdict")).to_be_visible()


def _answer(route: Route) -> APIResponse:
    """Return what the server says. It takes the cookie from its own pages, and a call of playwright is of none."""
    return route.fetch(headers={**route.request.headers, "sec-fetch-site": "same-origin"})


@journey
def proves_a_record(context: BrowserContext) -> None:
    """By keyboard alone: to the log, to the records of an action, to the second of them, and to its proof."""
    action, second = given.arguments
    with watched(context) as page:
        sign_in(page)
        page.keyboard.press("g")
        page.keyboard.press("a")
        expect(page.locator("a.record").first).to_be_visible()
        page.keyboard.press("/")
        page.keyboard.type(action)
        page.keyboard.press("Enter")
        expect(page.locator("a.record").first).to_contain_text(action)
        assert set(page.locator("a.record b").all_inner_texts()) == {action}
        page.keyboard.press("j")
        page.keyboard.press("j")
        expect(page.locator("a.record[aria-current] .num")).to_have_text(second)
        assert page.url.endswith(f"#/audit?action={action}&record={second}"), page.url
        _prove(page)
        expect(page.locator(".verdict")).to_have_text(f"Proved: record {second} is in the signed log.")
        expect(page.locator(".steps > li")).to_have_count(8)
        expect(page.locator(".hops li").first).to_be_visible()
        expect(page.get_by_role("status").filter(has_text="Proved")).to_have_count(1)
        page.keyboard.press("Escape")
        expect(page.locator("#record")).to_have_count(0)


@journey
def sees_that_an_answer_was_forged(context: BrowserContext) -> None:
    """Somebody between server and browser changes one answer: the page says at which step that shows."""
    (index,) = given.arguments

    def text_of(change: Callable[[str], str]) -> Callable[[Route], None]:
        return lambda route: route.fulfill(body=change(_answer(route).text()), content_type="text/plain")

    def actor(route: Route) -> None:
        page = _answer(route).json()
        for record in page["items"]:
            record["actor"]["id"] = "key_innocent"
        route.fulfill(json=page)

    def payload(route: Route) -> None:
        page = _answer(route).json()
        for record in page["items"]:
            record["payload"]["title"] = "something harmless"
        route.fulfill(json=page)

    def body(route: Route) -> None:
        said = _answer(route).json()
        route.fulfill(json={**said, "salt": "0" * len(said["salt"])})

    def first_hash(text: str) -> str:
        return re.sub(r"(\nindex \d+\n)(.)", lambda found: found[1] + ("B" if found[2] == "A" else "A"), text)

    def signature(text: str) -> str:
        return text[:-10] + ("B" if text[-10] == "A" else "A") + text[-9:]

    forgeries: dict[str, tuple[str, Callable[[Route], None]]] = {
        "Record": ("**/audit?*", actor),
        "Path": ("**/audit/*/proof", text_of(first_hash)),
        "Checkpoint": ("**/audit/checkpoint", text_of(lambda text: re.sub(r"\n\d+\n", "\n1\n", text, count=1))),
        "Signature": ("**/audit/*/proof", text_of(signature)),
        "Proof": ("**/audit/*/proof", text_of(lambda text: text.replace(f"index {index}", "index 0"))),
    }
    tried = [*forgeries.items(), ("Body", ("**/audit?*", payload)), ("Body", ("**/audit/*/body", body))]
    with watched(context) as page:
        sign_in(page)
        for name, (where, forge) in tried:
            page.route(where, forge)
            at(page, "settings")
            at(page, f"audit?record={index}")
            _prove(page)
            expect(page.locator(".verdict")).to_have_text(f"NOT proved: the step “{name}” fails.")
            assert page.locator(".steps > li b").all_inner_texts()[-1] == name
            page.unroute(where)
        at(page, "inbox")
        at(page, f"audit?record={index}")
        _prove(page)
        expect(page.locator(".verdict")).to_contain_text("Proved:")


@journey
def says_what_is_not_checked_without_tls(context: BrowserContext) -> None:
    context.add_init_script(NO_SUBTLE)
    with watched(context) as page:
        sign_in(page)
        at(page, f"audit?record={given.arguments[0]}")
        _prove(page)
        expect(page.locator(".verdict")).to_contain_text("The signature is not checked here: swarmkeeper audit verify")
        expect(page.locator(".proof .command code").last).to_contain_text("swarmkeeper audit verify http")


@journey
def reads_an_erased_record(context: BrowserContext) -> None:
    """The body is gone; the page says which record says so, and the proof still holds."""
    erased, eraser = given.arguments
    with watched(context) as page:
        sign_in(page)
        at(page, f"audit?record={erased}")
        expect(page.get_by_role("link", name=f"record {eraser}")).to_be_visible()
        _prove(page)
        expect(page.locator(".verdict")).to_contain_text("Proved:")
        page.get_by_role("link", name=f"record {eraser}").click()
        expect(page.locator("#record")).to_have_text("task.erase")


@journey
def reads_on_to_the_first_record(context: BrowserContext) -> None:
    """A hundred at first, and older ones on request, until the first; each once, in order."""
    with watched(context) as page:
        sign_in(page)
        at(page, "audit")
        rows, older = page.locator("a.record .num"), page.get_by_role("button", name="Older")
        expect(rows).to_have_count(100)
        while older.count():
            before = rows.count()
            older.click()
            expect(rows).not_to_have_count(before)
        shown = [int(text) for text in rows.all_inner_texts()]
        assert shown == list(range(shown[0], -1, -1)), shown[:5]
        assert shown[0] >= int(given.arguments[0])
        at(page, "audit?action=task.nothing&actor=key_x")
        expect(page.get_by_role("heading", name="No record fits.")).to_be_visible()
        page.get_by_role("button", name="Drop actor key_x").click()
        page.get_by_role("button", name="Drop action task.nothing").click()
        expect(rows).to_have_count(100)
        page.get_by_label("Since").fill("2026-01-01T00:00")
        page.get_by_label("Until").fill("2026-01-02T00:00")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="No record fits.")).to_be_visible()
        assert "until=2026-01-0" in page.url, page.url
        page.get_by_role("button", name="Drop until").click()
        expect(rows).to_have_count(100)
        expect(page.get_by_label("Since")).to_have_value("2026-01-01T00:00")


@journey
def is_told_that_the_log_is_not_signed(context: BrowserContext) -> None:
    with watched(context) as page:
        sign_in(page)
        at(page, "audit?record=0")
        expect(page.locator("#record")).to_be_visible()
        settled(page)
        page.keyboard.press("p")
        expect(page.get_by_text("The log is not signed.")).to_be_visible()
        expect(page.locator(".proof .command code")).to_contain_text("swarmkeeper audit key")


def _paste(page: Page, text: str) -> None:
    page.get_by_label("A verifier key or a checkpoint").fill(text)
    page.get_by_role("button", name="Keep", exact=True).press("Enter")


@journey
def proves_with_what_was_kept(context: BrowserContext) -> None:
    """The server's word for its own key is named as such; what a person keeps is held against it after a reload."""
    index, another_key, forged, own_key = json.loads(given.arguments[0])
    with watched(context) as page:
        sign_in(page)
        at(page, f"audit?record={index}")
        _prove(page)
        expect(page.locator(".verdict")).to_have_text(f"Proved: record {index} is in the signed log.")
        expect(page.locator(".proof")).to_contain_text("Nobody but this server says that this is its key.")
        keep = page.get_by_role("button", name="Keep this key and the checkpoint")
        (size,) = re.findall(r"of (\d+) records", keep.inner_text())
        keep.press("Enter")
        let_happen("more records")
        page.reload()
        _prove(page)
        expect(page.locator(".verdict")).to_have_text(
            f"Proved: record {index} is in the signed log, by the key that you keep."
        )
        steps = page.locator(".steps > li")
        expect(steps.filter(has_text="Signature")).to_contain_text("the key that you keep")
        expect(steps.filter(has_text="History")).to_contain_text(
            f"the log goes on from the {size} records that you know"
        )
        expect(page.get_by_text("Nobody but this server")).to_have_count(0)
        summary = page.locator(".proof summary")
        expect(summary).to_have_text(f"You keep a key and a checkpoint of {size} records")
        summary.press("Enter")
        page.get_by_role("button", name="Forget both").press("Enter")
        expect(summary).to_have_text("You keep no key and no checkpoint of your own")

        for text, step in ((another_key, "Signature"), (forged, "History")):
            _paste(page, text)
            expect(page.get_by_role("button", name="Forget both")).to_be_visible()
            _prove(page)
            expect(page.locator(".verdict")).to_have_text(f"NOT proved: the step “{step}” fails.")
            page.get_by_role("button", name="Forget both").press("Enter")
        _paste(page, "no key at all")
        expect(page.get_by_text("This is neither a verifier key nor a signed checkpoint.")).to_be_visible()
        _paste(page, own_key)
        _prove(page)
        expect(page.locator(".verdict")).to_contain_text("by the key that you keep")
