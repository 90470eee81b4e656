"""Doctor and audit: no finding in a sound store; each invariant broken by hand is found."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from swarmkeeper.broker.local import LocalBroker
from swarmkeeper.clock import SystemClock, SystemEntropy
from swarmkeeper.core.answers import not_replayed
from swarmkeeper.core.commands import (
    AskQuestion,
    Cancel,
    ClaimWork,
    CreateKey,
    Pause,
    Register,
    ReleaseLease,
    ReportResult,
    Submit,
)
from swarmkeeper.core.model import AttemptFailure, Limits, Principal, SubtaskSpec, VerdictRecord
from swarmkeeper.core.states import Condition, Decision, ErrorClass
from swarmkeeper.engine.loop import Engine
from swarmkeeper.govern import audit
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.offline import doctor
from swarmkeeper.storage.sqlite.store import SqliteStore

ADMIN = Principal("default", "key_1", "admin")
RULES = Rulebook(Redactor.default())
LABELS = {"team": "a"}


def quiet(event: str, **fields: Any) -> None:
    assert event not in ("fault", "batch_failed"), fields


@asynccontextmanager
async def at_work(file: Path) -> AsyncIterator[Engine]:
    store = SqliteStore(str(file))
    await store.open()
    engine = Engine(
        store,
        clock=SystemClock(),
        entropy=SystemEntropy(),
        rules=RULES,
        limits=Limits(four_eyes=False),
        broker=LocalBroker(),
        log=quiet,
    )
    await engine.start()
    loop = asyncio.create_task(engine.run())
    try:
        yield engine
    finally:
        engine.stop()
        await loop
        await store.close()


class Swarm:
    """Three bots that follow the test."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.bots: dict[str, str] = {}

    async def register(self) -> None:
        for kind in ("Planner", "Executor", "Evaluator"):
            bot = Register(by=ADMIN, type=kind, version="1", name=kind, capacity=20)
            self.bots[kind], _ = not_replayed(await self.engine.do(bot))

    async def submit(self, *subtasks: SubtaskSpec, **more: Any) -> str:
        command = Submit(by=ADMIN, title="a task", spec=b"{}", subtasks=subtasks or None, **more)
        return not_replayed(await self.engine.do(command))

    async def lease(self, kind: str) -> str:
        claimed = await self.engine.claim(ClaimWork(by=ADMIN, bot=self.bots[kind]), parks=True).answer
        return claimed.leases[0].lease_id

    async def report(self, kind: str, task: str, lease: str, **content: Any) -> None:
        body = repr(content).encode()
        await self.engine.do(
            ReportResult(
                by=ADMIN,
                bot=self.bots[kind],
                task=task,
                lease_id=lease,
                content=body,
                content_hash=hashlib.sha256(body).hexdigest(),
                **content,
            )
        )


