"""Persons: whose keys decide, whose keys are refused, and what the evidence says of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from swarmkeeper.core import commands, ids
from swarmkeeper.core.errors import Invalid, PermissionDenied, ResourceNotFound, SignInRequired
from swarmkeeper.core.model import Limits, Principal
from swarmkeeper.core.persons.commands import CreatePerson, DisablePerson, EnablePerson, OnPerson, RenamePerson
from swarmkeeper.core.persons.records import TokenLogin
from swarmkeeper.reads.queries import Queries
from swarmkeeper.reads.tasks.filters import TaskFilter
from swarmkeeper.sim.harness import ADMIN, APPROVER, CLIENT, Harness
from swarmkeeper.sim.kernel.loop import SECOND
from tests.support.cursors import cursors_of

MINUTE = 60 * SECOND


def person(swarm: Harness, name: str) -> str:
    if not swarm.rows("SELECT id FROM tenant"):  # the first key of a tenant creates it
        swarm.do(commands.CreateKey(by=ADMIN, role="client", public_id="abcdefghij", digest=b"0"))
    made: str = swarm.do(CreatePerson(by=ADMIN, name=name))
    return made


def key(
    swarm: Harness, role: str, *, of: str | None = None, owner: str | None = None, bot: str | None = None
) -> Principal:
    """Create a key, and return who calls with it."""
    number = len(swarm.rows("SELECT id FROM api_key"))
    create = commands.CreateKey(
        by=ADMIN, role=role, public_id=f"key{number:07}", digest=b"0", person=of, owner=owner, bot=bot
    )
    return Principal("default", swarm.do(create), role, bot=bot, owner=owner, person=of)


def registered(swarm: Harness, by: Principal) -> str:
    """Register the bot of a key, and return its id."""
    bot: str = swarm.do(commands.Register(by=by, type="Executor", version="1"))[0]
    swarm._bots[bot] = by
    return bot


def asked(swarm: Harness, by: Principal, approval: str = "plan") -> str:
    """Submit a task as this caller, and return its open approval."""
    task = swarm.do(replace(swarm.a_submission(["a"], approval=approval, evaluation="none"), by=by))
    (found,) = swarm.approvals(task)
    return found


def signed_in(seconds_ago: float, swarm: Harness, by: Principal = APPROVER) -> Principal:
    moment = swarm.engine.now() - int(seconds_ago * SECOND)
    return replace(by, token=TokenLogin("https://i", "ann", "id", "key", 1 << 60, signed_in_at=moment))


@pytest.fixture
def fresh() -> Iterator[Harness]:
    made = Harness(limits=Limits(step_up=5 * MINUTE))
    yield made
    made.close()


# ---- who decides -----------------------------------------------------------------------------------------------------


def test_one_person_with_two_keys_does_not_approve_own_work(swarm: Harness) -> None:
    ann, bob = person(swarm, "ann"), person(swarm, "bob")
    approval = asked(swarm, key(swarm, "client", of=ann, owner="team"))

    with pytest.raises(PermissionDenied, match="whoever submitted"):
        swarm.decide(approval, "approve", by=key(swarm, "approver", of=ann, owner="another team"))
    swarm.decide(approval, "approve", by=key(swarm, "approver", of=bob, owner="team"))

    decided = swarm.row("SELECT decided_person, state FROM approval WHERE id = ?", approval)
    assert decided == {"decided_person": bob, "state": "decided"}


@pytest.mark.parametrize(("client", "approver"), [("ann", None), (None, "ann"), (None, None)])
def test_where_one_has_no_person_owners_are_compared(swarm: Harness, client: str | None, approver: str | None) -> None:
    ann = person(swarm, "ann")
    approval = asked(swarm, key(swarm, "client", of=ann if client else None, owner="team"))

    with pytest.raises(PermissionDenied, match="whoever submitted"):
        swarm.decide(approval, "approve", by=key(swarm, "approver", of=ann if approver else None, owner="team"))
    swarm.decide(approval, "approve", by=key(swarm, "approver", of=ann if approver else None, owner="others"))


def test_a_person_does_not_approve_what_a_bot_of_theirs_made(swarm: Harness) -> None:
    ann, bob = person(swarm, "ann"), person(swarm, "bob")
    bot = registered(swarm, key(swarm, "bot:executor", of=ann, owner="robots", bot="maker"))
    task = swarm.submit(["a"], approval="final", evaluation="none")
    swarm.report(swarm.take(bot))
    (approval,) = swarm.approvals(task)

    with pytest.raises(PermissionDenied, match="owns a part"):
        swarm.decide(approval, "approve", by=key(swarm, "approver", of=ann, owner="people"))
    swarm.decide(approval, "approve", by=key(swarm, "approver", of=bob, owner="people"))


def test_a_token_and_a_key_of_one_person_are_of_one_person(swarm: Harness) -> None:
    ann, bob = person(swarm, "ann"), person(swarm, "bob")
    name = ids.of_token("default", "https://i", "sub-1", "ann@example.org")
    client = Principal("default", ids.of_person(name, ann), "client", owner="ann@example.org", person=ann)
    approval = asked(swarm, client)

    with pytest.raises(PermissionDenied, match="whoever submitted"):
        swarm.decide(approval, "approve", by=key(swarm, "approver", of=ann, owner="elsewhere"))
    swarm.decide(approval, "approve", by=key(swarm, "approver", of=bob, owner="ann@example.org"))


# ---- a fresh sign-in -------------------------------------------------------------------------------------------------


def test_a_decision_needs_a_sign_in_that_is_fresh_to_the_microsecond(fresh: Harness) -> None:
    approval = asked(fresh, CLIENT)

    for by in (APPROVER, signed_in(300.000_001, fresh), signed_in(-120.000_001, fresh)):
        with pytest.raises(SignInRequired) as refused:
            fresh.decide(approval, "approve", by=by)
        assert refused.value.max_age_seconds == 300
    fresh.decide(approval, "approve", by=signed_in(300, fresh))

    (leaf,) = fresh.rows("SELECT body FROM audit_leaf WHERE action = 'approval.decide'")
    assert json.loads(leaf["body"])["payload"]["step_up_seconds"] == 300


def test_a_sign_in_of_a_clock_that_is_a_little_ahead_is_fresh(fresh: Harness) -> None:
    fresh.decide(asked(fresh, CLIENT), "reject", by=signed_in(-120, fresh), reason="no")


def test_the_terms_of_a_task_ask_for_a_sign_in_and_a_bots_question_for_a_fresher_one(swarm: Harness) -> None:
    terms = {"expires": 60 * MINUTE, "approve": False, "remind": None, "escalate": None, "step_up": 10 * MINUTE}
    task = swarm.submit(["a"], approval="plan", evaluation="none", defaults={"terms": terms})
    (approval,) = swarm.approvals(task)

    with pytest.raises(SignInRequired):
        swarm.decide(approval, "approve", by=signed_in(601, swarm))
    swarm.decide(approval, "approve", by=signed_in(600, swarm))
    question = swarm.ask(swarm.take(swarm.bot("maker")), step_up=MINUTE)
    with pytest.raises(SignInRequired):
        swarm.decide(question, "answer", answer="x", by=signed_in(61, swarm))
    swarm.decide(question, "answer", answer="x", by=signed_in(60, swarm))


# ---- whose tasks -----------------------------------------------------------------------------------------------------


def test_a_client_with_scope_own_steers_and_finds_the_tasks_of_its_party_alone(swarm: Harness) -> None:
    ann = person(swarm, "ann")
    mine = replace(key(swarm, "client", of=ann), sees_own=True)
    same = replace(key(swarm, "client", of=ann, owner="elsewhere"), sees_own=True)
    other = replace(key(swarm, "client", owner="bob"), sees_own=True)
    task = swarm.do(replace(swarm.a_submission(["a"], evaluation="none"), by=mine))
    swarm.submit(["b"])

    for command in (
        commands.Pause(by=other, task=task),
        commands.Cancel(by=other, task=task),
        commands.Update(by=other, task=task, priority=9),
        commands.SendMessage(by=other, task=task, to_bot=None, payload=b"1"),
    ):
        with pytest.raises(ResourceNotFound, match="no such task"):
            swarm.do(command)
    assert swarm.task(task).hold_reasons == ()
    assert found(swarm, mine) == found(swarm, same) == [task]
    assert found(swarm, other) == []
    assert len(found(swarm, replace(other, sees_own=False))) == 2
    swarm.do(commands.Cancel(by=same, task=task))


def test_the_scope_of_a_new_client_key_is_its_own_tasks_and_of_others_none(swarm: Harness) -> None:
    person(swarm, "ann")
    scopes: dict[tuple[str, str | None], str | None] = {}
    for role, scope in (("client", None), ("client", "own"), ("client", "tenant"), ("operator", None)):
        number = f"key{len(scopes):07}"
        swarm.do(commands.CreateKey(by=ADMIN, role=role, public_id=number, digest=b"0", scope=scope))
        scopes[role, scope] = swarm.row("SELECT scope FROM api_key WHERE public_id = ?", number)["scope"]

    assert list(scopes.values()) == ["own", "own", None, None]
    with pytest.raises(Invalid, match="this role sees all tasks"):
        swarm.do(commands.CreateKey(by=ADMIN, role="viewer", public_id="key9999999", digest=b"0", scope="own"))


def found(swarm: Harness, by: Principal) -> list[str]:
    """List tasks as this caller."""
    cursors = swarm.run(cursors_of(swarm.store))
    queries = Queries(swarm.store, swarm.engine._rules, Limits(), cursors=cursors, now=swarm.engine.now)
    page = swarm.run(queries.tasks(by, TaskFilter()))
    return [task["id"] for task in page["items"]]


# ---- the life of a person --------------------------------------------------------------------------------------------


def test_a_name_is_taken_once_in_a_tenant(swarm: Harness) -> None:
    ann = person(swarm, "ann")
    bob = person(swarm, "bob")

    with pytest.raises(Invalid, match="taken"):
        swarm.do(CreatePerson(by=ADMIN, name="ann"))
    with pytest.raises(Invalid, match="taken"):
        swarm.do(RenamePerson(by=ADMIN, person=bob, name="ann"))
    assert swarm.do(RenamePerson(by=ADMIN, person=ann, name="ann")) == ann
    swarm.do(RenamePerson(by=ADMIN, person=ann, name="anna"))
    swarm.do(RenamePerson(by=ADMIN, person=bob, name="ann"))

    names = {row["id"]: row["name"] for row in swarm.rows("SELECT id, name FROM person")}
    assert names == {ann: "anna", bob: "ann"}


def test_what_is_created_renamed_and_taken_again_in_one_batch_is_decided_in_order(swarm: Harness) -> None:
    ann = person(swarm, "ann")
    wanted = [
        RenamePerson(by=ADMIN, person=ann, name="anna"),
        CreatePerson(by=ADMIN, name="ann"),
        CreatePerson(by=ADMIN, name="ann"),
    ]

    answers = swarm.do_all(wanted)

    assert [type(answer) for answer in answers] == [str, str, Invalid]
    assert swarm.rows("SELECT count(*) AS n FROM person") == [{"n": 2}]


def test_bots_of_a_disabled_person_lose_their_leases_and_others_of_the_name_keep_them(swarm: Harness) -> None:
    ann = person(swarm, "ann")
    bots = [registered(swarm, key(swarm, "bot:executor", of=ann, bot=name)) for name in ("alone", "shared")]
    key(swarm, "bot:executor", bot="shared")
    swarm.submit(["a", "b"], evaluation="none")
    for bot in bots:
        swarm.take(bot)

    swarm.do(DisablePerson(by=ADMIN, person=ann))
    swarm.do(DisablePerson(by=ADMIN, person=ann))

    assert swarm.rows("SELECT bot FROM lease") == [{"bot": bots[1]}]
    assert swarm.rows("SELECT crashes FROM work WHERE crashes > 0") == []
    kinds = [row["kind"] for row in swarm.rows("SELECT kind FROM event WHERE kind LIKE 'person.%' ORDER BY seq")]
    assert kinds == ["person.created", "person.disabled"]
    swarm.do(EnablePerson(by=ADMIN, person=ann))
    assert swarm.row("SELECT disabled_at FROM person") == {"disabled_at": None}


def test_only_an_administrator_of_the_tenant_changes_a_person(swarm: Harness) -> None:
    ann = person(swarm, "ann")
    stranger = replace(ADMIN, tenant="neighbour")

    for command in (CreatePerson(by=CLIENT, name="x"), DisablePerson(by=APPROVER, person=ann)):
        with pytest.raises(PermissionDenied):
            swarm.do(command)
    of_strangers: tuple[OnPerson, ...] = (
        RenamePerson(by=stranger, person=ann, name="x"),
        DisablePerson(by=stranger, person=ann),
        EnablePerson(by=stranger, person=ann),
    )
    for strange in of_strangers:
        with pytest.raises(ResourceNotFound):
            swarm.do(strange)
    for of in ("per_nobody", ann):
        by = ADMIN if of == "per_nobody" else stranger
        with pytest.raises(Invalid, match="no such person"):
            swarm.do(commands.CreateKey(by=by, role="client", public_id="0123456789", digest=b"0", person=of))


def test_the_audit_log_says_of_whom_the_key_was(swarm: Harness) -> None:
    ann = person(swarm, "ann")
    asked(swarm, key(swarm, "client", of=ann))

    (leaf,) = swarm.rows("SELECT leaf FROM audit_leaf WHERE action = 'task.submit'")
    actor = json.loads(leaf["leaf"])["actor"]
    assert (actor["person"], actor["type"]) == (ann, "key")
    (other, *_) = swarm.rows("SELECT leaf FROM audit_leaf WHERE action = 'person.create'")
    assert "person" not in json.loads(other["leaf"])["actor"]
    swarm.check()
