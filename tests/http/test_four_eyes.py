"""Nobody reviews or approves their own work, unless one person uses the server alone."""

from collections.abc import Iterator

import pytest

from tests.http.town import Json, Person, Town, Worker, town


@pytest.fixture
def place() -> Iterator[Town]:
    with town() as there:
        yield there


@pytest.fixture
def alone() -> Iterator[Town]:
    with town(four_eyes=False) as there:
        yield there


def own_task(person: Person, **fields: Json) -> str:
    body = {"title": "mine", "evaluation": "none", "subtasks": [{"key": "a", "description": ""}], **fields}
    made: str = person.ok("/tasks", body)["id"]
    return made


def refusal(person: Person, approval: Json) -> str:
    answer = person.post(f"/approvals/{approval['id']}:approve", {"subject_hash": approval["subject_hash"]})
    assert (answer.status, answer.json["code"]) == (403, "forbidden")
    return str(answer.json["detail"])


def of_one_key(town: Town, type_: str, *names: str) -> list[Worker]:
    """Register bots with one key."""
    key = town.person(f"bot:{type_.lower()}")
    body = {"type": type_, "version": "1", "capacity": 8}
    return [Worker(town, key, key.ok("/bots/register", {**body, "name": name})["id"], name) for name in names]


def reviewed_once(town: Town) -> tuple[Worker, Worker, str]:
    """A task needs two reviews; two evaluators have one key, and the first has given its vote."""
    task = town.submit(["a"], evaluation="final", quorum={"accept": 2, "of": 2})
    executor = town.bot("Executor")
    executor.report(executor.take())
    first, second = of_one_key(town, "Evaluator", "judge-1", "judge-2")
    first.judge(first.take())
    return first, second, task


def test_two_evaluators_of_one_key_are_one_vote(place: Town) -> None:
    first, second, task = reviewed_once(place)

    assert second.leases() == []
    assert first.leases() == []
    assert place.task(task)["outcome"] is None
    explained = place.client.read(f"/tasks/{task}:explain")
    assert "belongs to an owner who made a part of it or already reviews it" in str(explained)

    other = place.bot("Evaluator", "other")
    other.judge(other.take())
    assert place.task(task)["outcome"] == "accepted"


def test_an_evaluator_does_not_judge_what_a_bot_of_its_key_made(place: Town) -> None:
    task = place.submit(["a"], evaluation="final")
    admin = place.person("admin")
    made = {}
    for type_ in ("Executor", "Evaluator"):
        body = {"type": type_, "version": "1", "name": type_.lower()}
        made[type_] = Worker(place, admin, admin.ok("/bots/register", body)["id"], body["name"])
    made["Executor"].report(made["Executor"].take())

    assert made["Evaluator"].leases() == []
    assert place.task(task)["outcome"] is None


def test_even_an_administrator_does_not_approve_their_own_task(place: Town) -> None:
    task = own_task(place.admin, approval="plan")
    approval = place.open_approval(task)

    assert "the key or bot that asked may not decide" in refusal(place.admin, approval)
    assert place.approve(approval)["state"] == "decided"


def test_another_key_of_the_owner_who_submitted_does_not_approve_either(place: Town) -> None:
    task = own_task(place.person("client", owner="alice"), approval="plan")
    approval = place.open_approval(task)

    assert "whoever submitted the task may not decide" in refusal(place.person("approver", owner="alice"), approval)
    bob = place.person("approver", owner="bob")
    bob.ok(f"/approvals/{approval['id']}:approve", {"subject_hash": approval["subject_hash"]})


@pytest.mark.parametrize("owner", ["alice", None])
def test_whoever_owns_a_part_does_not_approve_the_result(place: Town, owner: str | None) -> None:
    task = own_task(place.client, approval="final")
    if owner is None:
        maker = place.admin  # whose key is its own owner
        worker = Worker(place, maker, maker.ok("/bots/register", {"type": "Executor", "version": "1"})["id"], "")
    else:
        maker, worker = place.person("approver", owner=owner), place.bot("Executor", owner=owner)
    worker.report(worker.take())
    approval = place.open_approval(task)

    assert "whoever owns a part of the task may not decide" in refusal(maker, approval)
    assert place.approve(approval)["state"] == "decided"


def test_whoever_submitted_answers_the_questions_of_bots(place: Town) -> None:
    task = own_task(place.admin)
    worker = place.bot("Executor")
    worker.ask(worker.take())
    approval = place.open_approval(task)

    assert place.admin.ok(f"/approvals/{approval['id']}:answer", {"answer": "blue"})["state"] == "decided"


def test_one_person_alone_may_do_both(alone: Town) -> None:
    _, second, task = reviewed_once(alone)
    second.judge(second.take())
    assert alone.task(task)["outcome"] == "accepted"

    approval = alone.open_approval(own_task(alone.admin, approval="plan"))
    alone.admin.ok(f"/approvals/{approval['id']}:approve", {"subject_hash": approval["subject_hash"]})