async def live(file: Path) -> None:
    """Create a store with an item in every state."""
    async with at_work(file) as engine:
        await engine.do(CreateKey(by=ADMIN, role="admin", public_id="abcdefghij", digest=b"x"))
        swarm = Swarm(engine)
        await swarm.register()
        archived = await swarm.submit()
        plan = (SubtaskSpec("a", "d"), SubtaskSpec("b", "d", depends_on=(("a", Condition.SUCCESS),)))
        await swarm.report("Planner", archived, await swarm.lease("Planner"), plan=plan)
        for _ in plan:
            await swarm.report("Executor", archived, await swarm.lease("Executor"), output=b"{}")
        await swarm.report(
            "Evaluator", archived, await swarm.lease("Evaluator"), verdict=VerdictRecord(Decision.ACCEPT)
        )

        each = await swarm.submit(SubtaskSpec("judged", "d"), evaluation="each")
        await swarm.report("Executor", each, await swarm.lease("Executor"), output=b"{}")
        cancelled = await swarm.submit(SubtaskSpec("a", "d"), SubtaskSpec("b", "d"))
        await swarm.lease("Executor")
        await engine.do(Cancel(by=ADMIN, task=cancelled))
        await swarm.submit(SubtaskSpec("asks", "d"))
        await engine.do(AskQuestion(by=ADMIN, lease_id=await swarm.lease("Executor"), question="may I?"))
        twice = await swarm.submit(SubtaskSpec("twice", "d"), evaluation="none")
        await engine.do(ReleaseLease(by=ADMIN, lease_id=await swarm.lease("Executor")))
        await swarm.report("Executor", twice, await swarm.lease("Executor"), output=b"{}")
        await swarm.submit(SubtaskSpec("put-off", "d"))
        await engine.do(ReleaseLease(by=ADMIN, lease_id=await swarm.lease("Executor"), delay=3_600_000_000))
        failing = await swarm.submit(SubtaskSpec("fails", "d", max_attempts=1))
        cause = AttemptFailure(ErrorClass.RETRYABLE, "no more")
        await swarm.report("Executor", failing, await swarm.lease("Executor"), failure=cause)
        behind = (("leased", Condition.SUCCESS),)
        await swarm.submit(SubtaskSpec("leased", "d"), SubtaskSpec("blocked", "d", depends_on=behind))
        await swarm.lease("Executor")
        paused = await swarm.submit(SubtaskSpec("held", "d"))
        await engine.do(Pause(by=ADMIN, task=paused))
        paid = await swarm.submit(
            SubtaskSpec("spent", "d"), SubtaskSpec("spends", "d"), budget={"tokens": 90_000}, labels=LABELS
        )
        await swarm.report("Executor", paid, await swarm.lease("Executor"), output=b"{}", usage={"tokens": 70_000})
        await swarm.lease("Executor")
        await swarm.submit(SubtaskSpec("ready", "d"), deadline=3_600_000_000)
        keyed = (SubtaskSpec(f"keyed-{n}", "d", concurrency=(("repo", 1),), priority=9) for n in range(4))
        await swarm.submit(*keyed)
        await swarm.lease("Executor")
        await swarm.submit(SubtaskSpec("both", "d", concurrency=(("both", 1),), priority=9), budget={"tokens": 50_000})
        await swarm.lease("Executor")
        limited = AttemptFailure(ErrorClass.RATE_LIMITED, "429", 3_600_000_000, "a-provider")
        slow = await swarm.submit(SubtaskSpec("limited", "d"), priority=9)
        await swarm.report("Executor", slow, await swarm.lease("Executor"), failure=limited)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("store") / "sound.db"
    asyncio.run(live(file))
    return file


@pytest.fixture
def store_file(sound: Path, tmp_path: Path) -> Path:
    """Return a copy of the store that the test can break."""
    file = tmp_path / "store.db"
    with apsw.Connection(str(sound)) as source, apsw.Connection(str(file)) as copy:
        with copy.backup("main", source, "main") as backup:
            backup.step()
    return file


def change(file: Path, statement: str) -> int:
    """Change rows directly in the file."""
    connection = apsw.Connection(str(file))
    connection.execute(statement)
    changed = connection.changes()
    connection.close()
    return changed


async def examine(file: Path, *, deep: bool = True) -> list[doctor.DoctorFinding]:
    store = SqliteStore(str(file))
    await store.open(exclusive=False, create=False)
    try:
        return await doctor.examine(store, RULES, deep=deep, wall=SystemClock().now())
    finally:
        await store.close()


async def verify(file: Path) -> audit.AuditVerification:
    store = SqliteStore(str(file))
    await store.open(exclusive=False, create=False)
    try:
        return (await doctor.verify_audit(store))["default"]
    finally:
        await store.close()


async def test_a_store_with_items_in_every_state_is_sound(store_file: Path) -> None:
    connection = apsw.Connection(str(store_file))
    states = {status for (status,) in connection.execute("SELECT DISTINCT status FROM work")}
    connection.close()

    assert states >= {"READY", "LEASED", "WAITING", "BLOCKED", "IN_REVIEW", "SUCCEEDED", "CANCELLED"}
    assert await examine(store_file) == []


