"""The lists: tasks with their query line, marks and operations on many; bots; queues."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import BrowserContext, CDPSession, Page, Request, expect

from tests.browser.driving import NARROW, THEMES, WIDE, at, given, journey, settled, sign_in, watched

SCROLL = """
new Promise(done => {
    const list = document.querySelector(".windowed");
    list.scrollTop += 850;
    const begun = performance.now();
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - begun)));
})
"""
FOCUS = "document.activeElement.matches('.task-row a')"


def _value(devtools: CDPSession, expression: str) -> object:
    """Return what the page says; playwright's own `evaluate` uses eval, which the policy forbids."""
    asked = {"expression": expression, "awaitPromise": True, "returnByValue": True}
    return devtools.send("Runtime.evaluate", asked)["result"].get("value")


def _write(page: Page, line: str) -> None:
    page.keyboard.press("/")
    page.keyboard.press("Control+a")
    page.keyboard.type(line)
    page.keyboard.press("Enter")


@journey
def retries_all_that_failed_alike(context: BrowserContext) -> None:
    """By keyboard alone, among 10,000 tasks."""
    with watched(context) as page:
        sign_in(page)
        page.keyboard.press("g")
        page.keyboard.press("t")
        expect(page.locator(".foot")).to_contain_text(given.arguments[0])
        _write(page, "outcome:failed invoice")
        expect(page.locator(".foot")).to_contain_text(f"{given.arguments[1]} tasks")
        for _ in range(10):
            page.keyboard.press("j")
            if "KeyError" in page.locator(".task-row.chosen").inner_text():
                break
        page.keyboard.press("=")
        expect(page.locator(".foot")).to_contain_text("30 marked")
        page.keyboard.press("b")
        dialog = page.get_by_role("dialog", name="With 30 tasks")
        expect(dialog.get_by_role("radio", name="retry")).to_be_focused()
        page.keyboard.press("Space")
        expect(dialog).to_contain_text("28 tasks would be retried, 2 refused.")
        expect(dialog.get_by_role("region", name="Refused").get_by_role("listitem")).to_have_count(2)
        page.keyboard.press("Tab")
        page.keyboard.type("the parser is mended")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_contain_text("28 tasks retried, 2 refused.")
        assert parse_qs(page.url.partition("?")[2])["op"][0].startswith("opr_"), page.url
        page.reload()
        expect(page.get_by_role("dialog")).to_contain_text("28 tasks retried, 2 refused.")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.locator(".foot")).to_contain_text(f"{int(given.arguments[1]) - 28} tasks")
        assert "op=" not in page.url, page.url


@journey
def scrolls_ten_thousand_rows(context: BrowserContext) -> None:
    """What a frame costs while somebody scrolls, with all rows marked."""
    with watched(context) as page:
        sign_in(page)
        at(page, "tasks")
        expect(page.locator(".task-row a").first).to_be_visible()
        for said in ("200 marked", "All 10,000 that fit marked"):
            page.keyboard.press("*")
            expect(page.locator(".foot")).to_contain_text(said)
        devtools = context.new_cdp_session(page)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})  # other programs' time does not count
        works, frames, before = [], [], _busy(devtools)
        for _ in range(60):
            frames.append(float(str(_value(devtools, SCROLL))))
            after = _busy(devtools)
            works.append((after - before) * 1000)
            before = after
        works.sort()
        frames.sort()
        nodes = _value(devtools, "document.querySelectorAll('.windowed *').length")
        rows = page.locator(".task-row").count()
        print(
            json.dumps(
                {"p95": works[56], "median": works[30], "two_frames_p95": frames[56], "nodes": nodes, "rows": rows}
            )
        )


def _busy(devtools: CDPSession) -> float:
    """Return how many seconds the page's main thread has computed: scripts, styles and layout."""
    found = {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}
    return float(found["ScriptDuration"] + found["RecalcStyleDuration"] + found["LayoutDuration"])


