"""Whose bodies are read, and that long bodies are read in another process."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.core.errors import Overloaded
from swarmkeeper.core.model import Principal
from swarmkeeper.http.intake import content
from swarmkeeper.http.intake.reader import SHORT_BYTES, ProcessReader, Readers
from swarmkeeper.settings import Settings
from swarmkeeper.wire import v1
from tests.http.conftest import Answered, Caller, Fleet
from tests.http.test_work import planned

# Invalid in any body. An answer without this error shows that the body was not read.
TWICE = b'{"k": 1, "k": 2}'
LONG = b'"' + b"x" * 2_000 + b'"'


def reported(bot: str, lease: str, of: bytes, what: bytes = b"output") -> bytes:
    begin = f'{{"bot_id": "{bot}", "lease_id": "{lease}", "status": "succeeded", '.encode()
    return begin + b'"' + what + b'": {"long": ' + LONG + b', "of": ' + of + b"}}"


async def post(caller: Caller, path: str, raw: bytes) -> Answered:
    return await caller.call("POST", path, raw=raw, headers={"content-type": "application/json"})


# ---- the lease comes first -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", [b"plan", b"output", b"verdict"])
async def test_a_report_without_a_valid_lease_is_refused_before_its_content_is_read(
    client: Caller, fleet: Fleet, what: bytes
) -> None:
    bot, other = await fleet.bot("Executor", "one"), await fleet.bot("Executor", "two")
    task = await planned(client, "a")
    lease = (await other.one())["lease_id"]

    nobodys = await post(bot.call, f"/tasks/{task}/results", reported(bot.id, "lse_none", TWICE, what))
    anothers = await post(bot.call, f"/tasks/{task}/results", reported(bot.id, lease, TWICE, what))
    as_another = await post(bot.call, f"/tasks/{task}/results", reported(other.id, lease, TWICE, what))
    unnamed = await post(
        bot.call,
        f"/tasks/{task}/results",
        reported(bot.id, "", TWICE, what).replace(b'"lease_id": "", ', b""),
    )
    elsewhere = await post(bot.call, "/tasks/tsk_0/results", reported(bot.id, "lse_none", TWICE, what))
    own = await post(other.call, f"/tasks/{task}/results", reported(other.id, lease, TWICE, what))

    codes = [each.json["code"] for each in (nobodys, anothers, as_another, unnamed, elsewhere, own)]
    assert codes == ["lease_lost", "lease_lost", "forbidden", "lease_required", "not_found", "malformed"]


async def test_in_a_batch_results_without_a_valid_lease_are_not_read_and_the_others_are_accepted(
    client: Caller, fleet: Fleet
) -> None:
    bot = await fleet.bot("Executor", capacity=2)
    task = await planned(client, "a", "b")
    first, second = (await bot.lease(max=2)).json["leases"]

    def result(lease: str, output: Any) -> dict[str, Any]:
        return {"task_id": task, "lease_id": lease, "status": "succeeded", **output}

    # If it were read, the repeated key would be an error of this plan.
    plan = {"plan": {"subtasks": [{"key": "k", "description": "x" * 10}] * 100}}
    results = [
        result(first["lease_id"], {"output": 1}),
        result("lse_none", plan),
        result(second["lease_id"], {"output": 2}),
    ]
    answer = await bot.call.post("/results", {"bot_id": bot.id, "results": results})

    assert [each.get("code") for each in answer.json["results"]] == [None, "lease_lost", None]
    assert answer.json["results"][1]["errors"] == []
    assert (await client.get(f"/tasks/{task}")).json["outcome"] == "accepted"


async def test_a_call_without_permission_is_refused_before_its_body_is_read(
    client: Caller, admin: Caller, swarm: Orchestrator
) -> None:
    auditor = Caller(swarm.app, await swarm.make_key("auditor"))

    class Never(Exception):
        """The body was read."""

    class Unread(list[bytes]):
        def pop(self, *args: Any) -> bytes:
            raise Never

    statuses = [
        (await caller.call("POST", path, raw=Unread([b"x"]), headers={"content-type": "application/json"})).status
        for caller, path in (
            (client, "/results"),
            (client, "/tasks/tsk_0/results"),
            (auditor, "/tasks"),
            (auditor, "/tasks:batch"),
            (client, "/redaction:test"),
        )
    ]

    assert statuses == [403] * 5


async def test_late_results_are_kept_up_to_a_limit_and_then_not_read(
    client: Caller, admin: Caller, fleet: Fleet
) -> None:
    bot = await fleet.bot("Executor")
    task = await planned(client, "a")
    lease = (await bot.one())["lease_id"]
    await bot.call.post(f"/leases/{lease}:release", {})

    def late(number: int) -> bytes:
        return reported(bot.id, lease, str(number).encode())

    answers = [await post(bot.call, f"/tasks/{task}/results", late(number)) for number in range(20)]
    unread = await post(bot.call, f"/tasks/{task}/results", reported(bot.id, lease, TWICE))
    kept = (await admin.get(f"/tasks/{task}/subtasks/a")).json["late_results"]

    assert {each.json["code"] for each in answers} == {"lease_lost"}
    assert unread.json["code"] == "lease_lost"
    assert sorted(each["content"]["output"]["of"] for each in kept) == list(range(20))


async def test_a_repeated_long_result_gets_the_same_answer(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor")
    task = await planned(client, "a")
    body = reported(bot.id, (await bot.one())["lease_id"], b'"' + b"y" * 100_000 + b'"')

    answers = [await post(bot.call, f"/tasks/{task}/results", body) for _ in range(2)]

    assert [each.json["replayed"] for each in answers] == [False, True]


# ---- in a process of its own ---------------------------------------------------------------------------------------


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Orchestrator]:
    """An orchestrator on a file, with all threads and processes of a server."""
    async with Orchestrator(Settings(store=f"sqlite:///{tmp_path}/store.db", log_level="error")) as swarm:
        yield swarm


def subtasks(count: int) -> list[dict[str, Any]]:
    return [{"key": f"k{n:04}", "description": "", "depends_on": [f"k{n - 1:04}"] * (n % 2)} for n in range(count)]


async def test_a_long_body_is_read_in_another_process_with_the_same_result(
    served: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Caller(served.app, await served.make_key("client"))

    def never(*args: Any) -> None:
        raise AssertionError("a long body was read where everybody waits")

    monkeypatch.setattr("swarmkeeper.http.intake.reader.parse_body", never)
    secret = {"AKIAIOSFODNN7EXAMPLF": 1, "plain": 2}
    large, bad, named = [
        await client.post("/tasks", {"title": "large", "subtasks": each})
        for each in (
            subtasks(2_000),
            [*subtasks(2_000), {"key": "k0000", "description": ""}],
            [*subtasks(200), {"key": "last", "description": "", **secret}],
        )
    ]

    assert (large.status, large.json["subtasks_total"]) == (201, 2_000)
    assert (bad.status, bad.json["errors"]) == (
        422,
        [{"pointer": "/subtasks/2000/key", "code": "duplicate", "detail": "another subtask has this key"}],
    )
    # Unknown names are shown redacted, although the helper process has no redactor.
    hidden, plain = sorted(each["pointer"] for each in named.json["errors"])
    assert plain == "/subtasks/200/plain"
    assert hidden.startswith("/subtasks/200/")
    assert "AKIA" not in hidden


async def test_if_the_reader_process_is_killed_one_call_is_refused_for_now_and_the_next_is_answered() -> None:
    logged: list[str] = []
    helper = ProcessReader(lambda event, **fields: logged.append(event))
    sent = content.ReceivedBody(
        raw=reported("bot_1", "lse_1", b'"' + b"x" * 100_000 + b'"'),
        limit=1 << 20,
        optional=False,
        model=v1.Report,
        translator=content.report,
        by=Principal("default", "key_1", "bot:executor"),
        path={"task_id": "tsk_1"},
        trace="",
        slice_rows=500,
    )
    asked: list[content.ReportHead] = []

    async def admit(head: content.ReportHead) -> content.RefusedResults:
        asked.append(head)
        if len(asked) == 1:  # between two frames of the exchange
            assert helper._process is not None
            os.kill(helper._process.pid, signal.SIGKILL)
        return {}

    try:
        with pytest.raises(Overloaded):
            await helper.read(sent, str, admit)
        again = await helper.read(sent, str, admit)
    finally:
        helper.close()

    assert asked == [content.ReportHead("bot_1", (("tsk_1", "lse_1"),))] * 2
    (report,) = again.value.results
    assert report.lease_id == "lse_1"
    assert report.output.endswith(b'x"}')
    assert logged == ["reader_ended"]


async def test_long_bodies_of_one_key_do_not_delay_those_of_other_keys() -> None:
    begun: list[str] = []

    class Slow:
        async def read(self, sent: content.ReceivedBody, safe: Any, admit: Any) -> content.ParsedBody:
            begun.append(sent.by.key_id)
            await turns[len(begun) - 1].wait()
            return content.ParsedBody(None)

        def close(self) -> None: ...

    turns = [asyncio.Event() for _ in range(40)]
    readers = Readers(Slow(), Slow(), {})

    def read(tenant: str, key: str) -> asyncio.Task[Any]:
        sent = content.ReceivedBody(
            raw=b"x" * 100_000,
            limit=1 << 20,
            optional=False,
            model=v1.TaskDefinition,
            translator=None,
            by=Principal(tenant, key, "client"),
            path={},
            trace="",
            slice_rows=500,
        )
        return asyncio.create_task(readers.read(sent, str, None))  # type: ignore[arg-type]  # no report

    flood = [read("a", "many") for _ in range(5)]
    others = [read("a", "few"), read("b", "other")]
    await asyncio.sleep(0)
    for turn in turns:
        turn.set()
        await asyncio.sleep(0.001)
    await asyncio.gather(*flood, *others)

    assert begun[0] == "many"
    assert set(begun[1:4]) == {"many", "few", "other"}
    assert len(begun) == 7


def test_a_translated_body_can_be_pickled() -> None:
    sent = content.ReceivedBody(
        raw=b"",
        limit=1,
        optional=True,
        model=v1.ReportBatch,
        translator=content.reports,
        by=Principal("default", "key_1", "client"),
        path={},
        trace="",
        slice_rows=500,
    )

    assert pickle.loads(pickle.dumps(sent)) == sent
    assert SHORT_BYTES < 64 << 10
