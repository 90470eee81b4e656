"""The page of one task: its tabs, timeline and graph, what one can do there by keyboard, and what large outputs do."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from tests.browser.driving import NARROW, at, given, journey, leave, read_again, settled, sign_in, watched

REQUESTS_MAX = 4
# Each attempt that is drawn over the error's text of its lane.
COVERED = """
[...document.querySelectorAll(".chart > g")].flatMap(lane => {
    const text = lane.querySelector(".why-not")?.getBoundingClientRect();
    return text ? [...lane.querySelectorAll(".attempt")].map(bar => bar.getBoundingClientRect())
        .filter(bar => bar.left < text.right - 1 && bar.right > text.left + 1) : [];
}).length
"""
# Whether what was chosen is wholly within the pane that scrolls.
CLIPPED = """
(() => {
    const node = document.querySelector(".node.chosen .box").getBoundingClientRect();
    const pane = document.querySelector(".plan > .graph").getBoundingClientRect();
    return [node.top - pane.top, pane.bottom - node.bottom, node.left - pane.left, pane.right - node.right];
})()
"""
OVER = """
(pane => [pane.scrollWidth - pane.clientWidth, pane.scrollHeight - pane.clientHeight])(document.querySelector(".graph"))
"""
FREEZE_MS = 100


@contextmanager
def never_frozen(page: Page) -> Iterator[None]:
    """Check that no single thing that the page does keeps it busy for long.

    It counts the processor's time, which the browser traces, and not the clock's: other programs may have the
    processor.
    """
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=["toplevel", "disabled-by-default-devtools.timeline", "__metadata"])
    yield
    events = json.loads(browser.stop_tracing())["traceEvents"]
    own = {(each["pid"], each["tid"]) for each in events if each.get("args", {}).get("name") == "CrRendererMain"}
    tasks = [each for each in events if (each["pid"], each["tid"]) in own and "RunTask" in each["name"]]
    longest = max((each.get("tdur", 0) / 1_000 for each in tasks), default=0)
    assert len(tasks) > 50, "the browser traced nothing"
    assert longest <= FREEZE_MS, f"{longest} ms"


def told(page: Page, expression: str) -> Any:
    """By the protocol itself: playwright's `evaluate` uses eval, which the policy forbids."""
    devtools = page.context.new_cdp_session(page)
    found = devtools.send("Runtime.evaluate", {"expression": f"JSON.stringify({expression})", "awaitPromise": True})
    assert "exceptionDetails" not in found, found
    return json.loads(found["result"]["value"])


def read(context: BrowserContext, path: str) -> Any:
    """What the API says."""
    return context.request.get(f"{given.url}/{path}", headers={"x-api-key": given.key}).json()


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


@journey
def opens_each_tab(context: BrowserContext) -> None:
    """Each tab has its key and its address, and needs at most four requests."""
    asked: list[str] = []

    def note(request: Request) -> None:
        path = urlsplit(request.url).path
        if "/ui/" not in path and not path.endswith(("/changes", "/session")):
            asked.append(path)

    task = f"tasks/{given.arguments[0]}"
    with watched(context) as page:
        sign_in(page)
        page.on("request", note)
        tabs = page.get_by_role("navigation", name="Of this task")
        for number, name in enumerate(("plan", "results", "events", "audit", "messages"), start=1):
            for place in (
                f"{task}?tab={name}",
                *([f"{task}?view=timeline", f"{task}?subtask=n0"] if number == 1 else []),
            ):
                leave(page)
                asked.clear()
                at(page, place)
                expect(tabs.get_by_role("link", name=name)).to_have_attribute("aria-current", "page")
                settled(page)
                page.wait_for_timeout(700)  # longer than the pause between two reads: nothing is read twice at once
                assert len(asked) <= REQUESTS_MAX, asked
            press(page, str(number % 5 + 1))
            assert f"tab={name}" not in page.url, page.url