A_LEAF = "place = (SELECT max(place) / 2 FROM audit_leaf)"
A_SECRET = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"
ATTEMPT = (
    "INSERT INTO attempt SELECT lease_id || 'x', work, task, tenant, 99, bot, started, ended, {ending}, round,"
    " error, result, result_hash, usage, answer, reason, progress, NULL FROM attempt WHERE ending = 'succeeded' LIMIT 1"
)
BROKEN = [
    ("doctor_clock", "UPDATE meta SET value = value + 86400000000 WHERE key = 'alive_at'"),
    ("doctor_two_results", ATTEMPT.format(ending="ending")),
    (
        "doctor_two_results",
        "UPDATE attempt SET ending = 'succeeded' WHERE work IN (SELECT id FROM work WHERE key = 'twice')",
    ),
    ("doctor_result_not_newest", ATTEMPT.format(ending="'expired'")),
    ("doctor_result_not_newest", "UPDATE attempt SET ending = 'failed' WHERE ending = 'succeeded'"),
    ("doctor_lease", "DELETE FROM lease WHERE cancelled = 0"),
    ("doctor_lease", "UPDATE work SET status = 'READY' WHERE status = 'LEASED' AND key = 'leased'"),
    ("doctor_lease", "UPDATE lease SET attempt = attempt + 1"),
    ("doctor_attempts", "DELETE FROM attempt WHERE ending = 'failed'"),
    ("doctor_task_counts", "UPDATE task_count SET number = number + 1"),
    ("doctor_task_counts", "DELETE FROM task_count WHERE status = 'FAILED'"),
    ("doctor_label_counts", "UPDATE label_count SET number = number + 1"),
    ("doctor_label_counts", "DELETE FROM label_count"),
    ("doctor_labels", "DELETE FROM task_label"),
    ("doctor_labels", "UPDATE task_label SET label = 'team:b' WHERE label LIKE 'team:%'"),
    ("doctor_labels", "DELETE FROM task_label WHERE label GLOB '*error:*'"),
    ("doctor_labels", "DELETE FROM task_label WHERE label GLOB '*failure:*'"),
    ("doctor_labels", "UPDATE task SET failure = NULL"),
    ("doctor_labels", "UPDATE attempt SET error = NULL"),
    ("doctor_labels", "UPDATE task SET labels = '{}' WHERE labels <> '{}'"),
    ("doctor_words", "DELETE FROM task_number WHERE n = 2"),
    ("doctor_words", "INSERT INTO task_words (rowid, tenant, title) VALUES (9999, 't', 'left over')"),
    ("doctor_words", "UPDATE task SET title = 'another task'"),
    ("doctor_costs", "UPDATE cost SET tokens = tokens + 1 WHERE part = 'bot'"),
    ("doctor_costs", "DELETE FROM cost WHERE part = 'label'"),
    ("doctor_costs", "UPDATE cost SET week = week + 1 WHERE part = 'day'"),
    ("doctor_cost_spans", "INSERT INTO cost_span VALUES ('default', 'label', 1, 20000, 'team:a', 1, 1, 0, 1)"),
    ("doctor_cost_spans", "UPDATE cost_folded SET past = past + 1"),
    ("doctor_pending", "UPDATE work SET pending = 2 WHERE status = 'BLOCKED'"),
    ("doctor_pending", "DELETE FROM edge WHERE child IN (SELECT id FROM work WHERE status = 'BLOCKED')"),
    ("doctor_counters", "UPDATE task SET n_open = n_open - 1 WHERE n_open > 0"),
    ("doctor_counters", "UPDATE task SET n_failed = 0 WHERE n_failed > 0"),
    (
        "doctor_done",  # the second half of a compound change, after the task counted as done
        "UPDATE work SET status = 'READY' WHERE task IN (SELECT id FROM task WHERE outcome = 'accepted') AND key = 'b'",
    ),
    ("doctor_done", "UPDATE task SET status = 'COMPLETED' WHERE status = 'IN_PROGRESS'"),
    ("doctor_open_tasks", "UPDATE tenant SET open_tasks = open_tasks + 1"),
    ("doctor_open_subtasks", "UPDATE tenant SET open_subtasks = open_subtasks + 1"),
    ("doctor_sequence", "DELETE FROM event WHERE sequence = 2"),
    ("doctor_sequence", "UPDATE task SET sequence = sequence + 1"),
    ("doctor_sequence", "UPDATE event SET seq = seq + 100000 WHERE sequence = 1"),
    ("doctor_task_changes", "UPDATE task SET status = 'COMPLETED' WHERE status = 'IN_PROGRESS'"),
    ("doctor_task_changes", "UPDATE event SET body = json_set(body, '$.from', 'FAILED') WHERE kind = 'task.started'"),
    ("doctor_grants", "UPDATE event SET kind = 'work.noted' WHERE kind = 'work.leased'"),
    ("doctor_event_without_record", "UPDATE event SET audit = 'aud_nobody' WHERE sequence = 1"),
    ("doctor_erased_events", "UPDATE audit_leaf SET body = NULL, salt = x'' WHERE action = 'work.report'"),
    ("doctor_cuts", "INSERT INTO audit_cut VALUES ('aud_nobody', 'tsk_nobody', 1)"),
    ("doctor_granted_bot", "UPDATE lease SET bot = 'bot_other'"),
    ("doctor_granted_bot", "UPDATE attempt SET bot = 'bot_other'"),
    ("replay", "UPDATE task SET title = 'another title'"),
    ("doctor_record_events", f"UPDATE audit_leaf SET id = (SELECT id FROM audit_leaf LIMIT 1) WHERE {A_LEAF}"),
    ("doctor_record_events", "UPDATE event SET audit = (SELECT audit FROM event LIMIT 1)"),
    ("doctor_budget_limit", "UPDATE task SET budget = json_set(budget, '$.limit.tokens', 80000)"),
    ("doctor_budget_limit", "UPDATE task SET budget = json_set(budget, '$.reserved.tokens', -1)"),
    ("doctor_budget_reserved", "UPDATE task SET budget = json_set(budget, '$.reserved.tokens', 1)"),
    ("doctor_budget_reserved", "UPDATE lease SET reserved = NULL"),
    ("doctor_budget_reserved", "UPDATE task SET budget = json_remove(budget, '$.reserved.tokens')"),
    ("doctor_budget_spent", "UPDATE task SET budget = json_set(budget, '$.spent.tokens', 1)"),
    ("doctor_budget_spent", "UPDATE task SET budget = json_set(budget, '$.unpriced_tokens', 1)"),
    ("doctor_budget_spent", "UPDATE attempt SET settled = NULL"),
    ("doctor_budget_hold", "UPDATE task SET holds = '[\"budget\"]' WHERE holds = '[\"paused\"]'"),
    ("doctor_key_limits", "UPDATE key_limit SET running = 0"),
    ("doctor_key_limits", "DELETE FROM lease WHERE work IN (SELECT id FROM work WHERE key LIKE 'keyed%')"),
    ("doctor_key_limits", "UPDATE work SET limits = '[[\"repo\", 0]]' WHERE key LIKE 'keyed%'"),
    ("doctor_key_lines", "UPDATE key_limit SET lines = '{}'"),
    ("doctor_key_lines", "UPDATE work SET line = NULL WHERE key LIKE 'keyed%'"),
    ("doctor_key_lines", "UPDATE key_limit SET running = 0"),
    ("doctor_key_lines", "DELETE FROM key_limit"),
    ("doctor_ready", "DELETE FROM ready"),
    ("doctor_ready", "UPDATE ready SET start_due = NULL"),
    (
        "doctor_ready",
        "INSERT INTO ready SELECT queue, tenant, priority, place, id, 1, task, NULL, 1 FROM work WHERE key = 'held'",
    ),
    ("doctor_lease_timers", "UPDATE timer SET kind = 'wake' WHERE kind = 'grace'"),
    ("doctor_lease_timers", "INSERT OR IGNORE INTO timer SELECT 'grace', work, 1 FROM lease"),
    ("doctor_lease_timers", "INSERT INTO timer SELECT 'lease', work, expires_at FROM lease"),
    ("doctor_lease_timers", "INSERT INTO timer SELECT 'ends', work, ends_at FROM lease"),
    ("doctor_lease_timers", "INSERT INTO timer SELECT 'start', work, start_due FROM ready"),
    ("doctor_lease_timers", "DELETE FROM timer WHERE kind = 'grace'"),
    ("doctor_cooldowns", "DELETE FROM timer WHERE kind = 'cooldown'"),
    ("doctor_cooldowns", "UPDATE cooldown SET phase = 'due'"),
    ("doctor_cooldowns", "DELETE FROM cooldown"),
    ("doctor_kills", "INSERT INTO kill VALUES ('kil_1', 'default', 'bot', 'a-bot', '', '', 0, NULL)"),
    ("doctor_kills", "INSERT INTO timer (kind, ref, due) VALUES ('kill', 'kil_gone', 1)"),
    ("doctor_waiting", "DELETE FROM timer WHERE kind = 'wake'"),
    ("doctor_waiting", "DELETE FROM timer WHERE kind = 'answer'"),
    ("doctor_waiting", "UPDATE approval SET state = 'decided'"),
    ("doctor_in_review", "DELETE FROM work WHERE kind = 'review' AND status = 'READY'"),
    ("doctor_idle_task", "DELETE FROM timer WHERE kind = 'deadline'"),
    ("doctor_idle_task", "UPDATE work SET status = 'FAILED' WHERE key = 'ready'"),
    (
        "doctor_idle_task",
        "UPDATE work SET status = 'BLOCKED' WHERE task IN (SELECT id FROM task WHERE status = 'FAILED')",
    ),
    ("doctor_leftovers", "INSERT INTO payload VALUES ('tsk_gone/spec', 'tsk_gone', x'7b7d', 0)"),
    ("doctor_erased_under_hold", "INSERT INTO legal_hold VALUES ('default', 'tsk_gone', '', '', 0)"),
    ("doctor_events", f"UPDATE event SET body = json_set(body, '$.reason', '{A_SECRET}') WHERE sequence = 1"),
    ("doctor_events", f"UPDATE event SET body = '{A_SECRET}' WHERE sequence = 1"),
    ("doctor_records", f"UPDATE audit_leaf SET body = CAST(json_object('why', '{A_SECRET}') AS BLOB) WHERE {A_LEAF}"),
    ("doctor_records", f"UPDATE audit_leaf SET leaf = CAST('{A_SECRET}' AS BLOB) WHERE {A_LEAF}"),
    ("audit_records", f"UPDATE audit_leaf SET actor = 'somebody else' WHERE {A_LEAF}"),
]


