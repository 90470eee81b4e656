"""The catalogue of events matches the emitted events: each kind has a class, and each class is emitted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema_rs
import pytest

from swarmkeeper.core import commands
from swarmkeeper.core.catalogue import CATALOGUE
from swarmkeeper.core.erasure.commands import EraseTenant
from swarmkeeper.core.errors import TaskClosed
from swarmkeeper.core.kills.commands import LiftKill, PlaceKill
from swarmkeeper.core.kills.records import KillKind
from swarmkeeper.core.model import Event, Limits
from swarmkeeper.core.persons import commands as of_persons
from swarmkeeper.core.ports import Changes
from swarmkeeper.core.rules.tree import EMPTY_ROOT
from swarmkeeper.core.secrets import commands as of_secrets
from swarmkeeper.core.secrets.records import ReleasedValue, Sealed
from swarmkeeper.sim.harness import ADMIN, CLIENT, Harness
from swarmkeeper.sim.play.scenarios import SCENARIOS
from swarmkeeper.sim.run import Case, run
from swarmkeeper.storage.sqlite import SqliteStore
from swarmkeeper.storage.sqlite.transaction import SqliteTransaction
from tests.core import test_life, test_task_life
from tests.support.at_rest import bodies

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "reference" / "events.schema.json"
PUBLISHED = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text(encoding="utf-8")))
MINUTE = 60_000_000


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Collect the events that stores save during a test."""
    found: list[Event] = []
    right = SqliteTransaction.save

    async def save(self: SqliteTransaction, changes: Changes) -> None:
        found.extend(changes.events)
        await right(self, changes)

    monkeypatch.setattr(SqliteTransaction, "save", save)
    return found


def faults(events: Iterable[Event]) -> Iterator[str]:
    """Return how events differ from the catalogue and the published schema."""
    for event in events:
        body = event.body.value
        known = CATALOGUE.get(event.kind)
        if known is None:
            yield f"{event.kind} is not in the catalogue"
            continue
        names = [field.name for field in known.fields() if not field.omitted or field.name in body]
        if list(body) != names:
            yield f"{event.kind} has {list(body)} and not {names}"
        sent = {"type": f"io.swarmkeeper.{event.kind}.v1", "data": body}
        yield from (f"{event.kind}: {error.message}" for error in PUBLISHED.iter_errors(sent))


def play_every_change_of_status() -> None:
    for story in (*test_life.STORIES.values(), *test_task_life.STORIES.values()):
        swarm = Harness()
        list(story(swarm))
        swarm.close()