@journey
def reads_what_happened(context: BrowserContext) -> None:
    """Events and audit records are there newest first, older ones on request, and newer ones come by themselves."""
    with watched(context) as page:
        sign_in(page)
        for tab, name, first in (("events", "Events", "task.submitted"), ("audit", "Audit records", "task.submit")):
            at(page, f"tasks/{given.arguments[0]}?tab={tab}")
            rows = page.get_by_role("region", name=name).locator("ol > li")
            expect(rows).to_have_count(50)
            older = page.get_by_role("button", name="Show older")
            while older.count():
                before = rows.count()
                older.click()
                expect(rows).not_to_have_count(before)
                settled(page)
            expect(rows.last).to_contain_text(first)
        count = rows.count()
        press(page, "p")
        expect(page.get_by_role("button", name=re.compile("^Resume"))).to_be_visible()
        expect(rows).to_have_count(count + 1)
        expect(rows.first).to_contain_text("task.pause")
        rows.first.locator("summary").press("Enter")
        expect(rows.first).to_contain_text("by rule")
        press(page, "p")
        expect(rows.first).to_contain_text("task.resume")


@journey
def sends_a_message(context: BrowserContext) -> None:
    with watched(context) as page:
        sign_in(page)
        at(page, f"tasks/{given.arguments[0]}?tab=messages")
        region = page.get_by_role("region", name="Messages")
        expect(region).to_contain_text("There are none yet.")
        page.get_by_label("Message (text, or a JSON object)").focus()
        page.keyboard.type("Use the new glossary.")
        press(page, "Tab", "Enter")
        expect(region.locator("li")).to_contain_text('"text": "Use the new glossary."')
        expect(region.locator("li")).to_contain_text("to all its bots")
        page.get_by_label("To the bot").fill("writer")
        page.get_by_label("Message (text, or a JSON object)").fill('{"page": }')
        page.get_by_role("button", name="Send").click()
        expect(region.get_by_role("alert")).to_contain_text("no JSON object")
        page.get_by_label("Message (text, or a JSON object)").fill('{"page": 12}')
        page.get_by_role("button", name="Send").click()
        expect(region.locator("li").first).to_contain_text('"page": 12')
        expect(region.locator("li").first).to_contain_text("to writer")


@journey
def sees_what_a_viewer_may_see_of_a_task(context: BrowserContext) -> None:
    """Outputs and the audit log are said to be for others, and nothing is asked of the server for them."""
    asked: list[str] = []
    with watched(context) as page:
        sign_in(page)
        page.on("request", lambda request: asked.append(urlsplit(request.url).path))
        for place, text in (
            ("tab=audit", "Your role may not read the audit log. Ask an auditor or an admin."),
            ("tab=results", "Your role may not read outputs. Ask a client, an operator, an approver or an admin."),
            (f"subtask={given.arguments[1]}", "Your role may not read outputs."),
        ):
            at(page, f"tasks/{given.arguments[0]}?{place}")
            expect(page.get_by_text(text)).to_be_visible()
        at(page, f"tasks/{given.arguments[0]}?tab=messages")
        for name in ("Send", "Pause", "Change…", "Cancel…"):
            expect(page.get_by_role("button", name=name)).to_be_disabled()
        press(page, "p", "c", "x")
        page.wait_for_timeout(200)
        expect(page.get_by_role("dialog")).to_have_count(0)
        assert not [path for path in asked if path.endswith(("/audit", "/output", ":pause"))], asked


