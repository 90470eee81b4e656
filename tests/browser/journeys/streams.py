"""The stream of changes: one for all tabs, also where a browser lacks much, and through the death of the server."""

import json

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.driving import ELSEWHERE, at, evaluated, given, journey, let_happen, settled, sign_in, watched

# What a browser has only on https and on this machine itself, or not at all.
WITHOUT = """
for (const name of ["locks", "clipboard"]) Object.defineProperty(Navigator.prototype, name, {get: () => undefined});
Object.defineProperty(Crypto.prototype, "subtle", {get: () => undefined});
delete Crypto.prototype.randomUUID;
delete window.SharedWorker;
delete window.trustedTypes;
"""


@journey
def shares_one_stream_among_seven_tabs(context: BrowserContext) -> None:
    with watched(context) as page:
        sign_in(page)
        tabs = [page, *(context.new_page() for _ in range(6))]
        for tab in tabs:
            tab.goto(f"{given.ui}#/inbox")
            expect(tab.locator(".dot")).to_have_text("live")
        let_happen("count followers")
        last = tabs[-1]
        at(last, "tasks")
        expect(last.locator(".task-row a").first).to_be_visible()
        let_happen("another task")
        for tab in tabs[:-1]:
            at(tab, "tasks")
        for tab in tabs:
            expect(tab.locator(".task-row a", has_text="the newest of all")).to_be_visible()
        last.get_by_role("button", name="Sign out").click()
        for tab in tabs:
            expect(tab.get_by_label("API key or token")).to_be_visible()
        let_happen("nobody follows")
        # Another tab signs in again: those that were told to sign out do not end its stream.
        page.get_by_label("API key or token").fill(given.key)
        page.keyboard.press("Enter")
        expect(page.locator(".dot")).to_have_text("live")
        page.wait_for_timeout(300)
        let_happen("count followers")


@journey
def works_in_a_browser_that_lacks_much(context: BrowserContext) -> None:
    """No clipboard, no locks, no crypto.subtle, no shared worker, no Trusted Types."""
    context.add_init_script(WITHOUT)
    with watched(context) as page:
        sign_in(page)
        assert (
            evaluated(page, "[navigator.clipboard, crypto.subtle, crypto.randomUUID, window.SharedWorker].join()")
            == ",,,"
        )
        expect(page.locator(".dot")).to_have_text("live")
        page.locator("a.entry", has_text="No bot can").first.click()
        page.get_by_role("button", name="Copy: ").first.click()
        chosen = evaluated(page, "getSelection().toString()")
        assert chosen.startswith("swarmkeeper "), chosen
        let_happen("another task")
        at(page, "tasks")
        expect(page.locator(".task-row a", has_text="the newest of all")).to_be_visible()


@journey
def says_where_nobody_can_sign_in(context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(given.ui.replace("127.0.0.1", ELSEWHERE))
    assert evaluated(page, "isSecureContext") is False
    expect(page.get_by_role("alert")).to_contain_text("Nobody can sign in at this address")
    expect(page.get_by_role("alert")).to_contain_text(f"ssh -L {given.url.rpartition(':')[2]}:")


@journey
def lives_through_the_death_of_the_server(context: BrowserContext) -> None:
    with watched(context) as page:
        sign_in(page)
        at(page, "tasks?q=sort:oldest")
        expect(page.locator(".dot")).to_have_text("live")
        expect(page.locator(".task-row a").first).to_be_visible()
        task = context.new_page()
        task.goto(f"{given.ui}#/{let_happen('an open task')}")
        cancel = task.get_by_role("button", name="Cancel")
        expect(cancel).to_be_enabled()
        let_happen("kill -9")
        for each in (page, task):
            expect(each.locator(".disconnected")).to_contain_text("Next try in", timeout=20_000)
            expect(each.locator(".dot")).to_have_text("no answer")
        expect(cancel).to_be_disabled()
        before = page.locator(".task-row a").count()
        assert before > 0, "what was read last stays"
        let_happen("start again")
        for each in (page, task):
            expect(each.locator(".disconnected")).to_have_count(0, timeout=40_000)
            expect(each.locator(".dot")).to_have_text("live", timeout=40_000)
        expect(cancel).to_be_enabled()
        wanted = json.loads(let_happen("work to the end"))
        rows = page.locator(".rows .task-row")
        expect(rows).to_have_count(len(wanted), timeout=20_000)
        expect(rows.last).to_contain_text("archived", timeout=20_000)
        page.wait_for_timeout(1_000)
        settled(page)
        assert _shown(page) == wanted


@journey
def reads_all_again_when_the_stream_is_back(context: BrowserContext) -> None:
    """Also what no change tells of, and what else is read each half minute."""
    with watched(context) as page:
        sign_in(page)
        at(page, "settings")
        settled(page)
        expect(page.locator(".dot")).to_have_text("live")
        sessions = page.get_by_role("region", name="Sessions").locator("tbody tr")
        expect(sessions).to_have_count(1)
        with page.expect_response(lambda answer: "/sessions" in answer.url):  # it looks whether the server is away
            let_happen("cut the stream")
        expect(page.locator(".dot")).to_have_text("each 3 s")
        let_happen("somebody signs in, and streams")
        expect(page.locator(".dot")).to_have_text("live")
        expect(sessions).to_have_count(2, timeout=10_000)


def _shown(page: Page) -> list[list[str]]:
    return [
        [row.locator(".c-title").inner_text(), row.locator(".c-state").inner_text().strip()]
        for row in page.locator(".rows .task-row").all()
    ]