@pytest.mark.parametrize(("check", "statement"), BROKEN, ids=[f"{check}-{n}" for n, (check, _) in enumerate(BROKEN)])
async def test_the_doctor_finds_each_invariant_broken_by_hand(store_file: Path, check: str, statement: str) -> None:
    assert change(store_file, statement) > 0

    found = {finding.check.read for finding in await examine(store_file)}

    assert check in found


async def test_a_lease_with_a_key_and_a_budget_that_is_gone_is_missed_by_both(store_file: Path) -> None:
    assert change(store_file, "DELETE FROM lease WHERE work IN (SELECT id FROM work WHERE key = 'both')") == 1

    found = {finding.check.read for finding in await examine(store_file)}

    assert found >= {"doctor_key_limits", "doctor_budget_reserved"}


async def test_a_trace_id_that_looks_like_a_card_number_is_not_redacted(store_file: Path) -> None:
    trace = "00-8a545b5d47828713205408d943dd5742-4409738631413345-01"
    leaf = f"CAST(json_set(leaf, '$.trace', '{trace}') AS BLOB)"
    assert change(store_file, f"UPDATE audit_leaf SET leaf = {leaf} WHERE {A_LEAF}") > 0

    found = {finding.check.read for finding in await examine(store_file)}

    assert found == {"audit_records"}, "only the changed leaf is found"


