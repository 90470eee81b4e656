"""Signing in, the inbox, the list of tasks, and what every page keeps to."""

import json

from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.driving import (
    KEPT,
    SHOWS_FOCUS,
    TOO_WIDE,
    WIDE,
    WIDEST,
    at,
    evaluated,
    given,
    journey,
    read_again,
    settled,
    sign_in,
    watched,
)

LOW = {"width": 320, "height": 640}


@journey
def signs_in_approves_and_opens_a_task(context: BrowserContext) -> None:
    """By keyboard alone."""
    with watched(context) as page:
        sign_in(page)
        entry = page.locator("a.entry", has_text=given.arguments[0])
        expect(entry).to_be_visible()
        for _ in range(10):
            page.keyboard.press("j")
            if entry.get_attribute("aria-current") == "true":
                break
        heading = page.locator("#question")
        expect(heading).to_be_visible()
        expect(page.locator(".facts .hash")).to_have_text(given.arguments[1])
        page.keyboard.press("a")
        expect(entry).to_have_count(0)
        page.keyboard.press("g")
        page.keyboard.press("t")
        expect(page.get_by_role("table", name="Tasks")).to_be_visible()
        page.keyboard.press("/")
        page.keyboard.type("label:team=docs")
        page.keyboard.press("Enter")
        expect(page.locator(".task-row a")).to_have_count(2)
        assert "q=label%3Ateam%3Ddocs" in page.url, page.url
        page.keyboard.press("j")
        title = page.locator(".task-row.chosen a").inner_text()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
        page.keyboard.press("j")
        expect(page.get_by_role("complementary")).to_be_visible()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)


@journey
def refuses_a_wrong_key(context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(given.ui)
    expect(
        page.get_by_label("API key or token")
    ).to_be_focused()  # it is there once the server has said that nobody is in
    page.keyboard.type("swk_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("unknown")
    page.keyboard.type(given.key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Inbox")).to_be_attached()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key or token")).to_be_visible()
    page.reload()
    expect(page.get_by_label("API key or token")).to_be_visible()


@journey
def follows_a_link_once(context: BrowserContext) -> None:
    """The token of the link is gone from the address, and counts no second time."""
    with watched(context) as page:
        page.goto(f"{given.ui}#t={given.arguments[0]}")
        expect(page.get_by_role("heading", level=1, name="Inbox")).to_be_attached()
        assert "t=" not in page.url, page.url
        cookies = context.cookies()
        assert [(each["httpOnly"], each["sameSite"]) for each in cookies] == [(True, "Strict")], cookies
        page.reload()
        expect(page.get_by_role("heading", level=1, name="Inbox")).to_be_attached()
        context.clear_cookies()
        page.goto("about:blank")
        page.goto(f"{given.ui}#t={given.arguments[0]}")
        expect(page.get_by_role("alert")).to_contain_text("used already")


@journey
def rejects_with_a_reason(context: BrowserContext) -> None:
    with watched(context) as page:
        sign_in(page)
        at(page, f"inbox?approval={given.arguments[0]}")
        expect(page.locator("#question")).to_be_visible()
        page.keyboard.press("x")
        expect(page.get_by_label("Why not?")).to_be_focused()
        page.keyboard.type("too dear")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator(f"a[href*='{given.arguments[0]}']")).to_have_count(0)


@journey
def sends_nothing_again_when_the_subject_has_changed(context: BrowserContext) -> None:
    """The server says that the hash is stale: the page shows what it is now, and waits for the person."""
    sent: list[str] = []  # hashes that were approved
    stale = {"code": "stale_approval", "detail": "it has changed", "status": 409}

    def refuse(route: Route) -> None:
        sent.append(json.loads(route.request.post_data or "")["subject_hash"])
        route.fulfill(status=409, body=json.dumps(stale), content_type="application/problem+json")

    def changed(route: Route) -> None:
        if sent:
            route.fulfill(json={**json.loads(given.arguments[2]), "subject_hash": "0" * 64})
        else:
            route.continue_()

    with watched(context) as page:
        # Before there is a page: what a page sends just when they come may pass them.
        page.route("**/approvals/*:approve", refuse)
        page.route(f"**/approvals/{given.arguments[0]}", changed)
        sign_in(page)
        at(page, f"inbox?approval={given.arguments[0]}")
        shown = page.locator(".facts .hash")
        expect(shown).to_be_visible()
        signed = shown.inner_text()
        page.keyboard.press("a")
        expect(page.get_by_text("It has changed since you read it")).to_be_visible()
        expect(shown).to_have_text("0" * 64)
        difference = page.get_by_role("region", name="Difference")
        expect(difference.locator("del")).to_have_text(f'-       "description": "{given.arguments[1]}",')
        expect(difference.locator("ins")).to_have_text('+       "description": "something else",')
        expect(page.get_by_role("button", name="Approve")).to_be_disabled()
        page.keyboard.press("a")
        assert sent == [signed]
        page.get_by_role("button", name="I have read it").click()
        expect(difference).to_have_count(0)
        page.keyboard.press("a")
        expect(page.get_by_text("Not done.")).to_be_visible()
        assert sent == [signed, "0" * 64]