@journey
def steers_by_keyboard(context: BrowserContext) -> None:
    with watched(context) as page:
        sign_in(page)
        at(page, f"tasks/{given.arguments[0]}")
        facts = page.locator(".facts-line")
        expect(facts).to_contain_text("priority 5")
        press(page, "p")
        expect(page.get_by_role("button", name=re.compile("^Resume"))).to_be_visible()
        press(page, "p")
        expect(page.get_by_role("button", name="Pause")).to_be_enabled()
        press(page, "c")
        expect(page.get_by_label("Priority")).to_have_value("5")
        expect(page.get_by_label("Priority")).to_be_focused()
        page.get_by_label("Priority").fill("8")
        page.get_by_label("Limit: Tokens").fill("2000")
        press(page, "Enter")
        expect(facts).to_contain_text("priority 8")
        press(page, "c")
        expect(page.get_by_label("Limit: Tokens")).to_have_value("2000")
        read_again(context, page)  # what is behind a dialog is drawn again, and takes no key from it
        page.wait_for_timeout(300)
        press(page, "Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        press(page, "x")
        dialog = page.get_by_role("dialog", name="Cancel this task?")
        expect(dialog.get_by_label("Reason")).to_be_focused()
        page.keyboard.type("too dear")
        press(page, "Tab", "Enter")
        expect(page.locator(".why.bad")).to_contain_text("too dear")
        press(page, "r")
        expect(page.get_by_role("button", name="Cancel…")).to_be_enabled()
        press(page, "x")
        expect(page.get_by_label("Reason")).to_be_focused()
        press(page, "Tab", "Enter")
        expect(page.get_by_role("button", name="Archive…")).to_be_enabled()
        press(page, "e")
        expect(page.get_by_label("Reason")).to_be_focused()
        press(page, "Tab", "Enter")
        expect(page.locator(".task-head .state")).to_contain_text("cancelled")
        expect(page.get_by_role("button", name="Retry")).to_have_count(0)


# ---- the plan ------------------------------------------------------------------------------------------------------


@journey
def walks_a_graph(context: BrowserContext) -> None:
    """Arrow keys move between nodes, Enter opens one; in a low window nothing is cut off, and `0` fits all of it."""
    with watched(context) as page:
        page.set_viewport_size({"width": 1200, "height": 480})
        sign_in(page)
        at(page, f"tasks/{given.arguments[0]}")
        page.locator(".node").first.focus()
        press(page, "ArrowRight", "Enter")
        assert re.search(r"subtask=s1\d\b", page.url), page.url
        press(page, "ArrowDown", "ArrowLeft", "Enter")
        assert re.search(r"subtask=s0\d\b", page.url), page.url
        for key in ("s00", "s09", "s49", "s40"):
            at(page, f"tasks/{given.arguments[0]}?subtask={key}")
            expect(page.locator(".node.chosen")).to_contain_text(key)
            settled(page)
            assert min(told(page, CLIPPED)) >= 0, (key, told(page, CLIPPED))
        assert max(told(page, OVER)) > 0, "the graph is larger than the window"
        page.locator("h1").click()
        press(page, "0")
        expect(page.locator(".graph.fit")).to_be_visible()
        assert "fit=1" in page.url
        settled(page)
        assert max(told(page, OVER)) <= 0, told(page, OVER)
        press(page, "v")
        expect(page.get_by_role("region", name="Subtasks")).to_be_visible()
        press(page, "v")
        expect(page.locator(".lanes")).to_be_visible()
        press(page, "v")
        expect(page.locator(".graph")).to_be_visible()


@journey
def opens_a_block_of_a_stage(context: BrowserContext) -> None:
    """The table then has those with the state of the block in its stage alone; `!` shows what failed."""
    with watched(context) as page:
        sign_in(page)
        at(page, f"tasks/{given.arguments[0]}")
        page.get_by_role("button", name="50 blocked in stage 3").press("Enter")
        table = page.get_by_role("region", name="Subtasks")
        rows = table.locator("tbody tr")
        expect(rows).to_have_count(50)
        names = [row.inner_text() for row in rows.locator("button").all()]
        assert sorted(names) == sorted(f"n{number}" for number in range(100, 150)), names
        assert re.search("only=BLOCKED&rank=3", page.url), page.url
        page.reload()
        expect(rows).to_have_count(50)
        table.get_by_role("button", name="Show all").press("Enter")
        expect(rows).to_have_count(400)
        press(page, "!")
        expect(table).to_contain_text("Only")
        expect(rows).to_have_count(0)
        press(page, "!")
        expect(rows).to_have_count(400)


# ---- over time -----------------------------------------------------------------------------------------------------

BEGUN = 1_795_932_000  # 2026-11-29T06:00:00Z


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(BEGUN + seconds, UTC).isoformat().replace("+00:00", "Z")


def _lane(number: int) -> dict[str, Any]:
    """A lane whose first attempt fails; the second one is an hour later, and fails in each third lane, too."""
    begin = number % 50 * 2.0
    first = {"attempt": 1, "start": _time(begin), "end": _time(begin + 20), "ending": "failed"}
    second = {"attempt": 2, "start": _time(3_600 + begin), "end": _time(3_640 + begin), "ending": "succeeded"}
    if number % 3 == 0:
        second["ending"] = "failed"
    error = {"class": "retryable", "message": f"HTTP 502 from the provider, body empty, lane {number}"}
    bars = [
        {"bot": "writer", "lease_id": "lse", "round": 1, "error": error if bar["ending"] == "failed" else None, **bar}
        for bar in (first, second)
    ]
    return {
        "work_id": f"sub_{number}", "kind": "execute", "key": f"lane-{number}", "subject": None, "round": 1,
        "status": "FAILED" if number % 3 == 0 else "SUCCEEDED", "created_at": _time(0), "since": _time(0),
        "wake_at": None, "fails_at": None, "bars": bars, "bars_left_out": 0,
        "waits": [{"start": bars[0]["end"], "end": bars[1]["start"], "after": "failed"}],
    }  # fmt: skip


def _pages(count: int) -> Any:
    """Answer as the server does for so many lanes, 200 a page."""

    def answer(route: Route) -> None:
        found = re.search(r"page_token=(\d+)", route.request.url)
        first = int(found[1]) if found else 0
        following = str(first + 200) if first + 200 < count else ""
        route.fulfill(
            json={
                "items": [_lane(number) for number in range(first, min(count, first + 200))], "task_id": "tsk",
                "status": "FAILED", "next_page_token": following, "created_at": _time(0),
                "updated_at": _time(3_800), "now": _time(4_000),
            }
        )  # fmt: skip

    return answer


@journey
def reads_a_timeline(context: BrowserContext) -> None:
    """Idle time is folded, errors are never over bars, arrow keys walk from lane to lane, a brush zooms into a time."""
    with watched(context) as page:
        page.route("**/timeline?*", _pages(60))
        sign_in(page)
        at(page, f"tasks/{given.arguments[0]}?view=timeline")
        lanes, chart = page.locator("button.lane"), page.locator(".chart")
        expect(lanes.first).to_contain_text("lane-0")
        settled(page)
        assert chart.locator("rect[fill='url(#fold)']").count() == 1
        expect(page.locator(".timeline .foot")).to_contain_text("58 m 02 s without work folded")
        assert chart.locator(".why-not").count() > 5
        assert told(page, COVERED) == 0
        drawn = chart.locator(".attempt").count()
        assert drawn == 2 * lanes.count(), (drawn, lanes.count())
        expect(lanes.first).to_have_attribute("aria-label", re.compile(r"^lane-0: failed, 2 attempts, HTTP 502"))

        lanes.first.focus()
        press(page, "ArrowDown", "ArrowDown", "Enter")
        assert "subtask=lane-2" in page.url, page.url
        press(page, "Escape")
        lanes.first.focus()
        press(page, "End")
        expect(page.locator("button.lane:focus")).to_contain_text("lane-59")
        expect(page.locator("button.lane:focus")).to_be_in_viewport()

        press(page, "+")
        expect(page).to_have_url(re.compile("from=.*to="))
        inside = page.url
        assert told(page, COVERED) == 0
        page.reload()
        expect(page.get_by_role("button", name="Show all the time")).to_be_visible()
        assert page.url == inside
        press(page, "ArrowRight")
        expect(page).not_to_have_url(inside)
        press(page, "-", "-", "0")
        expect(page).not_to_have_url(re.compile("from="))

        box = chart.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 10, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + 90, box["y"] + 60, steps=4)
        expect(page.locator(".brush")).to_be_visible()
        page.mouse.up()
        expect(page).to_have_url(re.compile("from=2026-11-29T06%3A00.*to=2026-11-29T06%3A00"))
        assert chart.locator("rect[fill='url(#fold)']").count() == 0
        press(page, "0", "!")
        expect(lanes).to_have_count(20)
        assert "only=FAILED" in page.url
        page.set_viewport_size(NARROW)
        settled(page)
        assert chart.locator(".why-not").count() > 2
        assert told(page, COVERED) == 0