class _Seen:
    """Rules that remember what they look at."""

    def __init__(self) -> None:
        self.text, self.parts = "", 0

    def redact(self, value: Any, *, tenant: str | None) -> Any:
        self.text += json.dumps(value)
        self.parts += 1
        return RULES.redact(value, tenant=tenant)


async def test_ids_and_hashes_of_rows_are_not_searched_for_secrets_and_all_else_is(store_file: Path) -> None:
    """There may be thousands for each record, which made nine tenths of the cost of a deep look."""
    seen = _Seen()
    store = SqliteStore(str(store_file))
    await store.open(exclusive=False, create=False)
    found = await doctor.examine(store, seen, deep=True, wall=SystemClock().now())  # type: ignore[arg-type]  # it redacts
    bodies = [json.loads(row["body"]) for row in await store.read("doctor_records", {"place": 0, "n": 500})]
    await store.close()

    pairs = [pair for body in bodies for own in body.get("rows", {}).values() for pair in own]
    of_kind = {kind: [pair for pair in pairs if pair[0].startswith(f"{kind} ")] for kind in ("work", "payload", "bot")}
    assert found == []
    assert not any(pair[1] in seen.text for pair in of_kind["work"] + of_kind["payload"] if pair[1])
    assert len(of_kind["work"]) > 10 < len(of_kind["payload"])
    assert all(pair[1] in seen.text for pair in of_kind["bot"])
    assert all(body["payload"].get("key", "") in seen.text for body in bodies)