@journey
def marks_rows(context: BrowserContext) -> None:
    with watched(context) as page:
        sign_in(page)
        at(page, "tasks?q=label:team%3Dmoney")
        foot = page.locator(".foot")
        expect(foot).to_contain_text("40 tasks")
        page.keyboard.press("j")
        page.keyboard.press("m")
        expect(foot).to_contain_text("1 marked")
        page.keyboard.press("j")
        page.keyboard.press("Space")
        expect(foot).to_contain_text("2 marked")
        page.keyboard.press("Space")
        expect(foot).to_contain_text("1 marked")
        page.keyboard.press("Shift+J")
        page.keyboard.press("Shift+J")
        expect(foot).to_contain_text("4 marked")
        page.get_by_role("checkbox").nth(9).click(modifiers=["Shift"])
        expect(foot).to_contain_text("10 marked")
        page.get_by_role("checkbox").nth(5).click(modifiers=["Shift"])
        expect(foot).to_contain_text("10 marked")  # a range marks, also what is marked
        page.keyboard.press("*")
        expect(foot).to_contain_text("40 marked")
        page.keyboard.press("Escape")
        expect(foot).to_contain_text("40 tasks")
        page.keyboard.press("b")
        expect(page.get_by_role("dialog")).to_have_count(0)


@journey
def acts_on_all_that_fit(context: BrowserContext) -> None:
    """First what is shown is marked, then all that fit; the server gets the filter, and no list of ids."""
    (many,) = given.arguments
    sent: list[dict[str, Any]] = []
    with watched(context) as page:
        sign_in(page)
        page.on("request", lambda call: sent.append(json.loads(call.post_data or "{}")) if "bulk" in call.url else None)
        at(page, "tasks?q=label:shelf%3Da")
        foot = page.locator(".foot")
        expect(foot).to_contain_text(f"{many} tasks")
        page.keyboard.press("*")
        expect(foot).to_contain_text("200 marked")
        expect(foot.get_by_role("button", name=f"Mark all {many} that fit")).to_be_visible()
        page.keyboard.press("*")
        expect(foot).to_contain_text(f"All {many} that fit marked")
        page.keyboard.press("j")
        page.keyboard.press("m")
        expect(foot).to_contain_text("199 marked")
        page.keyboard.press("m")
        foot.get_by_role("button", name="Mark all").click()
        page.keyboard.press("b")
        dialog = page.get_by_role("dialog", name=f"With all {many} that fit")
        expect(dialog.get_by_role("radio", name="retry")).to_be_focused()
        for _ in range(2):  # past an action whose dry run is still asked for
            page.keyboard.press("ArrowDown")
        expect(dialog.get_by_role("radio", name="pause")).to_be_checked()
        expect(dialog).to_contain_text(f"{many} tasks would be paused.", timeout=40_000)
        expect(dialog).to_contain_text("It is done to what fits when it begins.")
        page.keyboard.press("Enter")
        done = page.get_by_role("dialog")
        expect(done).to_contain_text(f"{many} tasks paused, 0 refused.", timeout=60_000)
    paused = [each for each in sent if each["action"] == "pause"]
    assert [each["dry_run"] for each in paused] == [True, False], paused
    for each in paused:
        assert "ids" not in each
        assert {name: value for name, value in each["filter"].items() if value} == {"label": ["shelf:a"]}


@journey
def completes_the_query_line(context: BrowserContext) -> None:
    with watched(context) as page:
        sign_in(page)
        at(page, "tasks")
        expect(page.locator(".task-row a").first).to_be_visible()
        page.keyboard.press("/")
        page.keyboard.type("lab")
        offers = page.get_by_role("option")
        expect(offers).to_have_text(["label:"])
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Tab")
        page.keyboard.type("te")
        expect(offers).to_have_text(["label:team="])
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(offers.filter(has_text="label:team=money")).to_contain_text("40 tasks")
        page.keyboard.type("mo")
        expect(offers).to_have_count(1)
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.keyboard.type("status:compl")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
        expect(offers).to_have_count(0)
        field = page.get_by_role("combobox", name="Query")
        expect(field).to_have_value("label:team=money status:completed ")
        page.keyboard.press("/")
        page.keyboard.press("Backspace")
        page.keyboard.press("Backspace")
        page.keyboard.press("Enter")
        expect(page.locator(".foot")).to_contain_text("40 tasks")