def play_what_people_and_operators_do() -> None:
    swarm = Harness(limits=Limits(answer=MINUTE))
    worker = swarm.bot("worker")
    task = swarm.submit(["a"])
    swarm.update(task, labels={"team": "red"}, priority=7, deadline_seconds=600)
    swarm.pause(task)
    swarm.resume(task)
    swarm.do(commands.SendMessage(by=CLIENT, task=task, payload=b'"hello"', to_bot="worker"))
    lease = swarm.take(worker)
    swarm.cancel(task)
    with pytest.raises(TaskClosed):
        swarm.report(lease)  # kept as a late result

    approved, cancelled, _ = (swarm.submit(["a"], approval="plan") for _ in range(3))
    swarm.decide(swarm.approvals(approved)[0], "approve")
    swarm.cancel(cancelled)
    reminded = {"expires": MINUTE, "approve": False, "remind": MINUTE // 6, "escalate": MINUTE // 3}
    swarm.submit(["a"], approval="plan", defaults={"terms": reminded})
    swarm.advance(60)  # the third approval expires, and so does the fourth, of which people were reminded

    for act in (commands.Drain, commands.Enable, commands.DeleteBot):
        swarm.do(act(by=ADMIN, bot=worker))
    key = swarm.do(commands.CreateKey(by=ADMIN, role="client", public_id="k" * 10, digest=b"d"))
    swarm.do(commands.RotateKey(by=ADMIN, key=key, digest=b"e"))
    swarm.do(commands.RevokeKey(by=ADMIN, key=key))
    swarm.do(commands.SetTenant(by=ADMIN, weight=2))

    swarm.do(commands.SetTenant(by=ADMIN, budget={"tokens": 100_000}))
    paid = swarm.submit(["a", "b"], budget={"tokens": 10})
    swarm.report(swarm.take(swarm.bot("another")), usage={"tokens": 10})
    swarm.update(paid, budget={"tokens": 20})
    swarm.do(commands.SetRate(by=ADMIN, key="tenant", per_minute=1_000))

    for hold in (commands.PlaceLegalHold, commands.ReleaseLegalHold):
        swarm.do(hold(by=ADMIN, reason="case 12"))
    killed = swarm.do(PlaceKill(by=ADMIN, kind=KillKind.BOT, name="nobody", reason="a drill"))
    swarm.do(LiftKill(by=ADMIN, kill=killed))
    person = swarm.do(of_persons.CreatePerson(by=ADMIN, name="ann"))
    swarm.do(of_persons.RenamePerson(by=ADMIN, person=person, name="anna"))
    swarm.do(of_persons.DisablePerson(by=ADMIN, person=person))
    swarm.do(of_persons.EnablePerson(by=ADMIN, person=person))
    sealed = Sealed("k", b"n", b"s")
    for number in (1, 2):
        swarm.do(of_secrets.PutSecret(by=ADMIN, name="token", version=number, sealed=sealed))
    swarm.submit(["a"])
    reader = swarm.bot("reader")
    held = swarm.take(reader)
    payload = str(swarm.work(held.task, "a").payload)
    value = ReleasedValue(ADMIN.tenant, "token", "tag", "2", "builtin", sealed)
    release = of_secrets.ReleaseSecrets(
        by=swarm.principal(reader),
        lease_id=held.lease_id,
        payload=payload,
        values=(value,),
        lease_max=1,
        minute_max=(1,),
    )
    swarm.do(release)
    swarm.do(of_secrets.RetireSecret(by=ADMIN, name="token"))
    swarm.do(of_secrets.DeleteSecret(by=ADMIN, name="token"))
    swarm.do(commands.RecordRestore(by=ADMIN, reached=swarm.now))
    engine = replace(commands.ENGINE, tenant=ADMIN.tenant)
    assert swarm.do(commands.EraseTask(by=engine, task=cancelled, after=0, until=swarm.now))
    assert swarm.do(commands.TrimAudit(by=engine, begin=0, end=0, frontier=b"", root=EMPTY_ROOT, at=0))
    swarm.close()


class Encrypted(Harness):
    def _new_store(self) -> SqliteStore:
        return SqliteStore(self._url, inline=True, entropy=self.chance.stream("store"), bodies=bodies())


def erase_a_tenant_by_its_keys() -> None:
    swarm = Encrypted(limits=Limits(four_eyes=False))
    swarm.cancel(swarm.submit(["a"]))
    swarm.do(PlaceKill(by=ADMIN, kind=KillKind.TENANT, name=ADMIN.tenant, reason="closed"))
    swarm.advance(60)
    swarm.do(EraseTenant(by=ADMIN, tenant=ADMIN.tenant, reason="request 17", until=swarm.now))
    swarm.close()


def test_the_catalogue_has_exactly_the_emitted_kinds(stored: list[Event]) -> None:
    """Every kind is emitted by some story, and each event has exactly the fields of its kind, in order."""
    play_every_change_of_status()
    play_what_people_and_operators_do()
    erase_a_tenant_by_its_keys()

    assert list(faults(stored)) == []
    assert {event.kind for event in stored} == set(CATALOGUE)


def test_a_whole_run_emits_only_kinds_of_the_catalogue(stored: list[Event]) -> None:
    assert run(Case(1, SCENARIOS["golden"])).violation is None

    assert len(stored) > 100
    assert list(faults(stored)) == []


def test_the_event_distinguishes_a_removed_absent_bot_from_a_deleted_one(stored: list[Event]) -> None:
    swarm = Harness(limits=Limits(forget_bots=1))
    deleted, forgotten = swarm.bot("deleted"), swarm.bot("forgotten")
    swarm.do(commands.DeleteBot(by=ADMIN, bot=deleted))
    swarm.advance(1)
    swarm.do(commands.CheckBot(by=swarm.principal(forgotten), bot=forgotten, last_seen=0))
    swarm.close()

    gone = {event.body.value["bot"]: event.body.value.get("reason") for event in stored if event.kind == "bot.deleted"}
    assert gone == {deleted: None, forgotten: "not_seen"}
    assert list(faults(stored)) == []