@journey
def scrolls_through_many_lanes(context: BrowserContext) -> None:
    """Of 1,000 lanes only those in view are drawn; more are read when the end comes near; nothing freezes."""
    with watched(context) as page:
        page.route("**/timeline?*", _pages(1_000))
        sign_in(page)
        with never_frozen(page):
            at(page, f"tasks/{given.arguments[0]}?view=timeline")
            lanes = page.locator("button.lane")
            expect(lanes.first).to_be_visible()
            page.locator(".lanes").hover()
            for _ in range(60):
                if page.locator("[data-lane='999']").count():
                    break
                page.mouse.wheel(0, 3_000)
                page.wait_for_timeout(60)
            expect(page.locator("[data-lane='999']")).to_contain_text("lane-999")
            assert lanes.count() < 60, lanes.count()
            assert told(page, COVERED) == 0


# ---- what came of it -----------------------------------------------------------------------------------------------


@journey
def follows_the_verdicts(context: BrowserContext) -> None:
    """Each round's verdict is there, with evaluator, score, reasons, findings and feedback."""
    with watched(context) as page:
        sign_in(page)
        at(page, f"tasks/{given.arguments[0]}?tab=results")
        trail = page.locator(".trail > li")
        expect(trail).to_have_count(2)
        for text in (
            "rework",
            "round 1",
            "0.4",
            "critic",
            "No source is given",
            "major in a: The sum is wrong",
            "to do again in a: Add it up again",
        ):
            expect(trail.first).to_contain_text(text)
        for text in ("accept", "round 2", "0.9", "Now it is right"):
            expect(trail.nth(1)).to_contain_text(text)
        at(page, f"tasks/{given.arguments[1]}?subtask=a")
        inspector = page.get_by_role("complementary")
        expect(inspector.locator(".trail > li")).to_have_count(2)
        expect(inspector.locator(".attempts > li")).to_have_count(2)
        expect(inspector.locator(".trail > li").first).to_contain_text("to do again in a: Shorter")
        inspector.get_by_role("button", name="Show the input").click()
        expect(inspector.get_by_role("region", name="Input")).to_contain_text('"limit": 9007199254740992')
        inspector.get_by_role("button", name="Show its audit records").press("Enter")
        records = inspector.get_by_role("region", name="Audit records").locator("ol > li")
        expect(records).to_have_count(2)  # a report in each round
        expect(records.first).to_contain_text("work.report")
        expect(records.first).to_contain_text("round 2")
        at(page, f"tasks/{given.arguments[0]}?view=timeline")
        lanes, bars = page.locator("button.lane"), page.locator(".chart .attempt")
        expect(lanes).to_have_count(3)  # the subtask, and a review in each round
        expect(bars).to_have_count(4)
        expect(page.locator(".chart .attempt.before")).to_have_count(1)
        assert page.locator(".chart .wait").count() > 0
        lanes.nth(1).press("Enter")
        expect(inspector.get_by_role("heading", name="review/1/1")).to_be_visible()
        expect(inspector).to_contain_text("No source is given")


