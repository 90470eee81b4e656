"""A client key of scope `own`: other tasks of its tenant are to it as if they did not exist."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from swarmkeeper.govern.access import ROLES, Role
from swarmkeeper.http.app import ROUTES
from tests.http.conftest import Answered, Caller
from tests.http.town import Person, Town, town


@dataclass
class Neighbours:
    """Two clients of one tenant, the task of the other, and what it has: a subtask, a question, a message."""

    town: Town
    mine: Person
    theirs: Person
    task: str
    approval: str


def client(place: Town, **more: Any) -> Person:
    key = place.admin.ok("/keys", {"role": "client", **more})["key"]
    return Person(place, Caller(place.swarm.app, key))


def submitted(person: Person, key: str = "a", **more: Any) -> str:
    body = {"title": f"of {key}", "evaluation": "none", "subtasks": [{"key": key, "description": ""}], **more}
    made: str = person.ok("/tasks", body)["id"]
    return made


@pytest.fixture(scope="module")
def shared() -> Iterator[Neighbours]:
    with town() as place:
        theirs = client(place)
        worker = place.bot("Executor")
        task = submitted(theirs)
        approval = worker.ask(worker.take())
        theirs.ok(f"/tasks/{task}/messages", {"to_bot": None, "payload": {"say": "hello"}})
        yield Neighbours(place, client(place), theirs, task, approval)


@pytest.fixture
def place() -> Iterator[Town]:
    with town() as there:
        yield there


# With these a client reads or steers one task. A new route of a task has to be entered here.
BODIES: dict[str, Any] = {
    "GET /tasks/{task_id}": None,
    "PATCH /tasks/{task_id}": {"priority": 9},
    "GET /tasks/{task_id}:explain": None,
    "GET /tasks/{task_id}/subtasks": None,
    "GET /tasks/{task_id}/subtasks/{subtask}": None,
    "GET /tasks/{task_id}/subtasks/{subtask}/output": None,
    "GET /tasks/{task_id}/graph": None,
    "GET /tasks/{task_id}/timeline": None,
    "GET /tasks/{task_id}/verdicts": None,
    "GET /tasks/{task_id}/events": None,
    "GET /tasks/{task_id}/messages": None,
    "POST /tasks/{task_id}/messages": {"to_bot": None, "payload": {}},
    "GET /approvals/{approval_id}": None,
    "POST /tasks/{task_id}:erase": {"reason": "r"},
    **{f"POST /tasks/{{task_id}}:{verb}": {} for verb in ("cancel", "pause", "resume", "retry", "archive")},
}
# What a client's role does not allow is refused alike for all tasks.
FORBIDDEN = {"GET /tasks/{task_id}/audit", "POST /tasks/{task_id}:erase"}
OF_BOTS = {"POST /tasks/{task_id}/results"}
OF_APPROVERS = {f"POST /approvals/{{approval_id}}:{verb}" for verb in ("approve", "reject", "answer")}


def test_every_route_of_a_task_is_tried() -> None:
    of_tasks = {
        f"{route.method} {route.path_format}"
        for route in ROUTES
        if "{task_id}" in route.path_format or "{approval_id}" in route.path_format
    }

    assert of_tasks == BODIES.keys() | FORBIDDEN | OF_BOTS | OF_APPROVERS


def answered(person: Person, label: str, task: str, approval: str) -> Answered:
    method, _, path = label.partition(" ")
    path = path.format(task_id=task, approval_id=approval, subtask="a")
    return person.town.run(person.caller.call(method, path, BODIES.get(label)))


@pytest.mark.parametrize("label", sorted(BODIES.keys() | FORBIDDEN))
def test_a_task_of_another_is_to_a_client_as_one_that_does_not_exist(shared: Neighbours, label: str) -> None:
    absent_task, absent_approval = f"{shared.task[:-2]}00", f"{shared.approval[:-2]}00"

    foreign = answered(shared.mine, label, shared.task, shared.approval)
    absent = answered(client(shared.town), label, absent_task, absent_approval)

    assert foreign.status == absent.status == (403 if label in FORBIDDEN else 404)
    same = {name: value for name, value in foreign.json.items() if name != "request_id"}
    assert same == {name: value for name, value in absent.json.items() if name != "request_id"}


@pytest.mark.parametrize("query", ["", "?order_by=created_at", "?order_by=priority", "?page_size=1", "?status=CREATED"])
def test_lists_have_no_tasks_of_others(shared: Neighbours, query: str) -> None:
    assert shared.mine.read(f"/tasks{query}")["items"] == []
    assert shared.mine.read(f"/tasks{query}{'&' if query else '?'}view=row")["items"] == []
    assert shared.mine.read("/tasks:count")["number"] == shared.mine.read("/tasks:count?q=t")["number"] == 0
    assert shared.mine.read("/tasks:labels")["items"] == shared.mine.read("/costs")["items"] == []
    assert shared.mine.read(f"/approvals?task_id={shared.task}") == shared.mine.read("/approvals?task_id=tsk_nothing")
    assert shared.mine.get("/approvals").status == 403
    assert shared.mine.get("/events").status == 403


def test_waiting_for_and_following_a_task_of_another_is_refused_at_once(shared: Neighbours) -> None:
    assert shared.mine.get(f"/tasks/{shared.task}?wait_seconds=5").status == 404
    stream = shared.town.run(shared.mine.caller.get(f"/tasks/{shared.task}/events", accept="text/event-stream"))
    assert stream.status == 404


def test_its_own_tasks_a_client_sees_and_steers(place: Town) -> None:
    mine, other = client(place), client(place)
    task = submitted(mine)
    submitted(other, "b")

    assert [each["id"] for each in mine.read("/tasks")["items"]] == [task]
    assert mine.read(f"/tasks/{task}/events")["items"]
    assert mine.ok(f"/tasks/{task}:pause", {})["holds"] == ["paused"]
    assert mine.ok(f"/tasks/{task}:cancel", {})["outcome"] == "cancelled"


def test_the_tasks_of_a_batch_are_its_own_and_an_idempotency_key_gives_no_other(place: Town) -> None:
    mine, other = client(place), client(place)
    body = {"tasks": [{"title": "t", "subtasks": [{"key": "a", "description": ""}]}]}

    first = mine.post("/tasks:batch", body, idempotency_key="k")
    second = other.post("/tasks:batch", body, idempotency_key="k")

    ids = [answer.json["results"][0]["task"]["id"] for answer in (first, second)]
    assert ids[0] != ids[1]
    assert mine.post("/tasks:batch", body, idempotency_key="k").json["results"][0]["task"]["id"] == ids[0]


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.APPROVER, Role.VIEWER, Role.AUDITOR, Role.ADMIN])
def test_everybody_else_sees_all(shared: Neighbours, role: Role) -> None:
    person = shared.town.person(str(role))

    assert person.get(f"/tasks/{shared.task}").status == 200
    assert shared.task in [task["id"] for task in person.read("/tasks")["items"]]


def test_a_client_key_of_scope_tenant_sees_and_steers_all(place: Town) -> None:
    task = submitted(client(place))
    wide = client(place, scope="tenant")

    assert [each["id"] for each in wide.read("/tasks")["items"]] == [task]
    assert wide.ok(f"/tasks/{task}:cancel", {})["outcome"] == "cancelled"
    scopes = {key["scope"] for key in place.admin.read("/keys")["items"] if key["role"] == "client"}
    assert scopes == {"own", "tenant"}


def test_keys_of_one_person_or_else_of_one_owner_share_their_tasks(place: Town) -> None:
    ann = place.admin.ok("/persons", {"name": "ann"})["id"]
    shown: dict[str, list[str]] = {}
    for name, about in {"person": {"person": ann}, "owner": {"owner": "team"}}.items():
        task = submitted(client(place, **about), name)
        shown[name] = [each["id"] for each in client(place, **about).read("/tasks")["items"]]
        assert shown[name] == [task]
    # Who has a person is not the owner; and no owner can be named like a person.
    assert client(place, person=ann, owner="team").read("/tasks")["items"][0]["id"] in shown["person"]
    assert client(place, owner=ann).read("/tasks")["items"] == []
    assert client(place, owner=f"person:{ann}").read("/tasks")["items"] == []


def test_a_scope_is_refused_for_roles_that_have_none(place: Town) -> None:
    for role in set(ROLES) - {Role.CLIENT}:
        answer = place.admin.post("/keys", {"role": role, "scope": "own"})
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/scope")
    assert place.admin.post("/keys", {"role": "client", "scope": "all"}).status == 422
