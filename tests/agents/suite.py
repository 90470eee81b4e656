"""The twelve scenarios that the bot around any framework's agent passes, against a real orchestrator on a socket."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper import Accept, Candidate, Context, EvaluatorBot, Rework
from swarmkeeper.agents import Caps, agent_bot, running_attempt
from swarmkeeper.core.decide.effects import closing
from swarmkeeper.testing.test_server import LEASE_SECONDS, Process, TestServer, running_test_server, soon
from swarmkeeper.wire.answers import SubTaskDetail, Task
from tests.agents.script import INPUT_TOKENS, OUTPUT_TOKENS, Call, FrameworkUnderTest, Hang, Say, Script
from tests.sdk.bot_thread import at_work

TOKENS = INPUT_TOKENS + OUTPUT_TOKENS
# Seconds of a lease where no test waits for a heartbeat or for its end: no stall of a busy machine may repeat work.
LONG = 60.0
SECRET = "ghp_" + "R4nd0mT0kenV4lue" * 2 + "abcd"  # a form that the orchestrator knows
OWN_KEY = "an-unknown-form-of-key-19c2"  # only this process knows that it is a secret


async def note(text: str) -> str:
    """Write a note."""
    return f"noted {text}"


async def broken(text: str) -> str:
    """Fail."""
    raise RuntimeError(f"no disk for {text}")


class AgentSuite:
    """Derive from it and set `framework`. Each scenario says what a person sees of the task."""

    framework: FrameworkUnderTest

    def bot(self, agent: Any, **settings: Any) -> Any:
        return agent_bot(agent, skills={"write"}, name="writer", **settings)

    async def done(self, server: TestServer, bot: Any, *others: Any, **task: Any) -> tuple[Task, SubTaskDetail]:
        async with at_work(server, bot, *others):
            submitted = await submit(server, **task)
            ended = await server.client.wait(submitted.id, timeout=40)
        return ended, await server.client.subtask(submitted.id, "job")

    async def test_an_agent_does_the_work_and_its_use_is_counted(self) -> None:
        script = Script(Call("note", {"text": "a"}), Say("written"))
        async with running_test_server(lease_seconds=LONG) as server:
            bot = self.bot(self.framework.agent(script, [note]), cost=lambda model, usage: 7 * usage.requests)
            task, job = await self.done(server, bot)

        assert task.result == {"job": {"text": "written"}}
        assert (len(script.seen), task.usage.tokens, task.usage.cost_micro_usd) == (2, 2 * TOKENS, 14)
        assert "Write a poem" in script.seen[0]
        assert "about the sea" in script.seen[0]
        assert "noted a" in script.seen[1]
        assert any("tool note" in line for line in log_of(job))

    async def test_a_tools_error_is_shown_and_the_agent_goes_on(self) -> None:
        script = Script(Call("broken", {"text": "x"}), Say("without it"))
        async with running_test_server(lease_seconds=LONG) as server:
            task, job = await self.done(server, self.bot(self.framework.agent(script, [broken])), max_attempts=1)

        assert any("tool broken failed" in line and "no disk for x" in line for line in log_of(job)), log_of(job)
        assert task.outcome == ("failed" if self.framework.tool_errors_end_the_run else "accepted")

    async def test_an_endless_loop_ends_at_its_cap_and_is_not_repeated(self) -> None:
        # The calls differ, because some frameworks end a loop of equal ones by themselves.
        script = Script(*(Call("note", {"text": f"again {number}"}) for number in range(100)))
        async with running_test_server(lease_seconds=LONG) as server:
            bot = self.bot(self.framework.agent(script, [note]), caps=Caps(requests=6))
            task, job = await self.done(server, bot)

        assert task.outcome == "failed"
        assert (len(script.seen), len(job.attempts)) == (6, 1)
        assert "cap of 6 requests" in error_of(job)
        assert task.usage.tokens == 6 * TOKENS

    async def test_a_provider_that_refuses_twice_for_now_costs_no_try(self) -> None:
        script = Script(self.framework.rate_limited, self.framework.rate_limited, Say("at last"))
        async with running_test_server(lease_seconds=LONG) as server:
            task, job = await self.done(server, self.bot(self.framework.agent(script)), max_attempts=1)

        assert task.result == {"job": {"text": "at last"}}
        assert len(script.seen) == 3, "the framework does not repeat requests by itself here"
        assert [(attempt.error or {}).get("class") for attempt in job.attempts[:2]] == ["rate_limited"] * 2
        assert [call.body["error"]["retry_after_seconds"] for call in server.of("report")[:2]] == [0.2] * 2

    async def test_a_slow_call_is_cancelled_with_its_task_and_its_use_is_kept(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(closing, "GRACE", 2_000_000)  # in place of ten seconds
        script = Script(Call("note", {"text": "a"}), Hang())
        async with running_test_server() as server:
            async with at_work(server, self.bot(self.framework.agent(script, [note]))):
                task = await submit(server)
                assert await soon(lambda: script.hung == 1 and reported(server, TOKENS), 20)
                await server.client.cancel(task.id)
                assert await soon(lambda: script.cancelled == 1, 20), "the framework's own request was cancelled"
                assert await soon(lambda: counted(server, task.id, TOKENS), 20), "when its grace period is over"
            ended = await server.client.get(task.id)

        assert ended.outcome == "cancelled"

    async def test_a_call_that_blocks_for_longer_than_the_lease_keeps_it(self) -> None:
        begun = threading.Event()

        async def block(text: str) -> str:
            """Block the loop, as badly written tools do."""
            begun.set()
            time.sleep(1.5 * LEASE_SECONDS)  # noqa: ASYNC251 - the mistake under test
            return "awake"

        script = Script(Call("block", {"text": "a"}), Say("done"))
        async with running_test_server() as server:
            task, job = await self.done(server, self.bot(self.framework.agent(script, [block])), max_attempts=1)

        assert begun.is_set()
        assert (task.result, len(job.attempts)) == ({"job": {"text": "done"}}, 1)

    @pytest.mark.parametrize("approved", [True, False])
    async def test_a_person_is_asked_before_a_tool_is_called(self, approved: bool) -> None:
        called = []

        async def refund(text: str) -> str:
            """Pay money back."""
            called.append(text)
            return "refunded 5"

        script = Script(Call("refund", {"text": "five"}), Say("settled"))
        async with running_test_server(lease_seconds=LONG) as server:
            agent = self.framework.agent(script, [refund], ask_before=[refund])
            async with at_work(server, self.bot(agent)):
                task = await submit(server)
                question = await asked(server, task.id)
                assert called == []
                await server.client.answer(question.id, self.framework.approval(approved))
                ended = await server.client.wait(task.id, timeout=30)

        assert "refund" in (question.question or "")
        assert "five" in (question.question or "")
        assert called == (["five"] if approved else [])
        assert ended.result == {"job": {"text": "settled"}}
        assert len(script.seen) == 2, "no model request was made again"
        assert ("refunded 5" in script.seen[1]) is approved
        assert ended.usage.tokens == 2 * TOKENS

    async def test_a_person_is_asked_again_before_the_next_call(self) -> None:
        called = []

        async def refund(text: str) -> str:
            """Pay money back."""
            called.append(text)
            return f"refunded {text}"

        script = Script(Call("refund", {"text": "five"}), Call("refund", {"text": "six"}), Say("settled"))
        async with running_test_server(lease_seconds=LONG) as server:
            agent = self.framework.agent(script, [refund], ask_before=[refund])
            async with at_work(server, self.bot(agent)):
                task = await submit(server)
                for text in ("five", "six"):
                    question = await asked(server, task.id)
                    assert text in (question.question or "")
                    await server.client.answer(question.id, self.framework.approval(approved=True))
                ended = await server.client.wait(task.id, timeout=30)

        assert (called, len(script.seen)) == (["five", "six"], 3)
        assert (ended.result, ended.usage.tokens) == ({"job": {"text": "settled"}}, 3 * TOKENS)

    @pytest.mark.usefixtures("forks")
    async def test_after_a_crash_another_bot_continues_from_the_checkpoint(self) -> None:
        async with running_test_server() as server:
            task = await submit(server)
            crashed = await Process.start(
                [sys.executable, "-m", "tests.agents.crash_bot", self.framework.package],
                {"SWARMKEEPER_URL": server.url, "SWARMKEEPER_API_KEY": await server.swarm.make_key("admin")},
            )
            try:
                assert await soon(lambda: kept_states(server) != [], 60), crashed.said
            finally:
                await crashed.kill()  # SIGKILL
            script = Script(Say("after the crash"))
            async with at_work(server, self.bot(self.framework.agent(script, [note]))):
                ended = await server.client.wait(task.id, timeout=40)

        assert ended.result == {"job": {"text": "after the crash"}}
        assert len(script.seen) == 1
        assert "Write a poem" in script.seen[0]
        assert "noted before the crash" in script.seen[0], "the tool's result came with the checkpoint"

    async def test_a_rework_shows_the_agent_what_was_wrong_and_what_it_had_written(self) -> None:
        script = Script(Say("roses are red"), Say("the sea is blue"))
        async with running_test_server(lease_seconds=LONG) as server:
            task, _ = await self.done(
                server, self.bot(self.framework.agent(script)), Critic(), evaluation="final", max_rounds=2
            )

        assert task.result == {"job": {"text": "the sea is blue"}}
        assert "write about the sea" not in script.seen[0]
        assert "write about the sea" in script.seen[1]
        assert "roses are red" in script.seen[1]

    async def test_odd_outputs_arrive_as_json(self) -> None:
        value = {"when": date(2026, 1, 31), "raw": b"\x01", "big": 2**70, "text": "a\0b\ud800"}
        async with running_test_server(lease_seconds=LONG) as server:
            task, _ = await self.done(server, self.bot(self.framework.returning(value)))

        assert task.result is not None
        found = found_in(task.result["job"])
        assert found == {"when": "2026-01-31", "raw": "AQ==", "big": str(2**70), "text": "a\\u0000b\\ud800"}

    async def test_an_output_with_nan_fails_at_once_with_its_place_and_is_kept(self) -> None:
        async with running_test_server(lease_seconds=LONG) as server:
            task, job = await self.done(server, self.bot(self.framework.returning({"n": [1.0, float("nan")]})))

        assert (task.outcome, len(job.attempts)) == ("failed", 1)
        assert "/n/1: is not a finite number" in error_of(job)
        kept = next(word for word in error_of(job).split() if word.endswith(".json"))
        assert "NaN" in await asyncio.to_thread(Path(kept).read_text, encoding="utf-8")

    async def test_a_secret_in_a_message_is_hidden(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PROVIDER_API_KEY", OWN_KEY)

        async def leak(text: str) -> str:
            """Fail with secrets in the message."""
            raise RuntimeError(f"{SECRET} and {OWN_KEY} are wrong")

        script = Script(Call("leak", {"text": OWN_KEY}), Call("pay", {"text": f"{OWN_KEY} {SECRET}"}), Say(OWN_KEY))
        async with running_test_server(lease_seconds=LONG) as server:
            agent = self.framework.agent(script, [leak, pay], ask_before=[pay])
            async with at_work(server, self.bot(agent)):
                task = await submit(server, max_attempts=1)
                assert await soon(lambda: bool(server.of("ask") or server.of("report")), 30)
                if server.of("ask"):
                    question = await asked(server, task.id)
                    await server.client.answer(question.id, self.framework.approval(approved=False))
                await server.client.wait(task.id, timeout=30)
            shown = str([await everything(server, task.id)])

        assert OWN_KEY not in json.dumps([call.body for call in server.calls if call.kind != "other"])
        assert "[hidden: PROVIDER_API_KEY]" in shown
        assert SECRET not in shown, "the orchestrator hides what it knows by its form"

    async def test_a_program_that_a_tool_starts_ends_with_the_cancelled_task(self, tmp_path: Path) -> None:
        ids = tmp_path / "ids"

        async def work(text: str) -> str:
            """Start a program that starts another one."""
            await running_attempt().run(f"sleep 300 & echo $! $$ >{ids}; wait")
            return "never"

        script = Script(Call("work", {"text": "a"}), Say("never"))
        async with running_test_server() as server:
            async with at_work(server, self.bot(self.framework.agent(script, [work]))):
                task = await submit(server)
                assert await soon(lambda: ids.exists() and len(ids.read_text().split()) == 2, 20)
                processes = [int(word) for word in ids.read_text().split()]
                assert all(map(lives, processes))
                await server.client.cancel(task.id)
                assert await soon(lambda: not any(map(lives, processes)), 20)

    async def test_use_is_kept_when_the_run_fails(self) -> None:
        script = Script(Call("note", {"text": "a"}), lambda: RuntimeError("the connection broke"))
        async with running_test_server(lease_seconds=LONG) as server:
            task, job = await self.done(server, self.bot(self.framework.agent(script, [note])), max_attempts=1)

        assert task.outcome == "failed"
        assert "the connection broke" in error_of(job)
        assert task.usage.tokens == TOKENS


def lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


async def pay(text: str) -> str:
    """Pay."""
    return "paid"


class Critic(EvaluatorBot):
    """Wants the sea."""

    name = "critic"

    async def review(self, candidate: Candidate, context: Context) -> Accept | Rework:
        if "sea" in json.dumps(candidate.results):
            return Accept()
        return Rework(targets={"job": "write about the sea"})


async def submit(server: TestServer, evaluation: str = "none", max_rounds: int = 1, max_attempts: int = 3) -> Task:
    job = {
        "key": "job",
        "description": "Write a poem",
        "input": {"text": "about the sea"},
        "required_skills": ["write"],
        "max_attempts": max_attempts,
    }
    return await server.client.submit("Poems", evaluation=evaluation, max_rounds=max_rounds, subtasks=[job])


async def asked(server: TestServer, task_id: str) -> Any:
    """Wait until the task asks a person something, and return it."""
    async with asyncio.timeout(20):
        while True:
            async for approval in server.client.approvals(state="open", task_id=task_id):
                return approval
            await asyncio.sleep(0.02)


async def everything(server: TestServer, task_id: str) -> Any:
    """Return what people can read of a task without its work's data."""
    job = await server.client.subtask(task_id, "job")
    approvals = [each.model_dump() async for each in server.client.approvals(task_id=task_id)]
    return [[attempt.model_dump() for attempt in job.attempts], approvals]