@journey
def counts_and_filters(context: BrowserContext) -> None:
    """Counters are those of the API; what fits nothing says what to drop; at most three stops before the first row."""
    counted, asked = json.loads(given.arguments[0]), []
    with watched(context) as page:
        sign_in(page)
        settled(page)
        page.on("request", lambda request: asked.append(request.url.rpartition("/")[2].partition("?")[0]))
        at(page, "tasks")
        for status, number in counted.items():
            expect(page.get_by_role("button", name=status)).to_have_text(f"{status} {number}", use_inner_text=True)
        expect(page.locator(".task-row a").first).to_be_visible()
        assert len(asked) <= 4, asked
        page.get_by_role("link", name="Skip to the content").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#main")).to_be_focused()
        devtools = context.new_cdp_session(page)
        stops = 0
        while stops < 5 and not _value(devtools, FOCUS):
            page.keyboard.press("Tab")
            stops += 1
        assert stops <= 3, stops
        page.keyboard.press("j")
        page.keyboard.press("j")
        title = page.locator(".task-row.chosen a").inner_text()
        expect(page.locator(".task-row.chosen a")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
        at(page, "tasks")
        page.get_by_role("button", name="failed").click()
        expect(page.locator(".foot")).to_contain_text(f"{counted['failed']} tasks")
        expect(page.locator(".task-row .c-title").nth(1)).to_contain_text("KeyError: 'total' (at parse.py:12)")
        _write(page, "status:failed nowhere")
        expect(page.get_by_role("heading", name="No task fits.")).to_be_visible()
        expect(page.get_by_text("the last one may be the beginning of a word")).to_be_visible()
        page.get_by_role("button", name="Drop nowhere").click()
        expect(page.locator(".foot")).to_contain_text(f"{counted['failed']} tasks")
        _write(page, "status:odd invoice sort:priority")
        expect(page.get_by_role("alert")).to_contain_text("status:odd: a status is one of created")
        expect(page.get_by_role("alert")).to_contain_text("sort:priority: tasks with words")


@journey
def shows_what_the_address_says(context: BrowserContext) -> None:
    """Each view is asked for as the terminal would ask for it, and shows the rows that the API gives."""
    with watched(context) as page:
        sign_in(page)
        for view in json.loads(given.arguments[0]):
            with page.expect_request(_lists_rows) as sent:
                at(page, f"tasks?q={view['quoted']}")
            query = parse_qs(urlsplit(sent.value.url).query)
            expected = {name: sorted(value) for name, value in view["query"].items()}
            got = {name: sorted(value) for name, value in query.items() if name in view["names"]}
            assert got == expected, (view["line"], got, expected)
            settled(page)
            titles, shown = page.locator(".task-row .c-title a"), view["titles"]
            for _ in range(40):
                if titles.all_inner_texts()[: len(shown) or None] == shown:
                    break
                page.wait_for_timeout(50)
            assert titles.all_inner_texts()[: len(shown) or None] == shown, view["line"]


def _lists_rows(request: Request) -> bool:
    """Whether it is asked by the list: the inbox, from which the journey begins, asks for a few tasks only."""
    asked = urlsplit(request.url)
    return str(asked.path).endswith("/tasks") and parse_qs(asked.query)["page_size"] == ["200"]


@journey
def pictures_lists(context: BrowserContext) -> None:
    """Pictures of what has no address: the bar of marks, the dry run, completions."""
    folder = Path(given.arguments[0])
    for size, name in ((WIDE, "1440"), (NARROW, "390")):
        for theme in THEMES:
            page = context.new_page()
            page.set_viewport_size(size)
            page.emulate_media(color_scheme=theme)
            page.goto(given.ui)
            page.wait_for_timeout(300)
            if page.get_by_label("API key or token").count():
                sign_in(page)
            at(page, "tasks")
            settled(page)
            page.keyboard.press("/")
            page.keyboard.type("label:t")
            page.keyboard.press("ArrowDown")
            page.wait_for_timeout(300)
            page.screenshot(path=folder / f"completes-{name}-{theme}.png")
            page.keyboard.press("Escape")
            page.keyboard.press("Escape")
            at(page, "tasks?q=invoice")
            settled(page)
            page.keyboard.press("*")
            page.wait_for_timeout(300)
            page.keyboard.press("b")
            page.keyboard.press("Space")
            expect(page.get_by_role("dialog")).to_contain_text("would be retried")
            page.screenshot(path=folder / f"bulk-{name}-{theme}.png")
            page.close()


@journey
def looks_at_bots_and_queues(context: BrowserContext) -> None:
    """By keyboard: what nobody can do comes first; a bot's work; it is drained, killed and let go again."""
    asked: list[str] = []
    with watched(context) as page:
        sign_in(page)
        settled(page)  # the inbox has asked for what it shows
        page.on("request", lambda request: asked.append(request.url.rpartition("/")[2].partition("?")[0]))
        page.keyboard.press("g")
        page.keyboard.press("q")
        rows = page.locator(".queues tbody tr")
        expect(rows.first).to_contain_text("nobody can")
        expect(rows.filter(has_text="ocr")).to_contain_text("swarmkeeper bot run FILE --skill ocr")
        expect(rows.filter(has_text="ocr")).to_contain_text("48")
        assert len(asked) <= 4, asked
        names = rows.locator(".work").all_inner_texts()
        for _ in range(1 + next(at for at, name in enumerate(names) if "fetch" in name)):
            page.keyboard.press("j")
        page.keyboard.press("Enter")
        bots = page.get_by_role("table", name="Bots").get_by_role("row")
        expect(bots).to_have_count(3)
        expect(page.get_by_role("searchbox", name="Search bots")).to_have_value("fetch")
        page.keyboard.press("Escape")
        expect(bots).to_have_count(5)
        expect(page.get_by_role("toolbar")).to_contain_text("drained 1")
        asked.clear()
        at(page, f"bots?bot={given.arguments[0]}")
        panel = page.get_by_role("complementary", name="Bot writer")
        expect(panel).to_contain_text("Works on 1")
        expect(panel).to_contain_text("Translate the handbook")
        assert len(asked) <= 4, asked
        page.keyboard.press("d")
        expect(panel.get_by_role("button", name="Enable")).to_be_visible()
        page.keyboard.press("d")
        expect(panel.get_by_role("button", name="Drain")).to_be_visible()
        page.keyboard.press("x")
        expect(page.get_by_role("dialog").get_by_label("Why?")).to_be_focused()
        page.keyboard.type("it sends mail to strangers")
        page.keyboard.press("Enter")
        expect(panel).to_contain_text("it sends mail to strangers")
        expect(panel).to_contain_text("It holds nothing.")
        page.keyboard.press("x")
        expect(panel.get_by_role("button", name="Kill")).to_be_visible()
        page.keyboard.press("Escape")
        expect(panel).to_have_count(0)
        page.get_by_role("button", name="drained").click()
        expect(bots).to_have_count(2)
        page.keyboard.press("/")
        page.keyboard.type("nobody")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="No bot fits.")).to_be_visible()
        page.get_by_role("button", name="Drop nobody").click()
        expect(bots).to_have_count(2)


@journey
def begins_with_nothing(context: BrowserContext) -> None:
    with watched(context) as page:
        sign_in(page)
        for place, command in (("tasks", "swarmkeeper submit Hello"), ("bots", "swarmkeeper bot run FILE")):
            at(page, place)
            expect(page.locator(".empty")).to_contain_text(command)
        at(page, "queues")
        expect(page.get_by_role("heading", name="Nothing waits, and nothing is worked on.")).to_be_visible()
        expect(page.locator(".empty")).to_contain_text("swarmkeeper submit Hello")


@journey
def may_only_look_at_bots_and_lists(context: BrowserContext) -> None:
    with watched(context) as page:
        sign_in(page)
        at(page, f"bots?bot={given.arguments[0]}")
        for name in ("Drain", "Kill"):
            expect(page.get_by_role("complementary").get_by_role("button", name=name)).to_be_disabled()
        at(page, "tasks?q=status:failed")
        expect(page.locator(".task-row a").first).to_be_visible()
        page.keyboard.press("*")
        expect(page.get_by_role("button", name="Act on them")).to_be_disabled()