@journey
def sees_what_a_role_allows(context: BrowserContext) -> None:
    """A viewer reads, and what it may not do is there, off, with the reason."""
    with watched(context) as page:
        sign_in(page)
        at(page, f"inbox?approval={given.arguments[0]}")
        button = page.get_by_role("button", name="Approve", exact=False)
        expect(button).to_be_disabled()
        assert "approval.decide" in (button.get_attribute("title") or "")
        at(page, f"tasks/{given.arguments[1]}")
        expect(page.get_by_role("button", name="Pause")).to_be_disabled()


@journey
def looks_at_hostile_texts(context: BrowserContext) -> None:
    """What bots and clients wrote is shown as text, wherever it is."""
    with watched(context) as page:
        sign_in(page)
        for place in ("inbox", "tasks", *(f"tasks/{each}?subtask=a" for each in given.arguments)):
            at(page, place)
            expect(page.locator("h1").first).to_be_attached()
            settled(page)
            fits(page, place)
        at(page, "inbox")
        for entry in page.locator("a.entry[href*=approval]").all():
            entry.click()
            expect(page.locator("#question")).to_be_visible()
        at(page, f"tasks/{given.arguments[1]}")
        expect(page.locator(".task-head .description")).to_contain_text("\\u202e")


def fits(page: Page, place: str) -> None:
    """Check that nothing scrolls sideways but what is made for it."""
    devtools = page.context.new_cdp_session(page)
    over = devtools.send("Runtime.evaluate", {"expression": TOO_WIDE})["result"]["value"]
    where = devtools.send("Runtime.evaluate", {"expression": WIDEST})["result"].get("value") if over > 0 else ""
    assert over <= 0, f"{place} is {over} pixels too wide: {where}"


@journey
def fits_a_narrow_screen_and_keeps_nothing(context: BrowserContext) -> None:
    """Each page is shown wide and narrow, and after all of them the browser has kept nothing but how it looks."""
    with watched(context) as page:
        page.set_viewport_size(LOW)
        page.goto(given.ui)
        fits(page, "sign-in")
        sign_in(page)
        for place in given.arguments:
            page.set_viewport_size(WIDE)
            at(page, place)
            settled(page)
            page.set_viewport_size(LOW)
            settled(page)
            fits(page, place)
        kept = json.loads(evaluated(page, KEPT))
        assert sorted(kept) == ["swarmkeeper.letters", "swarmkeeper.theme", "swarmkeeper.zone"], kept


@journey
def shows_the_focus(context: BrowserContext) -> None:
    """Each stop of the tab key has an outline or a border of its own while it has the focus."""
    with watched(context) as page:
        sign_in(page)
        devtools = context.new_cdp_session(page)
        for place in ("inbox", "tasks"):
            at(page, place)
            settled(page)
            for _ in range(14):
                page.keyboard.press("Tab")
                assert devtools.send("Runtime.evaluate", {"expression": SHOWS_FOCUS})["result"]["value"] is True


@journey
def scrolls_through_all_tasks(context: BrowserContext) -> None:
    """The list has all of them, one after the other, and draws only those in view."""
    with watched(context) as page:
        sign_in(page)
        at(page, "tasks?q=sort:oldest")
        rows, foot, table = page.locator(".task-row a"), page.locator(".foot"), page.locator(".windowed")
        expect(foot).to_contain_text(f"{given.arguments[0]} tasks")
        expect(table).to_have_attribute("aria-rowcount", "-1")  # not all of them are read
        table.hover()
        while table.get_attribute("aria-rowcount") == "-1":
            page.mouse.wheel(0, 4_000)
            page.wait_for_timeout(50)
        for _ in range(5):
            page.mouse.wheel(0, 4_000)
            page.wait_for_timeout(50)
        expect(rows.last).to_have_text(given.arguments[1])
        expect(table).to_have_attribute("aria-rowcount", str(int(given.arguments[0]) + 1))  # with the head
        assert rows.count() < 60, rows.count()
        page.keyboard.press("j")
        page.keyboard.press("j")
        expect(page.locator(".task-row.chosen")).to_have_attribute("aria-rowindex", "3")
        expect(page.locator(".task-row.chosen")).to_be_in_viewport()


@journey
def keeps_what_was_read_while_the_server_is_away(context: BrowserContext) -> None:
    with watched(context) as page:
        sign_in(page)
        for place, asked, shown in (
            ("tasks", "**/tasks?*", ".task-row a"),
            ("queues", "**/queues?*", ".queues tbody tr"),
        ):
            at(page, place)
            rows = page.locator(shown)
            expect(rows.first).to_be_visible()
            page.route(asked, lambda route: route.fulfill(status=503, body='{"code": "overloaded", "detail": "busy"}'))
            read_again(context, page)
            expect(page.locator(".disconnected")).to_be_visible(timeout=15_000)
            expect(rows.first).to_be_visible()
            expect(page.locator("main .trouble")).to_have_count(0)  # the bar says it once
            page.unroute_all()
            expect(page.locator(".disconnected")).to_have_count(0, timeout=15_000)
