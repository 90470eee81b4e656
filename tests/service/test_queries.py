"""Queries: the views for people and bots, and who may see them."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from swarmkeeper.core import states
from swarmkeeper.core.errors import CursorTooOld, Invalid, PermissionDenied, ResourceNotFound
from swarmkeeper.core.model import (
    AnswerRecord,
    Edge,
    FeedbackRecord,
    LateResultRecord,
    LeaseRecord,
    Limits,
    Principal,
    Queue,
    QueueEntry,
    Work,
)
from swarmkeeper.core.ports import Changes
from swarmkeeper.core.states import AttemptOutcome, Condition, Kind, Outcome, Status, TaskStatus
from swarmkeeper.engine.lease_facts import Granted
from swarmkeeper.govern.cursors import Cursors
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.reads.feed import Position
from swarmkeeper.reads.insight.events import events as page_of_events
from swarmkeeper.reads.lease_views import Leases
from swarmkeeper.reads.payload_cache import PayloadCache
from swarmkeeper.reads.queries import Queries
from swarmkeeper.reads.tasks.filters import TaskFilter
from swarmkeeper.reads.tasks.lists import PAGE_BYTES_MAX
from swarmkeeper.reads.views import INLINE_BYTES_IN_ALL, INLINE_BYTES_MAX
from swarmkeeper.storage.sqlite import SqliteStore
from swarmkeeper.testing import records
from swarmkeeper.wire import v1

NOW = 1_800_000_000_000_000
SECOND = 1_000_000

CLIENT = Principal("acme", "key_1", "client")
OPERATOR = Principal("acme", "key_2", "operator")
AUDITOR = Principal("acme", "key_3", "auditor")
BOT = Principal("acme", "key_4", "bot:executor", bot="worker")
STRANGER = Principal("other", "key_9", "admin")

SPEC = {
    "title": "count words",
    "description": "all of them",
    "input": {"text": "a b"},
    "metadata": {"team": "x"},
    "acceptance_criteria": ["exact"],
}


def plan_of(key: str, **more: Any) -> bytes:
    spec = {
        "key": key,
        "description": f"do {key}",
        "required_skills": ["text"],
        "depends_on": [{"key": "a", "when": "success"}] if key == "b" else [],
        "input": {"for": key},
    }
    return json.dumps(spec | more).encode()


class Swarm:
    """Return a store with one task: `a` is done, `b` depends on it, `c` would handle its failure."""

    def __init__(self) -> None:
        self.store = SqliteStore(":memory:")
        self.seen: dict[str, int] = {}
        rules = Rulebook(Redactor.default())
        self.payload_cache = PayloadCache(self.store)
        self.cursors = Cursors(bytes(32))
        self.queries = Queries(
            *(self.store, rules, Limits()),
            cursors=self.cursors,
            now=lambda: NOW,
            seen=self.seen.get,
            payload_cache=self.payload_cache,
        )

    async def save(self, **changes: Any) -> None:
        async with self.store.begin() as transaction:
            await transaction.save(Changes(**changes))
        self.payload_cache.committed(changes.get("payloads", {}))

    async def leases(self, *works: str) -> list[dict[str, Any]]:
        """Return the views of the leases of these items."""
        async with self.store.begin() as transaction:
            wants = [(kind, work) for work in works for kind in ("lease", "work")]
            found = await transaction.load([*wants, ("task", "tsk_1")])
        granted = [Granted(found["lease", work], found["work", work], found["task", "tsk_1"]) for work in works]
        return await Leases(self.store, self.payload_cache).views(granted)

    async def task(self, works: list[Work], **given: Any) -> None:
        task = records.task(**{"n_total": 3, "n_open": 2, "status": TaskStatus.IN_PROGRESS, "spec": "spec"} | given)
        await self.save(
            tasks={task.id: task},
            works={work.id: work for work in works},
            payloads={"spec": (task.id, json.dumps(SPEC).encode())}
            | {work.payload: (task.id, plan_of(work.key)) for work in works if work.payload},
        )

    async def usual(self, **given: Any) -> None:
        works = [
            records.work(id="wrk_1", key="plan", kind=Kind.PLAN, status=Status.SUCCEEDED),
            records.work(id="sub_2", key="a", status=Status.SUCCEEDED, result="out_a", result_hash="h", payload="in_a"),
            records.work(id="sub_1", key="b", status=Status.LEASED, payload="in_b", attempt=2, round=2),
            records.work(id="sub_3", key="c", status=Status.SKIPPED, payload="in_c"),
        ]
        await self.task(works, **given)
        edges = [Edge("tsk_1", "sub_2", "sub_1", Condition.SUCCESS), Edge("tsk_1", "sub_2", "sub_3", Condition.FAILURE)]
        await self.save(
            edges=edges,
            payloads={"out_a": ("tsk_1", b'{"words":2}')},
            bots={"bot_1": records.bot(last_seen=NOW - SECOND)},
            leases={"sub_1": lease("sub_1", attempt=2)},
        )


def lease(work_id: str, **given: Any) -> LeaseRecord:
    return records.lease(work_id, **{"expires_at": NOW + 30 * SECOND, "ends_at": NOW + 900 * SECOND} | given)


@pytest.fixture
async def swarm() -> AsyncIterator[Swarm]:
    swarm = Swarm()
    await swarm.store.open()
    yield swarm
    await swarm.store.close()


# ---- tasks ---------------------------------------------------------------------------------------------------------


async def test_a_task_is_shown_as_the_wire_has_it(swarm: Swarm) -> None:
    defaults = {"timeout": 60 * SECOND, "start": SECOND // 2, "on_failure": "continue"}
    await swarm.usual(
        created_at=NOW, updated_at=NOW + 1, version=1, labels={"a": "b"}, defaults=defaults, usage={"tokens": 3}
    )

    shown, version = await swarm.queries.task(CLIENT, "tsk_1")

    assert version == 1
    assert shown.keys() == set(v1.Task.model_fields) - {"explanation"}, "which is included only on request"
    assert shown["subtasks"][0].keys() <= v1.SubTaskState.model_fields.keys()
    v1.read_answer(v1.Task, shown)
    assert (shown["title"], shown["description"], shown["input"]) == ("count words", "all of them", {"text": "a b"})
    assert (shown["metadata"], shown["acceptance_criteria"]) == ({"team": "x"}, ["exact"])
    assert (shown["created_at"], shown["updated_at"]) == ("2027-01-15T08:00:00.000000Z", "2027-01-15T08:00:00.000001Z")
    assert shown["progress"] == {"total": 3, "done": 1, "failed": 0}
    assert shown["defaults"] == {"timeout_seconds": 60, "schedule_to_start_seconds": 0.5, "on_failure": "continue"}
    assert [(subtask["key"], subtask["status"], subtask["attempt"]) for subtask in shown["subtasks"]] == [
        ("a", "SUCCEEDED", 0),
        ("b", "LEASED", 2),
        ("c", "SKIPPED", 0),
    ]
    assert shown["subtasks"][1]["parent_task_id"] == "tsk_1"
    assert shown["subtasks"][1]["input"] == {"for": "b"}
    assert shown["result"] is None


async def test_a_result_is_what_nothing_went_on_from_and_only_once_all_is_done(swarm: Swarm) -> None:
    works = [
        records.work(id=f"sub_{key}", key=key, status=Status.SUCCEEDED, result=f"out_{key}", result_hash="h")
        for key in ("first", "last", "cleanup")
    ]
    await swarm.task(works, status=TaskStatus.COMPLETED, n_open=0, verdict="verdict")
    verdict = {"decision": "accept", "score": 0.5, "reasons": ["r"], "findings": [], "targets": []}
    await swarm.save(
        payloads={f"out_{key}": ("tsk_1", f'"{key}"'.encode()) for key in ("first", "last", "cleanup")}
        | {"verdict": ("tsk_1", json.dumps(verdict).encode())},
        edges=[
            Edge("tsk_1", "sub_first", "sub_last", Condition.SUCCESS),
            Edge("tsk_1", "sub_last", "sub_cleanup", Condition.DONE),
        ],
    )

    shown, _ = await swarm.queries.task(CLIENT, "tsk_1")

    assert shown["result"] == {"last": "last", "cleanup": "cleanup"}
    assert shown["verdict"] == {"decision": "accept", "score": 0.5, "reasons": ["r"], "findings": []}
    assert (await swarm.queries.task(AUDITOR, "tsk_1"))[0]["result"] is None


async def test_what_the_sweep_has_not_reached_shows_as_cancelled(swarm: Swarm) -> None:
    await swarm.usual(status=TaskStatus.FAILED, outcome=Outcome.CANCELLED, failure={"code": "cancelled", "detail": "x"})

    shown, _ = await swarm.queries.task(CLIENT, "tsk_1")

    assert [subtask["status"] for subtask in shown["subtasks"]] == ["SUCCEEDED", "CANCELLED", "SKIPPED"]
    assert shown["progress"] == {"total": 3, "done": 1, "failed": 2, "cancelled": 1}
    assert (await swarm.queries.version(CLIENT, "tsk_1")) == (1, True)
    assert [node["status"] for node in (await swarm.queries.graph(CLIENT, "tsk_1"))["nodes"]][1] == "CANCELLED"


async def test_another_tenants_task_is_as_if_it_were_not_there(swarm: Swarm) -> None:
    await swarm.usual()
    queries = swarm.queries
    for read in (queries.task, queries.subtasks, queries.graph, queries.version):
        with pytest.raises(ResourceNotFound) as foreign:
            await read(STRANGER, "tsk_1")
        with pytest.raises(ResourceNotFound) as missing:
            await read(CLIENT, "tsk_none")
        assert str(foreign.value) == str(missing.value)
    for ref in ("sub_1", "b"):
        with pytest.raises(ResourceNotFound):
            await queries.subtask(STRANGER, "tsk_1", ref)
        with pytest.raises(ResourceNotFound):
            await queries.output(STRANGER, "tsk_1", ref)
    assert (await queries.tasks(STRANGER, TaskFilter()))["items"] == []


async def test_a_bot_reads_what_it_works_on_and_outputs_only_while_it_does(swarm: Swarm) -> None:
    await swarm.usual()
    shown, _ = await swarm.queries.task(BOT, "tsk_1")
    assert shown["id"] == "tsk_1"
    assert await swarm.queries.output(BOT, "tsk_1", "a") == b'{"words":2}'
    for other in (
        Principal("acme", "key_4", "bot:executor", bot="another"),
        Principal("other", "key_4", "bot:executor", bot="worker"),
    ):
        with pytest.raises(ResourceNotFound):
            await swarm.queries.task(other, "tsk_1")

    await swarm.save(leases_gone={"sub_1": None})
    with pytest.raises(ResourceNotFound):
        await swarm.queries.task(BOT, "tsk_1")

    await swarm.save(attempts=[records.attempt("sub_1")])
    assert (await swarm.queries.subtask(BOT, "tsk_1", "a"))["output"] is None
    with pytest.raises(PermissionDenied):
        await swarm.queries.output(BOT, "tsk_1", "a")
    with pytest.raises(PermissionDenied):
        await swarm.queries.tasks(BOT, TaskFilter())


async def test_tasks_come_in_pages_in_the_order_asked_for(swarm: Swarm) -> None:
    for number, (created, priority) in enumerate([(5, 1), (5, 9), (7, 9), (3, 5), (9, 0)]):
        task = records.task(id=f"tsk_{number}", created_at=created, priority=priority)
        await swarm.save(tasks={task.id: task})
    orders = {
        "created_at": ["tsk_3", "tsk_0", "tsk_1", "tsk_2", "tsk_4"],
        "-created_at": ["tsk_4", "tsk_2", "tsk_1", "tsk_0", "tsk_3"],
        "priority": ["tsk_1", "tsk_2", "tsk_3", "tsk_0", "tsk_4"],
    }
    for order_by, expected in orders.items():
        for page_size in (1, 2, 5):
            seen, token = [], ""
            while True:
                page = await swarm.queries.tasks(
                    CLIENT, TaskFilter(), order_by=order_by, page_size=page_size, page_token=token
                )
                seen += [item["id"] for item in page["items"]]
                token = page["next_page_token"]
                if not token:
                    break
            assert seen == expected


async def test_tasks_can_be_filtered(swarm: Swarm) -> None:
    outcome = {"outcome": Outcome.FAILED, "status": TaskStatus.FAILED}
    tasks = [
        records.task(id="tsk_0", created_at=10, labels={"team": "x", "env": "é"}),
        records.task(id="tsk_1", created_at=20, labels={"team": "x"}, **outcome),
        records.task(id="tsk_2", created_at=30, status=TaskStatus.COMPLETED),
    ]
    await swarm.save(tasks={task.id: task for task in tasks})

    async def found(**filters: Any) -> list[str]:
        page = await swarm.queries.tasks(CLIENT, TaskFilter(**filters), order_by="created_at")
        return [item["id"] for item in page["items"]]

    assert await found(labels=("team:x",)) == ["tsk_0", "tsk_1"]
    assert await found(labels=("team:x", "env:é")) == ["tsk_0"]
    assert await found(labels=("team:y",)) == []
    assert await found(status=("FAILED", "COMPLETED")) == ["tsk_1", "tsk_2"]
    assert await found(outcome=("failed",)) == ["tsk_1"]
    assert await found(created_after=11) == ["tsk_1", "tsk_2"]
    assert await found(created_after=20) == ["tsk_1", "tsk_2"]
    assert await found(created_before=20) == ["tsk_0"]


async def test_a_page_of_large_tasks_is_shorter_and_says_where_to_go_on(swarm: Swarm) -> None:
    for number in range(4):
        task = records.task(id=f"tsk_{number}", created_at=number, spec=f"spec_{number}")
        body = json.dumps({"input": {"x": "y" * (PAGE_BYTES_MAX // 2)}}).encode()
        await swarm.save(tasks={task.id: task}, payloads={task.spec: (task.id, body)})

    first = await swarm.queries.tasks(CLIENT, TaskFilter(), order_by="created_at")
    second = await swarm.queries.tasks(CLIENT, TaskFilter(), order_by="created_at", page_token=first["next_page_token"])

    assert [item["id"] for item in first["items"]] == ["tsk_0"]
    assert [item["id"] for item in second["items"]] == ["tsk_1"]


@pytest.mark.parametrize("token", ["x", "WzFd", "====", "bnVsbA", "W251bGwsIjEiLDFd", "\u2028", "Wy0xLDIsM10"])
async def test_a_token_that_is_none_is_refused(swarm: Swarm, token: str) -> None:
    for order_by in ("created_at", "-created_at", "priority"):
        with pytest.raises(Invalid) as refused:
            await swarm.queries.tasks(CLIENT, TaskFilter(), order_by=order_by, page_token=token)
        assert [detail[0] for detail in refused.value.details] == ["/query/page_token"]


async def test_a_token_of_another_order_or_list_is_refused(swarm: Swarm) -> None:
    await swarm.save(tasks={f"tsk_{n}": records.task(id=f"tsk_{n}") for n in range(2)})
    token = (await swarm.queries.tasks(CLIENT, TaskFilter(), page_size=1))["next_page_token"]

    for order_by in ("created_at", "priority"):
        with pytest.raises(Invalid):
            await swarm.queries.tasks(CLIENT, TaskFilter(), order_by=order_by, page_token=token)
    with pytest.raises(Invalid):
        await swarm.queries.subtasks(CLIENT, "tsk_0", page_token=token)


async def test_an_order_or_size_that_there_is_not_is_refused(swarm: Swarm) -> None:
    with pytest.raises(Invalid):
        await swarm.queries.tasks(CLIENT, TaskFilter(), order_by="title")
    for size in (0, 501):
        with pytest.raises(Invalid):
            await swarm.queries.tasks(CLIENT, TaskFilter(), page_size=size)


# ---- subtasks ------------------------------------------------------------------------------------------------------


async def test_a_task_shows_its_first_200_subtasks_and_the_rest_come_in_pages(swarm: Swarm) -> None:
    # Ids do not follow the order of the plan.
    works = [records.work(id=f"sub_{(n * 7) % 450:03}", key=f"k{n}", payload=f"in_{n}") for n in range(450)]
    await swarm.task(works, n_total=450, n_open=450)

    shown, _ = await swarm.queries.task(CLIENT, "tsk_1")
    assert [subtask["key"] for subtask in shown["subtasks"]] == [f"k{n}" for n in range(200)]
    assert shown["subtasks_total"] == 450

    keys, token = [], ""
    while True:
        page = await swarm.queries.subtasks(CLIENT, "tsk_1", page_size=150, page_token=token)
        v1.read_answer(v1.SubTaskPage, page)
        keys += [item["key"] for item in page["items"]]
        token = page["next_page_token"]
        if not token:
            break
    assert keys == [f"k{n}" for n in range(450)]


async def test_a_subtask_tells_all_that_came_of_it(swarm: Swarm) -> None:
    await swarm.usual()
    reviews = [
        records.work(
            id=f"wrk_r{n}",
            key=f"review-of/a/{n}",
            kind=Kind.REVIEW,
            status=Status.SUCCEEDED,
            result=f"v{n}",
            subject="sub_2",
        )
        for n in (9, 10)
    ]
    failed = records.attempt(
        "sub_2", started=NOW, ended=NOW + SECOND, error={"class": "retryable"}, usage={"tokens": 1}
    )
    done = records.attempt("sub_2", attempt=2, lease_id="lse_2", ending=AttemptOutcome.SUCCEEDED, result="out_a")
    late = LateResultRecord("lse_old", "hash", "sub_2", "tsk_1", "acme", "bot_1", NOW, "late")
    await swarm.save(
        works={work.id: work for work in reviews},
        payloads={f"v{n}": ("tsk_1", json.dumps({"decision": "accept", "score": n}).encode()) for n in (9, 10)}
        | {"late": ("tsk_1", b'{"status":"succeeded"}')},
        attempts=[done, failed],
        late_results=[late],
    )

    by_key = await swarm.queries.subtask(OPERATOR, "tsk_1", "a")

    assert by_key == await swarm.queries.subtask(OPERATOR, "tsk_1", "sub_2")
    v1.read_answer(v1.SubTaskDetail, by_key)
    assert by_key["input"] == {"for": "a"}
    assert by_key["output"] == {"words": 2}
    assert by_key["verdict"]["score"] == 10
    assert by_key["attempts"][0] == {
        "attempt": 1,
        "bot": "bot_1",
        "bot_name": "worker",
        "lease_id": "lse_old_2",
        "started_at": "2027-01-15T08:00:00.000000Z",
        "ended_at": "2027-01-15T08:00:01.000000Z",
        "ending": "failed",
        "error": {"class": "retryable"},
        "reason": None,
        "progress": None,
        "usage": {"tokens": 1},
    }
    assert by_key["late_results"][0]["content"] == {"status": "succeeded"}
    assert "late_results" not in await swarm.queries.subtask(CLIENT, "tsk_1", "a")
    with pytest.raises(ResourceNotFound):
        await swarm.queries.subtask(CLIENT, "tsk_1", "plan")
    assert (await swarm.queries.subtask(AUDITOR, "tsk_1", "a"))["output"] is None


async def test_a_large_output_stands_as_a_reference_and_is_had_by_itself(swarm: Swarm) -> None:
    await swarm.usual()
    body = json.dumps("x" * INLINE_BYTES_MAX).encode()
    await swarm.save(
        payloads={"out_a": ("tsk_1", body), "first": ("tsk_1", b'"first"')},
        attempts=[records.attempt("sub_2", result="first"), records.attempt("sub_2", attempt=2, lease_id="l2")],
    )

    shown = await swarm.queries.subtask(CLIENT, "tsk_1", "a")

    assert shown["output"]["$ref"] == "/tasks/tsk_1/subtasks/a/output"
    assert shown["output"]["bytes"] == len(body)
    assert await swarm.queries.output(CLIENT, "tsk_1", "a") == body
    assert await swarm.queries.output(CLIENT, "tsk_1", "a", attempt=1) == b'"first"'
    for key, attempt in (("b", None), ("a", 2), ("a", 3)):
        with pytest.raises(ResourceNotFound):
            await swarm.queries.output(CLIENT, "tsk_1", key, attempt=attempt)


@pytest.mark.parametrize(("condition", "status"), [(c, s) for c in Condition for s in Status])
async def test_an_edge_is_open_met_or_broken_as_its_upstream_ended(
    swarm: Swarm, condition: Condition, status: Status
) -> None:
    works = [records.work(id="sub_1", key="up", status=status), records.work(id="sub_2", key="down")]
    await swarm.task(works)
    await swarm.save(edges=[Edge("tsk_1", "sub_1", "sub_2", condition)])

    shown = await swarm.queries.graph(CLIENT, "tsk_1")

    v1.read_answer(v1.Graph, shown)
    met = states.EDGE_MET.get((condition, status))
    state = {None: "open", True: "met", False: "broken"}[met]
    assert shown["edges"] == [{"from": "up", "to": "down", "when": str(condition), "state": state}]


# ---- leases --------------------------------------------------------------------------------------------------------


async def test_a_lease_carries_all_that_is_needed_to_do_the_work(swarm: Swarm) -> None:
    await swarm.usual(trace="00-trace")
    await swarm.save(
        works={
            "sub_1": records.work(id="sub_1", key="b", status=Status.LEASED, payload="in_b", checkpoint="c", version=2)
        },
        payloads={"c": ("tsk_1", b'{"page":7}'), "old": ("tsk_1", b'"old"')},
        attempts=[records.attempt("sub_1", ending=AttemptOutcome.SUCCEEDED, result="old", error=None)],
        feedback=[FeedbackRecord("sub_1", "tsk_1", 1, "shorter", 5, 0)],
        answered=[AnswerRecord("sub_1", "tsk_1", "which?", {"this": 1}, 6)],
    )

    (shown,) = await swarm.leases("sub_1")

    assert shown.keys() == v1.Lease.model_fields.keys()
    v1.read_answer(v1.Lease, shown)
    assert (shown["lease_id"], shown["kind"], shown["attempt"]) == ("lse_1", "execute", 2)
    assert shown["task"]["input"] == {"text": "a b"}
    assert (shown["subtask"]["key"], shown["subtask"]["input"]) == ("b", {"for": "b"})
    assert shown["upstream"] == {"a": {"words": 2}}
    assert shown["feedback"] == [{"round": 1, "text": "shorter"}]
    assert shown["previous"] == {"attempt": 1, "ending": "succeeded", "output": "old", "error": None}
    assert shown["checkpoint"] == {"page": 7}
    assert shown["answers"] == [{"question": "which?", "answer": {"this": 1}}]
    assert shown["review"] is None
    assert (shown["expires_at"], shown["ends_at"]) == ("2027-01-15T08:00:30.000000Z", "2027-01-15T08:15:00.000000Z")
    assert shown["traceparent"] == "00-trace"


@pytest.mark.parametrize(("ttl", "beat"), [(30, 10), (1, 0.333333), (2, 0.666666), (10, 3.333333)])
async def test_a_bot_is_told_to_beat_each_third_of_its_lease(swarm: Swarm, ttl: int, beat: float) -> None:
    await swarm.usual()
    await swarm.save(leases_gone={"sub_1": None}, leases={"sub_1": lease("sub_1", ttl=ttl * SECOND)})

    (shown,) = await swarm.leases("sub_1")

    assert shown["heartbeat_after_seconds"] == beat


async def test_an_evaluator_gets_what_it_has_to_judge(swarm: Swarm) -> None:
    await swarm.usual()
    reviews = [
        records.work(id="wrk_2", key="review/1/1", kind=Kind.REVIEW, status=Status.LEASED),
        records.work(id="wrk_3", key="review-of/a/1", kind=Kind.REVIEW, status=Status.LEASED, subject="sub_2"),
    ]
    await swarm.save(works={work.id: work for work in reviews}, leases={work.id: lease(work.id) for work in reviews})

    whole, single = await swarm.leases("wrk_2", "wrk_3")

    assert whole["review"] == {"of": "task", "results": {"a": {"words": 2}}}
    assert whole["subtask"] is None
    assert single["review"] == {"of": "subtask", "results": {"a": {"words": 2}}}
    assert single["subtask"]["id"] == "sub_2"
    for shown in (whole, single):
        v1.read_answer(v1.Lease, shown)


async def test_outputs_are_sent_inline_up_to_a_bound_in_all(swarm: Swarm) -> None:
    works = [
        records.work(id=f"sub_{n}", key=f"k{n}", status=Status.SUCCEEDED, result=f"o{n}", result_hash=f"h{n}")
        for n in range(6)
    ]
    review = records.work(id="wrk_2", key="review/1/1", kind=Kind.REVIEW, status=Status.LEASED)
    await swarm.task([*works, review], status=TaskStatus.COMPLETED)
    body = json.dumps("x" * (INLINE_BYTES_MAX - 2)).encode()
    await swarm.save(payloads={f"o{n}": ("tsk_1", body) for n in range(6)}, leases={"wrk_2": lease("wrk_2")})

    (shown,) = await swarm.leases("wrk_2")

    results = shown["review"]["results"]
    assert [isinstance(value, str) for value in results.values()] == [True] * 4 + [False] * 2
    assert 4 * len(body) == INLINE_BYTES_IN_ALL
    assert results["k5"] == {"$ref": "/tasks/tsk_1/subtasks/k5/output", "sha256": "h5", "bytes": len(body)}


# ---- bots, skills, keys --------------------------------------------------------------------------------------------


async def test_a_bot_that_was_not_heard_of_for_two_minutes_is_away(swarm: Swarm) -> None:
    await swarm.usual()
    two_minutes = 120 * SECOND
    bots = [
        records.bot("bot_2", name="late", last_seen=NOW - two_minutes - 1),
        records.bot("bot_3", name="just", last_seen=NOW - two_minutes),
        records.bot("bot_4", name="parked", last_seen=1),
        records.bot("bot_5", name="off", last_seen=1, status="disabled"),
    ]
    await swarm.save(bots={bot.id: bot for bot in bots})
    swarm.seen["bot_4"] = NOW

    page = await swarm.queries.bots(OPERATOR)

    v1.read_answer(v1.BotPage, page)
    assert page["items"][0].keys() == v1.Bot.model_fields.keys()
    assert [item["status"] for item in page["items"]] == ["active", "away", "active", "active", "disabled"]
    assert [item["held"] for item in page["items"]] == [1, 0, 0, 0, 0]
    first = await swarm.queries.bots(OPERATOR, page_size=4)
    rest = await swarm.queries.bots(OPERATOR, page_size=4, page_token=first["next_page_token"])
    assert [item["id"] for item in rest["items"]] == ["bot_5"]
    with pytest.raises(PermissionDenied):
        await swarm.queries.bots(CLIENT)


async def test_a_bot_sees_itself_and_no_other(swarm: Swarm) -> None:
    await swarm.save(bots={"bot_1": records.bot(), "bot_2": records.bot("bot_2", name="another")})

    assert (await swarm.queries.bot(BOT, "bot_1"))["name"] == "worker"
    for bot in ("bot_2", "bot_none"):
        with pytest.raises(PermissionDenied):
            await swarm.queries.bot(BOT, bot)
    assert (await swarm.queries.bot(OPERATOR, "bot_2"))["name"] == "another"
    for principal, bot in ((OPERATOR, "bot_none"), (STRANGER, "bot_1")):
        with pytest.raises(ResourceNotFound):
            await swarm.queries.bot(principal, bot)


async def test_skills_tell_who_has_them_and_what_waits(swarm: Swarm) -> None:
    await swarm.task([records.work(id=f"sub_{n}", key=f"k{n}") for n in range(3)])
    await swarm.save(
        bots={
            "bot_1": records.bot(skills=("text", "web")),
            "bot_2": records.bot("bot_2", name="x", skills=("text",), status="disabled"),
        },
        queues=[Queue(1, Kind.EXECUTE, ("text",)), Queue(2, Kind.EXECUTE, ("rare", "text"))],
        ready={
            f"sub_{n}": QueueEntry(f"sub_{n}", queue, "acme", 5, n, NOW - since * SECOND, "tsk_1")
            for n, queue, since in ((0, 1, 5), (1, 1, 9), (2, 2, 20))
        },
    )

    page = await swarm.queries.skills(OPERATOR)

    v1.read_answer(v1.SkillPage, page)
    assert page["items"] == [
        {"skill": "rare", "bots": 0, "asking": 0, "waiting": 1, "oldest_seconds": 20},
        {"skill": "text", "bots": 1, "asking": 1, "waiting": 3, "oldest_seconds": 20},
        {"skill": "web", "bots": 1, "asking": 1, "waiting": 0, "oldest_seconds": None},
    ]
    assert (await swarm.queries.skills(STRANGER))["items"] == []


async def test_a_key_is_listed_without_anything_that_could_be_used_as_one(swarm: Swarm) -> None:
    key = records.key(skills=("a",), previous_digest=b"secret", public_id="publicpart")
    await swarm.save(keys={"key_1": key})
    admin = Principal("acme", "key_1", "admin")

    page = await swarm.queries.keys(admin)

    v1.read_answer(v1.KeyPage, page)
    assert page["items"] == [await swarm.queries.key(admin, "key_1")]
    assert not any(secret in repr(page) for secret in ("publicpart", "digest", "secret"))
    with pytest.raises(ResourceNotFound):
        await swarm.queries.key(STRANGER, "key_1")
    with pytest.raises(PermissionDenied):
        await swarm.queries.keys(OPERATOR)


# ---- events --------------------------------------------------------------------------------------------------------


async def test_events_come_in_pages_as_cloud_events(swarm: Swarm) -> None:
    await swarm.usual()
    body = Redactor.default().redact({"from": "CREATED", "to": "PLANNED", "password": "hunter2"})
    events = [records.event(n, at=NOW, work="sub_1", kind="task.planned", body=body) for n in (1, 2, 3)]
    await swarm.save(events=[*events, records.event(1, id="evt_x", task="tsk_9", tenant="other")])

    page = await page_of_events(swarm.queries, CLIENT, task_id="tsk_1", page_size=2)
    rest = await page_of_events(swarm.queries, CLIENT, task_id="tsk_1", after=Position(page["next_page_token"]))

    v1.read_answer(v1.EventPage, page)
    event = page["items"][0]
    assert event.keys() == v1.CloudEvent.model_fields.keys()
    assert (event["type"], event["subject"]) == ("io.swarmkeeper.task.planned.v1", "tasks/tsk_1")
    data = event["data"]
    assert (data["from"], data["to"], data["task_id"], data["work_id"]) == ("CREATED", "PLANNED", "tsk_1", "sub_1")
    assert (data["actor"], data["audit_id"]) == ("key_1", "aud_1")
    assert [entry["pointer"] for entry in data["redacted_fields"]] == ["/password"]
    assert [item["sequence"] for item in page["items"] + rest["items"]] == [1, 2, 3]
    assert len((await page_of_events(swarm.queries, OPERATOR))["items"]) == 3
    with pytest.raises(PermissionDenied):
        await page_of_events(swarm.queries, CLIENT)
    with pytest.raises(ResourceNotFound):
        await page_of_events(swarm.queries, CLIENT, task_id="tsk_9")


async def test_after_a_restore_the_oldest_cursor_is_of_the_tenants_own_last_event(swarm: Swarm) -> None:
    """That of the last event of all would say whether the others had events after it."""
    await swarm.save(events=[records.event(n) for n in range(1, 4)])
    await swarm.save(events=[records.event(n, id=f"evt_x{n}", task="tsk_9", tenant="other") for n in (1, 2)])
    assert swarm.store._writing is not None
    swarm.store._writing.execute("INSERT INTO feed_gap (after, upto) VALUES (5, 100)")
    lost = Position(swarm.cursors.encode(OPERATOR.tenant, 50))

    with pytest.raises(CursorTooOld) as too_old:
        await page_of_events(swarm.queries, OPERATOR, after=lost)
    assert too_old.value.oldest == swarm.cursors.encode(OPERATOR.tenant, 3)
    swarm.store._writing.execute("INSERT INTO feed_start (tenant, seq) VALUES (?, 4)", (OPERATOR.tenant,))
    with pytest.raises(CursorTooOld) as too_old:
        await page_of_events(swarm.queries, OPERATOR, after=lost)
    assert too_old.value.oldest == swarm.cursors.encode(OPERATOR.tenant, 4), "an older one would be refused again"


async def test_a_cursor_from_before_the_oldest_event_kept_is_too_old(swarm: Swarm) -> None:
    await swarm.save(events=[records.event(n) for n in range(1, 6)])
    assert swarm.store._writing is not None
    swarm.store._writing.execute("INSERT INTO feed_start (tenant, seq) VALUES (?, 3)", (OPERATOR.tenant,))

    def after(number: int) -> Position:
        return Position(swarm.cursors.encode(OPERATOR.tenant, number))

    for number in (0, 3, 4, 5):
        await page_of_events(swarm.queries, OPERATOR, after=after(number))
    for number in (1, 2):
        with pytest.raises(CursorTooOld) as too_old:
            await page_of_events(swarm.queries, OPERATOR, after=after(number))
        assert too_old.value.oldest == after(3).text