@journey
def reads_large_outputs(context: BrowserContext) -> None:
    """8 MiB, 10,000 keys and deep nesting: text and trees are there, and nothing freezes for 100 ms."""
    with watched(context) as page:
        sign_in(page)
        with never_frozen(page):
            task = f"tasks/{given.arguments[0]}"
            at(page, f"{task}?subtask=huge&as=tree")  # it is too large for one
            inspector = page.get_by_role("complementary")
            expect(inspector).to_contain_text("more than 1 MiB")
            expect(inspector).to_contain_text(f"swarmkeeper task result {given.arguments[0]} huge")
            assert len(inspector.get_by_role("region", name="Output").inner_text()) >= 64 * 1024 - 2
            expect(inspector.get_by_role("tree")).to_have_count(0)

            at(page, f"{task}?subtask=wide&as=tree")
            tree = inspector.get_by_role("tree", name="Output")
            rows = tree.get_by_role("treeitem")
            expect(rows.first).to_contain_text("{10,000}")
            tree.focus()
            press(page, "End")
            expect(tree.locator(".chosen")).to_contain_text("key9999")
            expect(tree.locator(".chosen")).to_have_attribute("aria-setsize", "10000")
            assert rows.count() < 100, rows.count()
            press(page, "ArrowLeft")
            expect(tree.locator(".chosen")).to_contain_text("{10,000}")

            at(page, f"{task}?subtask=deep&as=tree")
            expect(rows.first).to_be_visible()
            tree.focus()
            press(page, *["ArrowRight"] * 125)
            expect(tree.locator(".chosen")).to_have_attribute("aria-level", given.arguments[1])
            press(page, "ArrowLeft", "ArrowLeft")
            expect(tree.locator(".chosen")).to_have_attribute("aria-expanded", "false")

            for beside in ("huge", "deep"):  # each tab and view, with either output beside it
                for place in ("view=table", "view=timeline", "tab=events", "tab=audit", "tab=messages", "view=graph"):
                    at(page, f"{task}?{place}&subtask={beside}")
                    expect(inspector.get_by_role("region", name="Output")).to_be_visible()
                    settled(page)

            at(page, f"{task}?tab=results")
            values = page.locator(".results .value")
            expect(values).to_have_count(1)
            for number, key in enumerate(("wide", "deep", "plain"), start=2):
                page.locator("summary", has_text=key).press("Enter")
                expect(values).to_have_count(number)
            settled(page)


