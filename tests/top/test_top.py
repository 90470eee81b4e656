"""`swarmkeeper top`, driven by Textual's own pilot against a real server on a socket."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console
from textual.pilot import Pilot
from textual.widgets import Input, Static

from swarmkeeper.cli.tasks.query_line import understood
from swarmkeeper.cli.top import words
from swarmkeeper.cli.top.app import TopApp
from swarmkeeper.cli.top.following import BriskCalls
from swarmkeeper.cli.top.views import InboxView, Rows
from swarmkeeper.sdk.client import Client
from swarmkeeper.server import Served, serving
from swarmkeeper.settings import Settings
from tests.http.conftest import Caller

PATIENCE_SECONDS = 15


@dataclass
class Place:
    """A server, and what a test does at it besides."""

    served: Served
    admin: Caller
    key: str

    async def submit(self, title: str, **more: Any) -> str:
        step = {"key": "a", "description": "a", "required_skills": ["write"], "max_attempts": 1}
        made = await self.admin.post("/tasks", {"title": title, "subtasks": [step], "evaluation": "none", **more})
        assert made.status == 201, made.json
        return str(made.json["id"])

    async def take(self, task: str) -> tuple[str, str]:
        """Let a bot lease the work of a task; return the ids of the bot and of the lease."""
        body = {"type": "Executor", "version": "1", "name": "writer", "skills": ["write"], "capacity": 64}
        bot = (await self.admin.post("/bots/register", body)).json["id"]
        leases = (await self.admin.post("/leases", {"bot_id": bot, "max": 8, "wait_seconds": 0})).json["leases"]
        (lease,) = [each["lease_id"] for each in leases if each["task_id"] == task]
        return bot, lease

    async def fail(self, task: str, message: str) -> None:
        bot, lease = await self.take(task)
        error = {"class": "not_retryable", "message": message}
        sent = {"bot_id": bot, "lease_id": lease, "status": "failed", "error": error}
        assert (await self.admin.post(f"/tasks/{task}/results", sent)).status == 200


def settings(store: str = "sqlite://:memory:", port: int = 0) -> Settings:
    return Settings(store=store, log_level="error", port=port, four_eyes=False)


@asynccontextmanager
async def open_place(store: str = "sqlite://:memory:", port: int = 0, key: str | None = None) -> AsyncIterator[Place]:
    async with serving(settings(store, port)) as served:
        key = key or await served.swarm.make_key("admin")
        yield Place(served, Caller(served.swarm.app, key), key)


@asynccontextmanager
async def seen(place: Place, line: str = "") -> AsyncIterator[Pilot[None]]:
    """Open `top` on a screen of 140 × 40."""
    async with Client(place.served.url, place.key) as client:
        client.calls = BriskCalls.like(client.calls)
        async with TopApp(client, line).run_test(size=(140, 40)) as pilot:
            yield pilot


async def until(pilot: Pilot[None], holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            await pilot.pause(0.05)


def text(pilot: Pilot[None], name: str) -> str:
    """Return what a part of the screen says."""
    console = Console(width=200, force_terminal=False)
    with console.capture() as said:
        console.print(pilot.app.query_one(name, Static).content)
    return said.get()


def rows(pilot: Pilot[None], name: str) -> list[str]:
    table = pilot.app.query_one(name, Rows)
    return [" ".join(map(str, table.get_row(key))) for key in table.rows]


async def test_a_person_approves_what_they_see_with_one_key() -> None:
    async with open_place() as place:
        await place.submit("Move the ledger", approval="plan")
        async with seen(place) as pilot:
            await until(pilot, lambda: "Inbox 1" in text(pilot, "#bar"))
            await until(pilot, lambda: "signs" in text(pilot, "#decision-text"))
            (approval,) = (await place.admin.get("/approvals?state=open")).json["items"]
            assert approval["subject_hash"] in text(pilot, "#decision-text")
            await pilot.press("a")
            await until(pilot, lambda: not pilot.app.query_one(InboxView).approval)
        decided = (await place.admin.get(f"/approvals/{approval['id']}")).json["decision"]
        assert decided["verb"] == "approve"


async def test_a_person_rejects_with_a_reason_and_answers_with_a_digit() -> None:
    async with open_place() as place:
        await place.submit("Move the ledger", approval="plan")
        async with seen(place) as pilot:
            await until(pilot, lambda: "signs" in text(pilot, "#decision-text"))
            await pilot.press("x", *"too dear", "enter")
            await until(pilot, lambda: not pilot.app.query_one(InboxView).approval)
            (decided,) = (await place.admin.get("/approvals?state=decided")).json["items"]
            assert (decided["decision"]["verb"], decided["decision"]["reason"]) == ("reject", "too dear")

            _, lease = await place.take(await place.submit("Release notes"))
            asked = {"question": "Which picture?", "choices": ["forest", "harbour"]}
            question = (await place.admin.post(f"/leases/{lease}:ask", asked)).json["approval_id"]
            await until(pilot, lambda: len(rows(pilot, "#inbox-rows")) == 2)
            await pilot.press("k")  # the task that failed by the rejection has stayed the chosen row
            await until(pilot, lambda: "2  harbour" in text(pilot, "#decision-text"))
            await pilot.press("3", "2")
            await until(pilot, lambda: not pilot.app.query_one(InboxView).approval)
        decided = (await place.admin.get(f"/approvals/{question}")).json
        assert decided["decision"]["answer"] == "harbour"


async def test_a_stale_subject_is_shown_anew_and_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_place() as place:
        await place.submit("Move the ledger", approval="plan")
        async with seen(place) as pilot:
            await until(pilot, lambda: "signs" in text(pilot, "#decision-text"))
            sent: list[str] = []
            client = cast(TopApp, pilot.app)._client
            honest, read = client.approve, client.approval

            async def stale(approval: str, subject_hash: str, comment: str | None = None) -> Any:
                sent.append(subject_hash)
                return await honest(approval, "0" * 64, comment)

            async def changed(approval: str) -> Any:
                return (await read(approval)).model_copy(update={"subject_hash": "1" * 64})

            monkeypatch.setattr(client, "approve", stale)
            monkeypatch.setattr(client, "approval", changed)
            await pilot.press("a")
            await until(pilot, lambda: "It has changed since you read it" in text(pilot, "#decision-text"))
            assert "1" * 64 in text(pilot, "#decision-text")
            await pilot.press("a", "a")
            assert len(sent) == 1
            await pilot.press("enter", "a")
            await until(pilot, lambda: len(sent) == 2)
            assert sent[1] == "1" * 64
        (approval,) = (await place.admin.get("/approvals?state=open")).json["items"]
        assert approval["decision"] is None


async def test_tasks_are_filtered_by_the_same_line_as_in_the_dashboard_and_opened() -> None:
    async with open_place() as place:
        bad = await place.submit("Parse invoice 1", labels={"team": "money"})
        await place.fail(bad, "KeyError: 'total'\nat parse.py:12")
        await place.submit("Parse invoice 2", labels={"team": "docs"})
        async with seen(place) as pilot:
            await pilot.press("g", "t")
            await until(pilot, lambda: len(rows(pilot, "#task-rows")) == 2)
            await pilot.press("exclamation_mark")
            await until(pilot, lambda: len(rows(pilot, "#task-rows")) == 1)
            assert "KeyError: 'total'" in rows(pilot, "#task-rows")[0]
            assert pilot.app.query_one("#query", Input).value == "status:failed"
            await pilot.press("enter")
            await until(pilot, lambda: "subtask a" in text(pilot, "#task-text"))
            assert "KeyError" in rows(pilot, "#subtask-rows")[0]
            await pilot.press("escape", "escape")
            await until(pilot, lambda: len(rows(pilot, "#task-rows")) == 2)
            await pilot.press("slash", *"label:team=docs nonsense:1", "enter")
            await until(pilot, lambda: len(rows(pilot, "#task-rows")) == 1)
            await until(pilot, lambda: "nonsense:1: write status:" in text(pilot, "#problems"))
            assert understood("label:team=docs nonsense:1").label == ["team:docs"]


async def test_what_changes_shows_by_itself_and_the_chosen_row_stays() -> None:
    async with open_place() as place:
        first = await place.submit("first")
        await place.submit("second")
        async with seen(place, "sort:newest") as pilot:
            await until(pilot, lambda: len(rows(pilot, "#task-rows")) == 2)
            await pilot.press("j")
            assert pilot.app.query_one("#task-rows", Rows).chosen == first
            await place.submit("third")
            await until(pilot, lambda: len(rows(pilot, "#task-rows")) == 3)
            assert pilot.app.query_one("#task-rows", Rows).chosen == first


async def test_the_inbox_says_what_is_stuck_and_what_failed_and_the_command_that_helps() -> None:
    async with open_place() as place:
        bad = await place.submit("Parse invoice 1")
        await place.fail(bad, "KeyError: 'total'")
        step = {"key": "scan", "description": "scan", "required_skills": ["ocr it"]}
        await place.admin.post("/tasks", {"title": "Scan", "subtasks": [step], "evaluation": "none"})
        async with seen(place) as pilot:
            await until(pilot, lambda: len(rows(pilot, "#inbox-rows")) == 2)
            stuck, failed = rows(pilot, "#inbox-rows")
            assert "1 wait for ocr it: no bot can do it" in stuck
            assert "1 failed: KeyError: 'total'" in failed
            await until(pilot, lambda: "bot run FILE --skill 'ocr it'" in text(pilot, "#decision-text"))
            await pilot.press("j", "enter")
            await until(pilot, lambda: len(rows(pilot, "#task-rows")) == 1)


async def test_it_lives_through_a_restart_of_the_server_and_does_nothing_meanwhile(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = f"sqlite:///{tmp_path / 'store.db'}"
    async with AsyncExitStack() as screen:
        async with open_place(store, port) as place:
            await place.submit("before", approval="plan")
            pilot = await screen.enter_async_context(seen(place))
            await until(pilot, lambda: "signs" in text(pilot, "#decision-text"))
        await until(pilot, lambda: "no answer, next try in" in text(pilot, "#bar"))
        await pilot.press("a")
        assert "nothing was sent" in text(pilot, "#foot")
        async with open_place(store, port, place.key) as again:
            await until(pilot, lambda: "live" in text(pilot, "#bar"))
            assert len((await again.admin.get("/approvals?state=open")).json["items"]) == 1
            await again.submit("after")
            await pilot.press("g", "t")
            await until(pilot, lambda: len(rows(pilot, "#task-rows")) == 2)
            await screen.aclose()


async def test_an_answer_that_comes_while_it_ends_is_nobodys_error() -> None:
    async with open_place() as place, seen(place) as pilot:
        await until(pilot, lambda: "Nothing needs you" in text(pilot, "#decision-text"))
        for view in (*pilot.app.query(Rows), *pilot.app.query(Static)):
            await view.remove()  # in this order the program takes itself apart, from the inside out

        await place.submit("hello")
        await asyncio.sleep(0.5)


async def test_texts_that_mean_harm_are_shown_and_change_nothing() -> None:
    async with open_place() as place:
        await place.submit("[bold red]{x}[/] $(id)", description="\x1b[2J\u202e")
        async with seen(place, "sort:newest") as pilot:
            await until(pilot, lambda: rows(pilot, "#task-rows"))
            assert "[bold red]{x}[/] $(id)" in rows(pilot, "#task-rows")[0]
    assert str(words.line("\x1b[2J\u202eend\n")) == "\\x1b[2J\\u202eend\\n"