AN_ID = "tsk_06H2EV0RA8127NJ79IJ0JIVOO0"


async def test_of_rows_that_differ_in_their_ids_alone_one_is_searched(store_file: Path) -> None:
    body = f"json_object('task', '{AN_ID[:-2]}' || printf('%02d', seq % 100), 'key', 'a')"
    changed = change(store_file, f"UPDATE event SET body = {body}")
    assert changed > 50

    seen = _Seen()
    store = SqliteStore(str(store_file))
    await store.open(exclusive=False, create=False)
    await doctor.examine(store, seen, deep=True, wall=SystemClock().now())  # type: ignore[arg-type]  # it redacts
    records = len(await store.read("doctor_records", {"place": 0, "n": 500}))
    await store.close()

    assert seen.text.count('"key": "a"}') == 1
    assert seen.parts < 2 * records


@pytest.mark.parametrize(
    ("clean", "secret"),
    [
        ({"at": 1795959109210354, "x": 1}, {"at": 4111111111111111, "x": 1}),
        ({"key": "a", "x": 1}, {"key": A_SECRET, "x": 1}),
        ({"task": AN_ID}, {"task": f"{AN_ID} {A_SECRET}"}),
        ({"sha256": "0" * 64}, {"sha256": f"{'0' * 64} {A_SECRET}"}),
    ],
)
async def test_one_secret_among_rows_alike_is_found(
    store_file: Path, clean: dict[str, Any], secret: dict[str, Any]
) -> None:
    assert change(store_file, f"UPDATE event SET body = json('{json.dumps(clean)}')") > 50
    before = [finding.subject for finding in await examine(store_file) if finding.check.read == "doctor_events"]
    last = "seq = (SELECT max(seq) FROM event)"
    assert change(store_file, f"UPDATE event SET body = json('{json.dumps(secret)}') WHERE {last}") == 1

    found = [finding.subject for finding in await examine(store_file) if finding.check.read == "doctor_events"]

    assert (before, len(found)) == ([], 1)


@pytest.mark.parametrize(
    "pair",
    [
        ["work sub_06H2EV0RA8G7B4ONMFOK0OD6PO", A_SECRET],
        [f"work {A_SECRET}", "0" * 64],
        [f"work sub_06H2EV0RA8G7B4ONMFOK0OD6PO/{A_SECRET}", "0" * 64],
        ["work sub_06H2EV0RA8G7B4ONMFOK0OD6PO", "0" * 64, A_SECRET],
        [[A_SECRET], "0" * 64],
    ],
)
async def test_a_secret_in_the_place_of_a_row_s_hash_is_found(store_file: Path, pair: list[Any]) -> None:
    body = f"CAST(json_set(body, '$.rows', json('{json.dumps({'tsk_1': [pair]})}')) AS BLOB)"
    assert change(store_file, f"UPDATE audit_leaf SET body = {body} WHERE {A_LEAF}") > 0

    assert "doctor_records" in {finding.check.read for finding in await examine(store_file)}


def test_every_check_has_a_broken_store_that_it_finds() -> None:
    checks = {check.read for check in (*doctor.CHECKS, *doctor.EVIDENCE, doctor.AUDIT, doctor.ROWS)}
    checks -= {doctor.DAMAGE.read}

    assert checks == {check for check, _ in BROKEN}


