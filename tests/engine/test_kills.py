"""The kill switch: what is killed gets no work and loses what it holds, at once and in bounded slices."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core import commands
from swarmkeeper.core.decide.kills import LOOK_EVERY, ROWS_OF_LEASE, SETTLED_AFTER
from swarmkeeper.core.errors import Invalid, Killed, LeaseLost, PermissionDenied, ResourceNotFound
from swarmkeeper.core.kills.commands import LiftKill, PlaceKill
from swarmkeeper.core.kills.records import KILLS_MAX, KillKind
from swarmkeeper.core.model import Limits
from swarmkeeper.sim.harness import ADMIN, CLIENT, OPERATOR, Harness
from swarmkeeper.sim.kernel.loop import SECOND
from tests.examples import examples

WHY = "it deletes files"


def kill(swarm: Harness, kind: str, name: str, **more: Any) -> str:
    if not swarm.rows("SELECT id FROM tenant"):  # the first key of a tenant creates it
        swarm.do(commands.CreateKey(by=ADMIN, role="client", public_id="abcdefghij", digest=b"0"))
    placed: str = swarm.do(PlaceKill(**{"by": ADMIN, "kind": KillKind(kind), "name": name, "reason": WHY, **more}))
    return placed


def lift(swarm: Harness, name: str) -> None:
    swarm.do(LiftKill(by=ADMIN, kill=name))


@pytest.fixture
def pair(swarm: Harness) -> tuple[str, str]:
    """Two bots of two owners; both can count."""
    return swarm.bot("bad", owner="acme", skills=("count",)), swarm.bot("good", owner="other", skills=("count",))


COUNTING = [{"key": f"k{n}", "required_skills": ["count"]} for n in range(4)]
STOPS_BOTH = {"skill": "count", "tenant": "default"}


@pytest.mark.parametrize(
    ("kind", "name"), [("bot", "bad"), ("owner", "acme"), ("skill", "count"), ("tenant", "default")]
)
def test_what_is_killed_gets_nothing_and_loses_its_lease_until_the_kill_is_lifted(
    swarm: Harness, pair: tuple[str, str], kind: str, name: str
) -> None:
    bad, good = pair
    task = swarm.submit(COUNTING)
    held = swarm.take(bad)

    placed = kill(swarm, kind, name)

    assert not swarm.rows("SELECT 1 FROM lease")
    claimed = swarm.claim(bad)
    assert (claimed.leases, claimed.reason) == ((), "killed")
    assert swarm.beat(held) == "lost"
    with pytest.raises(LeaseLost):
        swarm.report(held)
    assert swarm.attempts(held.work)[-1]["ending"] == "released"
    assert swarm.work(task, held.key).crashes == 0
    assert bool(swarm.leases(good)) == (kind not in STOPS_BOTH)

    lift(swarm, placed)

    assert swarm.claim(bad).leases
    swarm.check()


def test_a_bot_is_killed_by_its_id_and_in_all_its_processes_by_its_name(swarm: Harness) -> None:
    first, second = swarm.bot("twin", instance="a"), swarm.bot("twin", instance="b")
    swarm.submit(["a", "b"])

    kill(swarm, "bot", first)

    assert (swarm.claim(first).reason, len(swarm.claim(second).leases)) == ("killed", 1)
    kill(swarm, "bot", "twin")
    assert swarm.claim(second).reason == "killed"
    assert not swarm.rows("SELECT 1 FROM lease")


def test_a_bot_that_registers_after_the_kill_gets_nothing(swarm: Harness) -> None:
    swarm.submit(["a"])
    kill(swarm, "owner", "acme")

    assert swarm.claim(swarm.bot("new", owner="acme")).reason == "killed"


def test_work_without_the_killed_skill_goes_on(swarm: Harness, pair: tuple[str, str]) -> None:
    swarm.submit([{"key": "a", "required_skills": ["count"]}, "b"])
    kill(swarm, "skill", "count")

    assert [lease.key for lease in swarm.leases(pair[0], 5)] == ["b"]


def test_a_parked_poll_ends_with_the_kill_and_a_later_one_waits(swarm: Harness, pair: tuple[str, str]) -> None:
    parked, other = swarm.park(pair[0]), swarm.park(pair[1])
    swarm.advance(0)
    assert not parked.poll.answer.done()

    placed = kill(swarm, "bot", "bad")
    swarm.advance(0)

    assert not parked.waits
    assert parked.poll.answer.result().reason == "killed"
    assert other.waits
    again = swarm.park(pair[0])
    swarm.submit(COUNTING)
    swarm.advance(1)
    assert not again.poll.answer.done()
    lift(swarm, placed)
    swarm.advance(0)
    assert not again.waits
    assert again.leases


def test_a_killed_tenant_takes_no_submission(swarm: Harness) -> None:
    placed = kill(swarm, "tenant", "default")

    with pytest.raises(Killed, match=WHY):
        swarm.submit(["a"])
    lift(swarm, placed)
    assert swarm.submit(["a"])


def test_a_kill_ends_at_its_time_and_not_before(swarm: Harness, pair: tuple[str, str]) -> None:
    swarm.submit(COUNTING)
    swarm.advance(1)
    kill(swarm, "bot", "bad", until=swarm.now + 60 * SECOND)

    swarm.advance(59)
    assert swarm.claim(pair[0]).reason == "killed"
    swarm.advance(2)

    assert swarm.claim(pair[0]).leases
    assert not swarm.rows("SELECT 1 FROM kill")
    assert not [timer for timer in swarm.timers() if timer["kind"] == "kill"]
    assert swarm.row("SELECT body FROM event WHERE kind = 'kill.lifted'")["body"].count('"until"') == 1


def test_a_kill_outlives_the_process(swarm: Harness, pair: tuple[str, str]) -> None:
    swarm.submit(COUNTING)
    kill(swarm, "owner", "acme")

    swarm.restart()

    assert swarm.claim(pair[0]).reason == "killed"


@pytest.mark.parametrize("kind", list(KillKind))
def test_many_leases_are_taken_back_in_slices_even_if_the_process_dies_between_them(kind: KillKind) -> None:
    swarm = Harness(limits=Limits(slice_rows=8 * ROWS_OF_LEASE))
    bot = swarm.bot("bad", owner="acme", skills=("count",), capacity=40)
    swarm.submit([{"key": f"k{n}", "required_skills": ["count"]} for n in range(40)])
    assert len(swarm.leases(bot, 40)) == 40
    name = {"bot": "bad", "owner": "acme", "skill": "count", "tenant": "default"}[kind]
    swarm.commits.clear()

    kill(swarm, kind, name)

    most = max(len(changes.leases_gone) for changes in swarm.commits)
    assert most == 8
    swarm.restart()
    swarm.advance(0.5)
    assert not swarm.rows("SELECT 1 FROM lease")
    assert max(len(changes.leases_gone) for changes in swarm.commits) <= 8
    assert not swarm.leases(bot, 40)
    swarm.check()
    swarm.close()


def test_a_lease_that_a_late_server_granted_is_found_soon_and_also_much_later(swarm: Harness) -> None:
    bot = swarm.bot("bad", capacity=3)
    swarm.submit(["a", "b"])
    kill(swarm, "bot", "bad")
    for wait, within in ((1, 0.3), (SETTLED_AFTER / SECOND, LOOK_EVERY / SECOND)):
        swarm.advance(wait)
        # What a server does that has not learned of the kill.
        swarm.engine.scheduler.kills.tenants.clear()
        assert swarm.leases(bot, ttl_seconds=3_600)  # so that it does not expire by itself
        swarm.engine.scheduler.kills.tenants["default"] = None

        swarm.advance(within)

        assert not swarm.rows("SELECT 1 FROM lease")


def test_a_server_that_may_have_missed_a_kill_asks_the_store(swarm: Harness) -> None:
    bot = swarm.bot("bad")
    swarm.submit(["a"])
    kill(swarm, "bot", "bad")

    swarm.engine.scheduler.kills.tenants.clear()
    swarm.engine.is_fresh = lambda: False

    assert swarm.claim(bot).reason == "killed"


def test_who_killed_what_and_why_is_recorded(swarm: Harness) -> None:
    placed = kill(swarm, "bot", "bad", by=OPERATOR)
    lift(swarm, placed)

    told = swarm.rows("SELECT action, leaf FROM audit_leaf WHERE action LIKE 'kill.%' ORDER BY place")
    assert [row["action"] for row in told] == ["kill.place", "kill.lift"]
    assert OPERATOR.key_id.encode() in bytes(told[0]["leaf"])
    kinds = [row["kind"] for row in swarm.rows("SELECT kind FROM event WHERE kind LIKE 'kill.%' ORDER BY seq")]
    assert kinds == ["kill.placed", "kill.lifted"]
    assert WHY in swarm.row("SELECT body FROM event WHERE kind = 'kill.placed'")["body"]


def test_who_may_kill(swarm: Harness) -> None:
    for by, kind, name in ((CLIENT, "bot", "bad"), (OPERATOR, "tenant", "default")):
        with pytest.raises(PermissionDenied):
            kill(swarm, kind, name, by=by)
    with pytest.raises(ResourceNotFound):
        kill(swarm, "tenant", "neighbour")
    placed = kill(swarm, "tenant", "default")
    with pytest.raises(PermissionDenied):
        swarm.do(LiftKill(by=OPERATOR, kill=placed))
    with pytest.raises(ResourceNotFound):
        swarm.do(LiftKill(by=ADMIN, kill="kil_other"))


def test_a_kill_must_end_in_the_future_and_there_are_not_too_many(swarm: Harness) -> None:
    with pytest.raises(Invalid) as refused:
        kill(swarm, "bot", "bad", until=swarm.now)
    assert refused.value.details[0][0] == "/until"

    for number in range(KILLS_MAX):
        kill(swarm, "bot", f"bad-{number}")
    with pytest.raises(Invalid):
        kill(swarm, "bot", "one-more")
    assert kill(swarm, "bot", "bad-0", reason="another")  # replaces its kill
    assert swarm.row("SELECT reason FROM kill WHERE name = 'bad-0'")["reason"] == "another"


KINDS = st.sampled_from([("bot", "bad"), ("bot", "good"), ("owner", "acme"), ("skill", "count"), ("tenant", "default")])


@examples(40)
@given(steps=st.lists(st.tuples(st.sampled_from(["kill", "lift", "claim", "wait", "restart"]), KINDS), max_size=25))
def test_whatever_happens_the_killed_hold_nothing(steps: list[tuple[str, tuple[str, str]]]) -> None:
    swarm = Harness()
    bots = [
        swarm.bot("bad", owner="acme", skills=("count",), capacity=3),
        swarm.bot("good", owner="other", capacity=3),
    ]
    swarm.submit([{"key": f"k{n}", "required_skills": ["count"] if n % 2 else []} for n in range(12)])
    placed: dict[tuple[str, str], str] = {}
    for what, (kind, name) in steps:
        match what:
            case "kill":
                placed[kind, name] = kill(swarm, kind, name)
            case "lift" if (kind, name) in placed:
                lift(swarm, placed.pop((kind, name)))
            case "claim":
                for bot in bots:
                    swarm.claim(bot, most=2)
            case "wait":
                swarm.advance(0.1)
            case "restart":
                swarm.restart()
        holds = swarm.rows(
            "SELECT bot.name, bot.owner, queue.skills FROM lease JOIN bot ON bot.id = lease.bot"
            " JOIN work ON work.id = lease.work JOIN queue ON queue.id = work.queue"
        )
        for row in holds:
            killed = {("bot", row["name"]), ("owner", row["owner"]), ("tenant", "default")}
            killed |= {("skill", "count")} if "count" in row["skills"] else set()
            assert killed.isdisjoint(placed), row
    swarm.check()
    swarm.close()