@journey
def reads_hostile_outputs(context: BrowserContext) -> None:
    """Scripts are text, signs that turn text are shown as what they are, and numbers stay as they were sent."""
    with watched(context) as page:
        sign_in(page)
        at(page, f"tasks/{given.arguments[0]}?subtask=a")
        output = page.get_by_role("complementary").get_by_role("region", name="Output")
        for text in (
            "<script>window.ran=1</script>",
            "invoice\\u202egnp.exe",
            "9007199254740992",
            "-9007199254740992",
            "0.1",
        ):
            expect(output).to_contain_text(text)
        page.get_by_role("button", name="tree").click()
        tree = page.get_by_role("tree", name="Output")
        for text in ("onerror", "invoice\\u202egnp.exe", "9007199254740992"):
            expect(tree).to_contain_text(text)
        assert "as=tree" in page.url


@journey
def sees_why_it_waits(context: BrowserContext) -> None:
    """Every reason there is, with alike items in one row, a command where one helps, and no row wider than the page."""
    with watched(context) as page:
        explanation = json.loads(given.arguments[1])

        def explained(route: Route) -> None:
            route.fulfill(json={**read(context, f"tasks/{given.arguments[0]}"), "explanation": explanation})

        page.route(re.compile(rf"/tasks/{given.arguments[0]}\?"), explained)
        sign_in(page)
        at(page, f"tasks/{given.arguments[0]}")
        rows = page.locator(".why li")
        expect(rows).to_have_count(6)
        expect(rows.first).to_contain_text("lift the kill")
        expect(page.locator(".why")).to_contain_text("wait for other reasons")
        page.get_by_role("button", name=re.compile("Show all")).press("Enter")
        expect(rows).to_have_count(len(explanation["reasons"]))
        expect(page.locator(".why")).to_contain_text("and 349 more")
        assert page.locator(".why .command").count() == sum(1 for each in explanation["waiting"] if each["fix"])


# ---- live ----------------------------------------------------------------------------------------------------------


@journey
def follows_a_live_swarm(context: BrowserContext) -> None:
    """Bots work while the page is open: what it shows changes by itself, and in the end is what the API says."""
    with watched(context) as page:
        sign_in(page)
        at(page, f"tasks/{given.arguments[0]}?view=timeline")
        facts, bars = page.locator(".facts-line"), page.locator(".chart .attempt")
        expect(page.get_by_role("button", name=re.compile("^l11: "))).to_be_visible()
        press(page, "p")
        seen: set[str] = set()
        counts: set[int] = set()
        for _ in range(400):
            text = facts.inner_text() if facts.count() else ""
            seen.add(text.partition(" done")[0])
            counts.add(bars.count())
            if text.startswith("12 of 12"):
                break
            page.wait_for_timeout(50)
        assert min(len(seen), len(counts)) > 3, (seen, counts)
        expect(page.locator(".task-head .state")).to_contain_text("archived")
        read_again(context, page)
        settled(page)
        lanes = read(context, f"tasks/{given.arguments[0]}/timeline")["items"]
        expect(bars).to_have_count(sum(len(lane["bars"]) for lane in lanes))
        shown = [each.get_attribute("aria-label") or "" for each in page.locator("button.lane").all()]
        assert [each.partition(":")[0] for each in shown] == [lane["key"] for lane in lanes]
        at(page, f"tasks/{given.arguments[0]}?view=graph")
        expect(page.locator(".node.tone-ok")).to_have_count(12)
        at(page, f"tasks/{given.arguments[0]}?tab=events")
        events = read(context, f"tasks/{given.arguments[0]}/events?page_size=500")["items"]
        rows = page.get_by_role("region", name="Events").locator("ol > li")
        expect(rows).to_have_count(min(50, len(events)))
        expect(rows.first.locator("time")).to_have_attribute("datetime", events[-1]["time"])
