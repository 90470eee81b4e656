"""Three orchestrators share one database, and everything that can break does: servers die, stand still, lose their
connections; the database is restarted. Nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.acceptance.replicas import (
    PATIENT_SECONDS,
    SECONDS_FOR_CALL,
    Cluster,
    InsistentBot,
    InsistentCaller,
    Replica,
    while_it_lasts,
)
from tests.examples import exploring
from tests.support.postgres import PostgresServer, rows

REPLICAS = 3
PLAN = [
    *({"key": key, "description": "one of many"} for key in "abcdef"),
    {"key": "join", "description": "all", "depends_on": list("abcdef")},
    {"key": "last", "description": "the end", "depends_on": ["join"]},
]
# What callers may be answered: what they asked for, or that they should ask again.
NO_LIMITS = {"tasks_a_minute_key": 0, "tasks_a_minute_tenant": 0, "open_tasks": 0, "open_subtasks": 0}
ITEMS = 4_000 if exploring() else 1_600  # `make explore` hands out four thousand
FORTY = [{"key": f"k{number}", "description": "one of many"} for number in range(40)]
LEASES = "SELECT lease_id, expires_at, ends_at, expire_put_off, end_put_off FROM lease ORDER BY lease_id"
OLDEST = """SELECT coalesce(extract(epoch FROM clock_timestamp()) - min(at) / 1000000.0, 0)::float8 FROM outbox"""
ANSWERS = ("200", "201", "503", "none")


def plan(lease: Any) -> dict[str, Any]:
    return {"plan": {"subtasks": PLAN}}


def execute(lease: Any) -> dict[str, Any]:
    return {"output": {"key": lease["subtask"]["key"], "saw": sorted(lease["upstream"])}}


def review(lease: Any) -> dict[str, Any]:
    return {"verdict": {"decision": "accept", "score": 1}}


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer(durable=True)
    yield server
    server.stop()


@dataclass
class Swarm:
    """Bots and a client of a cluster."""

    cluster: Cluster
    answers: dict[str, int] = field(default_factory=dict)
    tasks: list[str] = field(default_factory=list)
    bots: list[InsistentBot] = field(default_factory=list)
    seconds: float = SECONDS_FOR_CALL  # for a call

    def caller(self) -> InsistentCaller:
        return InsistentCaller(lambda: self.cluster.url, self.cluster.key, self.answers, seconds=self.seconds)

    def workers(self, *, planners: int, executors: int, evaluators: int, lease_seconds: float = 5) -> list[Any]:
        kinds = [("Planner", planners, plan), ("Executor", executors, execute), ("Evaluator", evaluators, review)]
        for kind, count, do in kinds:
            self.bots += [InsistentBot(self.caller(), kind, number, do) for number in range(count)]
        return [bot.run(lease_seconds=lease_seconds) for bot in self.bots]

    async def submit(self, count: int, *, batch: int = 10) -> None:
        call = self.caller()
        for begin in range(0, count, batch):
            asked = [
                {"title": f"task {number}", "defaults": {"max_attempts": 20}} for number in range(begin, begin + batch)
            ]
            made: list[Any] = []
            while len(made) < len(asked):
                status, answer = await call("POST", "/tasks:batch", {"tasks": asked}, Idempotency_Key=f"from-{begin}")
                assert status in (200, 201), answer
                refused = [result for result in answer["results"] if "task" not in result]
                assert all(result["status"] == 503 for result in refused), refused
                made = [result["task"]["id"] for result in answer["results"] if "task" in result]
            self.tasks += made

    async def all_end(self) -> None:
        call = self.caller()
        for task in self.tasks:
            final = None
            while final is None or final["outcome"] is None:
                status, final = await call("GET", f"/tasks/{task}?wait_seconds=5&until=final")
                assert status == 200, final
            assert (final["status"], final["outcome"]) == ("ARCHIVED", "accepted"), final


class Chaos:
    """Breaks servers and connections at random moments, and mends them."""

    def __init__(self, cluster: Cluster, postgres: PostgresServer, chance: random.Random) -> None:
        self._cluster, self._postgres, self._chance = cluster, postgres, chance
        self.done: list[str] = []

    async def run(self, count: int) -> None:
        kinds = [self.kill, self.freeze, self.lose_connections, self.restart_database]
        # Each once, then by chance.
        for number in range(count):
            await asyncio.sleep(self._chance.uniform(0.2, 1.2))
            chosen = kinds[number] if number < len(kinds) else self._chance.choice(kinds)
            await chosen()
            self.done.append(chosen.__name__)

    def _one(self) -> Replica:
        return self._chance.choice(self._cluster.replicas)

    async def kill(self) -> None:
        replica = self._one()
        await asyncio.to_thread(replica.kill)
        await asyncio.sleep(self._chance.uniform(0, 1))
        await asyncio.to_thread(replica.start)

    async def freeze(self) -> None:
        replica = self._one()
        replica.freeze()
        await asyncio.sleep(self._chance.choice((0.5, 2, 5)))
        replica.go_on()

    async def lose_connections(self) -> None:
        connection = await asyncpg.connect(self._postgres.url())
        found = await connection.fetch(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'swarmkeeper' ORDER BY pid"
        )
        for row in self._chance.sample(found, len(found) // 3):
            await connection.execute("SELECT pg_terminate_backend($1)", row["pid"])
        await connection.close()

    async def restart_database(self) -> None:
        immediate = self._chance.random() < 0.5
        await asyncio.to_thread(self._postgres.halt, immediate=immediate)
        await asyncio.sleep(self._chance.uniform(0, 1))
        await asyncio.to_thread(self._postgres.resume)


def check_history(url: str) -> dict[str, int]:
    """Check what the store says of the whole run; return how much there was."""
    twice = rows(
        url, "SELECT work, round FROM attempt WHERE ending = 'succeeded' GROUP BY work, round HAVING count(*) > 1"
    )
    assert not twice, f"these have two accepted results: {twice[:5]}"
    events = rows(url, "SELECT seq, task, sequence, work, kind FROM event ORDER BY seq")
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1)), "the feed has gaps"
    last: dict[str, int] = {}
    for event in events:
        if event["task"] is not None:
            assert event["sequence"] == last.get(event["task"], 0) + 1, f"{dict(event)} is not in order"
            last[event["task"]] = event["sequence"]
    (attempts,) = rows(url, "SELECT count(*) AS n FROM attempt")
    return {"events": len(events), "attempts": attempts["n"], "tasks": len(last)}


def play(folder: Path, postgres: PostgresServer, *, seed: int, tasks: int, bots: int, faults: int) -> str:
    """Play the whole story, check it, and return a line about it."""
    database = postgres.new_database(keep=True)
    began = time.monotonic()
    with Cluster(folder, database, REPLICAS, NO_LIMITS) as cluster:
        swarm = Swarm(cluster)
        chaos = Chaos(cluster, postgres, random.Random(seed))

        async def story() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(swarm.submit(tasks))
                group.create_task(chaos.run(faults))
            await swarm.all_end()

        others = max(1, bots // 8)
        workers = swarm.workers(planners=others, executors=bots - 2 * others, evaluators=others)
        asyncio.run(while_it_lasts(workers, story()))
        seconds = time.monotonic() - began
        logs = "\n".join(replica.log for replica in cluster.replicas)
        cluster.replicas[0].cli("doctor", "--deep", "--store", database)
        cluster.replicas[0].cli("audit", "verify", database)
    found = check_history(database)
    unexpected = {answer: count for answer, count in swarm.answers.items() if not answer.startswith(ANSWERS)}
    assert not unexpected, (unexpected, swarm.answers)
    assert "fsync = off" not in logs, "this database keeps what it confirms"
    faults_told = [line for line in logs.splitlines() if "fault" in line]
    assert not faults_told, faults_told[:3]
    accepted = {lease for bot in swarm.bots for lease in bot.accepted}
    stored = {row["lease_id"] for row in rows(database, "SELECT lease_id FROM attempt WHERE ending = 'succeeded'")}
    assert not accepted - stored, "an acknowledged result is not stored"
    return f"{seconds:.1f} s, {found}, {dict(swarm.answers)}, {chaos.done}"


@pytest.mark.timeout(600)
def test_three_servers_lose_and_double_nothing_while_everything_breaks(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    seed, tasks, faults = (random.SystemRandom().randrange(1_000_000), 500, 15) if exploring() else (1, 200, 6)
    print(f"seed {seed}")
    print(play(tmp_path, postgres, seed=seed, tasks=tasks, bots=40, faults=faults))


# ---- many servers at once --------------------------------------------------------------------------------------------


@pytest.mark.timeout(300)
def test_eight_servers_hand_out_each_of_many_items_once(tmp_path: Path, postgres: PostgresServer) -> None:
    database = postgres.new_database(keep=True)
    with Cluster(tmp_path, database, 8, NO_LIMITS) as cluster:
        answers: dict[str, int] = {}
        client = InsistentCaller(lambda: cluster.url, cluster.key, answers)

        async def submit() -> None:
            for begin in range(0, ITEMS // len(FORTY), 10):
                asked = [{"title": f"task {begin + n}", "evaluation": "none", "subtasks": FORTY} for n in range(10)]
                status, answer = await client("POST", "/tasks:batch", {"tasks": asked})
                assert status == 200, answer
            client.close()

        asyncio.run(submit())
        bots: list[InsistentBot] = []

        async def story() -> None:
            while sum(len(bot.accepted) for bot in bots) < ITEMS:  # noqa: ASYNC110  # bots only count
                await asyncio.sleep(0.1)

        async def work() -> None:
            for number in range(16):
                # Each of two bots goes straight to one server: all eight take part from the first moment.
                server = cluster.replicas[number % 8]
                call = InsistentCaller(lambda server=server: server.url, cluster.key, answers)  # type: ignore[misc]  # mypy does not infer the default
                bots.append(InsistentBot(call, "Executor", number, execute, batch=25))
            await while_it_lasts([bot.run(lease_seconds=60) for bot in bots], story())

        asyncio.run(work())
    granted = [work for bot in bots for _, work in bot.granted]
    assert (len(granted), len(set(granted))) == (ITEMS, ITEMS)
    assert answers.keys() <= {"200", "201"}, answers
    assert min(len(bot.granted) for bot in bots) > 0
    (attempts,) = rows(database, "SELECT count(*) AS n, count(DISTINCT work) AS works FROM attempt")
    assert (attempts["n"], attempts["works"]) == (ITEMS, ITEMS)


@pytest.mark.timeout(180)
def test_a_rolling_restart_fails_no_call_loses_no_lease_and_prolongs_none(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    database = postgres.new_database(keep=True)
    # A server that stops answers what it has accepted, so each bot gets each of its leases, and no attempt is lost.
    # That holds as long as nobody cuts a connection or lets a lease expire, which is not what this test is about.
    with Cluster(tmp_path, database, REPLICAS, NO_LIMITS, seconds_to_answer=PATIENT_SECONDS) as cluster:
        swarm = Swarm(cluster, seconds=PATIENT_SECONDS)

        def restart_all() -> None:
            for replica in cluster.replicas:
                assert replica.process is not None
                replica.process.terminate()
                assert replica.process.wait(30) == 0, replica.log[-2000:]
                replica.start()
                cluster.wait_until_ready()

        async def story() -> None:
            call = swarm.caller()
            held = await _held_lease(call)
            before = await asyncio.to_thread(rows, database, LEASES)
            async with asyncio.TaskGroup() as group:
                group.create_task(swarm.submit(60))
                group.create_task(asyncio.to_thread(restart_all))
            await swarm.all_end()
            after = await asyncio.to_thread(rows, database, LEASES)
            assert list(map(tuple, after)) == list(map(tuple, before)) != [], held

        workers = swarm.workers(planners=2, executors=8, evaluators=2, lease_seconds=300)
        asyncio.run(while_it_lasts(workers, story()))
    assert {answer.partition(" ")[0] for answer in swarm.answers} <= {"200", "201", "503", "none"}, swarm.answers
    endings = rows(database, "SELECT ending, count(*) AS n FROM attempt GROUP BY ending")
    assert {row["ending"]: row["n"] for row in endings} == {"succeeded": 60 * (1 + len(PLAN) + 1)}
    check_history(database)


async def _held_lease(call: InsistentCaller) -> Any:
    """Return a lease of five minutes, of a bot that says nothing more."""
    task = {"title": "held", "evaluation": "none", "subtasks": [{"key": "x", "description": "x", "assign_to": "quiet"}]}
    assert (await call("POST", "/tasks", task))[0] == 201
    _, bot = await call("POST", "/bots/register", {"type": "Executor", "version": "1", "name": "quiet"})
    ask = {"bot_id": bot["id"], "max": 1, "wait_seconds": 5, "lease_seconds": 300}
    status, answer = await call("POST", "/leases", ask)
    assert status == 200, answer
    return answer["leases"][0]


# ---- planned and unplanned ends --------------------------------------------------------------------------------------


@pytest.mark.timeout(120)
def test_events_are_numbered_soon_after_the_server_that_numbers_them_died_or_stood_still(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    database = postgres.new_database(keep=True)
    with Cluster(tmp_path, database, 3, NO_LIMITS) as cluster:
        late: list[float] = []
        for strike in (Replica.kill, Replica.freeze):
            owner = _numbering(cluster, database)
            asked = next(one for one in cluster.replicas if one is not owner and one.is_alive)
            late.append(asyncio.run(_seconds_without_numbers(asked, cluster.key, partial(strike, owner), database)))
            assert _numbering(cluster, database) is not owner
        for one in cluster.replicas:
            one.go_on()

    print(f"the oldest event waited: server killed {late[0]:.2f} s, server frozen {late[1]:.2f} s")
    assert 0 < late[0] < 2, "0.5 s if nothing else runs on the machine"
    assert 3 < late[1] < 6, "4 s if nothing else runs on the machine"


def _numbering(cluster: Cluster, database: str) -> Replica:
    """Return the server that numbers events."""
    (row,) = rows(
        database,
        "SELECT client_port FROM pg_stat_activity JOIN pg_locks USING (pid)"
        " WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted"
        " AND (CAST(classid AS bigint) << 32) | CAST(objid AS bigint) = hashtextextended('swarmkeeper/sequencer', 0)",
    )
    (owner,) = [one for one in cluster.replicas if one.is_alive and one.has_port(row["client_port"])]
    return owner


async def _seconds_without_numbers(server: Replica, key: str, strike: Callable[[], None], database: str) -> float:
    """Strike a server while another one is given tasks; return how long the oldest event waited for its number."""
    answers: dict[str, int] = {}
    call = InsistentCaller(lambda: server.url, key, answers)
    connection = await asyncpg.connect(database)
    longest, waits, until = 0.0, 0.0, 0.0
    try:
        while not until or time.monotonic() < until or waits > 1:
            status, answer = await call("POST", "/tasks", {"title": "t"})
            assert status == 201, answer
            waits = await connection.fetchval(OLDEST)
            longest = max(longest, waits)
            if not until:
                strike()
                until = time.monotonic() + 2
            await asyncio.sleep(0.05)
    finally:
        call.close()
        await connection.close()
    assert answers == {"201": sum(answers.values())}, "commands go on meanwhile"
    return longest