def log_of(job: SubTaskDetail) -> list[str]:
    return [line for attempt in job.attempts for line in (attempt.progress.log or [] if attempt.progress else [])]


def error_of(job: SubTaskDetail) -> str:
    return str((job.attempts[-1].error or {}).get("message"))


def found_in(output: Any) -> Any:
    """The value, wherever the framework's output has it."""
    return output.get("found", output)


async def counted(server: TestServer, task_id: str, tokens: int) -> bool:
    return (await server.client.get(task_id)).usage.tokens == tokens


def reported(server: TestServer, tokens: int) -> bool:
    leases = [lease for call in server.of("beat") if call.status == 200 for lease in call.body.get("leases", [])]
    return any(lease.get("usage", {}).get("tokens") == tokens for lease in leases)


def kept_states(server: TestServer) -> list[Any]:
    leases = [lease for call in server.of("beat") if call.status == 200 for lease in call.body.get("leases", [])]
    return [lease["checkpoint"] for lease in leases if "before the crash" in decoded(lease.get("checkpoint"))]


def decoded(checkpoint: Any) -> str:
    """The checkpoint as text; LangGraph's is encoded."""
    if isinstance(checkpoint, dict) and checkpoint.get("adapter") == "langgraph":
        from base64 import b64decode

        return " ".join(b64decode(content).decode("latin-1") for _, _, content in checkpoint["state"])
    return json.dumps(checkpoint)