def test_every_invariant_that_rows_can_show_is_broken_by_one_update() -> None:
    every = (*doctor.CHECKS, *doctor.EVIDENCE, doctor.AUDIT, doctor.ROWS)
    invariant = {check.read: check.invariant for check in every}

    assert {invariant[read] for read, statement in BROKEN if statement.startswith("UPDATE")} == {
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        8,
        10,
        11,
    }


def damage(file: Path) -> None:
    """Remove all entries of an index, on the page itself."""
    pages = bytearray(file.read_bytes())
    connection = apsw.Connection(str(file))
    page = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'lease_of_bot'").get
    size = connection.pragma("page_size")
    connection.close()
    assert isinstance(page, int)
    assert isinstance(size, int)
    pages[(page - 1) * size + 3 : (page - 1) * size + 5] = b"\0\0"
    file.write_bytes(pages)


async def test_a_damaged_file_is_found_without_looking_deep(store_file: Path) -> None:
    damage(store_file)

    assert {finding.check for finding in await examine(store_file, deep=False)} == {doctor.DAMAGE}


async def test_a_whole_audit_log_is_verified_and_its_records_counted(store_file: Path) -> None:
    verdict = await verify(store_file)

    assert verdict.status == "whole"
    assert verdict.records == count(store_file)


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE audit_leaf SET leaf = CAST(replace(leaf, 'accepted', 'refused!') AS BLOB) WHERE {A_LEAF}",
        f"UPDATE audit_leaf SET body = CAST('{{}}' AS BLOB) WHERE {A_LEAF}",
        f"UPDATE audit_leaf SET action = 'task.nothing' WHERE {A_LEAF}",
        f"UPDATE audit_leaf SET hash = zeroblob(32) WHERE {A_LEAF}",
        f"DELETE FROM audit_leaf WHERE {A_LEAF}",
    ],
)
async def test_a_record_that_was_tampered_with_is_named_by_its_index(store_file: Path, statement: str) -> None:
    place = (count(store_file) - 1) // 2
    change(store_file, statement)

    verdict = await verify(store_file)

    assert (verdict.status, verdict.index) == ("tampered", place)


async def test_a_log_whose_last_records_are_gone_is_incomplete(store_file: Path) -> None:
    records = count(store_file)
    change(store_file, f"DELETE FROM audit_leaf WHERE place >= {records - 2}")

    verdict = await verify(store_file)

    assert (verdict.status, verdict.index) == ("incomplete", records - 2)


async def test_a_record_put_behind_the_last_one_is_found(store_file: Path) -> None:
    change(
        store_file,
        "INSERT INTO audit_leaf SELECT tenant, (SELECT max(place) + 1 FROM audit_leaf), 'aud_new', task, actor, action,"
        " at, leaf, salt, body, hash FROM audit_leaf LIMIT 1",
    )

    verdict = await verify(store_file)

    assert (verdict.status, verdict.index) == ("tampered", count(store_file) - 1)


async def test_a_log_that_is_gone_with_its_head_is_missed(store_file: Path) -> None:
    change(store_file, "DELETE FROM audit_leaf")
    change(store_file, "DELETE FROM audit_tree")

    assert (await verify(store_file)).status == "incomplete"


async def test_a_log_is_verified_while_it_grows(store_file: Path) -> None:
    async with at_work(store_file) as engine:
        swarm = Swarm(engine)
        growing = [asyncio.create_task(swarm.submit(SubtaskSpec("a", "d"))) for _ in range(50)]

        verdict = await verify(store_file)
        await asyncio.gather(*growing)

    assert verdict.status == "whole"
    assert (await verify(store_file)).records >= count(store_file) - 1
    assert await examine(store_file) == []


def count(file: Path) -> int:
    connection = apsw.Connection(str(file))
    try:
        found = connection.execute("SELECT count(*) FROM audit_leaf").get
        assert isinstance(found, int)
        return found
    finally:
        connection.close()


def test_words_are_those_of_the_tables() -> None:
    assert set(json.loads(doctor.WORDS["final"])) == {"SUCCEEDED", "FAILED", "CANCELLED", "SKIPPED"}
