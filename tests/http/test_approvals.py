"""Approvals and the effect of each decision: plans, results, more rounds, and bots' questions."""

import hashlib
import json
from collections.abc import Iterator

import pytest

from swarmkeeper.storage.sqlite import SqliteStore
from tests.http.conftest import Caller, key_of
from tests.http.town import Json, Town, town

WEEK = 7 * 24 * 3600
SECRET = "AKIAQX4B7ZJ2M5N8P3RT"


@pytest.fixture
def place() -> Iterator[Town]:
    with town() as there:
        yield there


def planned(place: Town, **fields: Json) -> tuple[str, Json]:
    """Submit a task whose plan needs approval; return its id and the approval."""
    task = place.submit(["a"], approval="plan", evaluation="none", **fields)
    return task, place.open_approval(task)


def asked(place: Town, **question: Json) -> tuple[str, Json, Json]:
    """Submit a task whose bot asks a question; return its id, the ended lease and the approval."""
    task = place.submit(["a"], evaluation="none")
    worker = place.bot("Executor")
    lease = worker.take()
    worker.ask(lease, **question)
    return task, lease, place.open_approval(task)


def exhausted(place: Town) -> tuple[str, Json]:
    """Submit a task and use up its rounds of rework; return its id and the approval."""
    task = place.submit(["a"], approval="rounds", max_rounds=0)
    place.bot("Executor").report(place.bot("Executor").take())
    place.bot("Evaluator").judge(place.bot("Evaluator").take(), "rework", reasons=["thin"])
    return task, place.open_approval(task)


def finished(place: Town, **fields: Json) -> tuple[str, Json]:
    """Submit a task whose result needs approval; return its id and the approval."""
    task = place.submit(["a", {"key": "b", "description": "b", "depends_on": ["a"]}], approval="final", **fields)
    worker = place.bot("Executor")
    worker.report(worker.take(), output={"draft": 1})
    worker.report(worker.take(), output={"text": "done"})
    if fields.get("evaluation") != "none":
        judge = place.bot("Evaluator")
        judge.judge(judge.take(), score=0.5, reasons=["fine"])
    return task, place.open_approval(task)


def code(place: Town, task: str) -> tuple[str | None, str | None]:
    found = place.task(task)
    return (found["failure"] or {}).get("code"), found["outcome"]


# ---- plans ---------------------------------------------------------------------------------------------------------


def test_a_plan_is_carried_out_once_a_person_has_approved_it(place: Town) -> None:
    task, approval = planned(place)
    worker = place.bot("Executor")

    assert place.task(task)["holds"] == [approval["id"]]
    assert worker.leases() == []
    assert approval["kind"] == "plan"
    assert [each["key"] for each in approval["subject"]["subtasks"]] == ["a"]
    decided = place.approve(approval)

    assert (decided["state"], decided["decision"]["verb"]) == ("decided", "approve")
    assert place.task(task)["holds"] == []
    worker.report(worker.take())
    assert place.task(task)["outcome"] == "accepted"


def test_a_planners_plan_is_shown_whole_with_the_planner_as_requester(place: Town) -> None:
    task = place.submit(approval="plan")
    planner = place.bot("Planner", "architect")
    node = {"key": "fetch", "description": "Fetch it", "required_skills": ["web"], "timeout_seconds": 60}
    planner.report(planner.take(), plan={"subtasks": [node]})

    approval = place.open_approval(task)

    assert approval["asked_by"] == "architect"
    shown = approval["subject"]["subtasks"][0]
    assert {name: shown[name] for name in node} == node
    assert place.task(task)["status"] == "PLANNED"


def test_a_plan_that_is_rejected_fails_its_task(place: Town) -> None:
    task, approval = planned(place)

    decided = place.approver.ok(f"/approvals/{approval['id']}:reject", {"reason": "too dear"})

    assert decided["state"] == "decided"
    assert decided["decision"]["reason"] == "too dear"
    assert code(place, task) == ("approval_denied", "rejected")
    assert place.approver.read(f"/approvals/{approval['id']}")["state"] == "decided"


def test_an_undecided_plan_fails_its_task_after_a_week(place: Town) -> None:
    task, approval = planned(place)

    place.advance(WEEK - 1)
    assert place.task(task)["outcome"] is None
    place.advance(2)

    assert code(place, task) == ("approval_expired", "expired")
    gone = place.approver.read(f"/approvals/{approval['id']}")
    assert (gone["state"], gone["decision"]) == ("expired", None)
    late = place.approver.post(f"/approvals/{approval['id']}:approve", {"subject_hash": approval["subject_hash"]})
    assert (late.status, late.json["code"]) == (409, "already_decided")


def test_a_rejected_plan_needs_approval_again_when_the_task_is_retried(place: Town) -> None:
    task, approval = planned(place)
    place.approver.ok(f"/approvals/{approval['id']}:reject", {"reason": "no"})
    place.client.ok(f"/tasks/{task}:retry")

    again = place.open_approval(task)

    assert again["id"] != approval["id"]
    assert again["subject_hash"] != approval["subject_hash"]
    assert [each["key"] for each in again["subject"]["subtasks"]] == ["a"]
    place.approve(again)
    place.bot("Executor").report(place.bot("Executor").take())
    assert place.task(task)["outcome"] == "accepted"


def test_deadline_and_schedule_to_start_are_paused_while_a_plan_awaits_approval(place: Town) -> None:
    defaults = {"schedule_to_start_seconds": 100}
    task, approval = planned(place, deadline_seconds=200, defaults=defaults)

    place.advance(3600)
    assert place.task(task)["outcome"] is None
    assert place.task(task)["deadline_at"] is None
    place.approve(approval)
    place.advance(99)
    assert place.task(task)["outcome"] is None
    place.advance(2)

    assert code(place, task) == ("no_taker", "expired")


# ---- results -------------------------------------------------------------------------------------------------------


def test_a_result_is_accepted_once_a_person_has_approved_it(place: Town) -> None:
    task, approval = finished(place)

    assert (place.task(task)["status"], place.task(task)["outcome"]) == ("COMPLETED", None)
    subject = approval["subject"]
    assert subject["verdict"]["decision"] == "accept"
    assert [each["subtask"] for each in subject["results"]] == ["b"]
    output = place.approver.get(subject["results"][0]["output"])
    assert output.json == {"text": "done"}
    place.approve(approval)

    assert (place.task(task)["status"], place.task(task)["outcome"]) == ("ARCHIVED", "accepted")


def test_an_approval_is_bound_to_the_hash_of_the_result(place: Town) -> None:
    _, approval = finished(place, evaluation="none")
    result = approval["subject"]["results"][0]

    body = place.approver.get(result["output"]).body

    assert result["sha256"] == hashlib.sha256(body).hexdigest()
    assert approval["subject"]["verdict"] is None


def test_a_rejected_or_undecided_result_fails_its_task(place: Town) -> None:
    rejected, approval = finished(place, evaluation="none")
    place.approver.ok(f"/approvals/{approval['id']}:reject", {"reason": "no"})
    assert code(place, rejected) == ("approval_denied", "rejected")

    forgotten = place.submit(["a"], approval="final", evaluation="none")
    place.bot("Executor").report(place.bot("Executor").take())
    place.advance(WEEK + 1)
    assert code(place, forgotten) == ("approval_expired", "expired")


# ---- rounds --------------------------------------------------------------------------------------------------------


def test_after_the_last_round_a_person_may_accept_the_result(place: Town) -> None:
    task, approval = exhausted(place)

    assert (approval["kind"], approval["choices"]) == ("rounds", ["accept", "round"])
    assert approval["subject"]["verdict"]["reasons"] == ["thin"]
    decided = place.approver.ok(f"/approvals/{approval['id']}:answer", {"answer": "accept"})

    assert decided["decision"]["answer"] == "accept"
    assert place.task(task)["outcome"] == "accepted"


def test_after_the_last_round_a_person_may_allow_one_more(place: Town) -> None:
    task, approval = exhausted(place)

    place.approver.ok(f"/approvals/{approval['id']}:answer", {"answer": "round"})

    assert (place.task(task)["status"], place.task(task)["round"]) == ("IN_PROGRESS", 2)
    lease = place.bot("Executor").take()
    assert [each["text"] for each in lease["feedback"]] == ["thin"]


def test_after_the_last_round_rejecting_or_not_deciding_fails_the_task(place: Town) -> None:
    rejected, approval = exhausted(place)
    place.approver.ok(f"/approvals/{approval['id']}:reject", {"reason": "no"})
    assert code(place, rejected) == ("approval_denied", "rejected")

    forgotten, _ = exhausted(place)
    place.advance(WEEK + 1)
    assert code(place, forgotten) == ("approval_expired", "expired")


# ---- questions -----------------------------------------------------------------------------------------------------


def test_a_bots_question_is_answered_in_its_next_lease(place: Town) -> None:
    task, lease, approval = asked(place, question="red or blue?", choices=["red", "blue"])

    assert (approval["kind"], approval["asked_by"]) == ("question", "executor")
    assert (approval["question"], approval["choices"]) == ("red or blue?", ["red", "blue"])
    assert approval["work_id"] == lease["work_id"]
    found = place.task(task)
    assert (found["holds"], found["subtasks"][0]["status"]) == ([], "WAITING")
    place.approver.ok(f"/approvals/{approval['id']}:answer", {"answer": "blue"})

    again = place.bot("Executor").take()
    assert again["answers"] == [{"question": "red or blue?", "answer": "blue"}]
    assert (again["attempt"], again["previous"]["ending"]) == (2, "asked")


def test_asking_twice_with_one_lease_creates_one_question(place: Town) -> None:
    _, lease, approval = asked(place)
    worker = place.bot("Executor")

    again = worker.ask(lease, "something else?")

    assert again == approval["id"]
    assert worker.try_report(lease, output=1).json["code"] == "lease_lost"


def test_a_question_holds_only_its_own_work(place: Town) -> None:
    place.submit(["a", "b"], evaluation="none")
    worker = place.bot("Executor")
    worker.ask(worker.take())

    assert worker.take()["subtask"]["key"] == "b"


def test_an_answer_must_be_one_of_the_choices(place: Town) -> None:
    _, _, approval = asked(place, choices=["red", "blue"])

    refused = place.approver.post(f"/approvals/{approval['id']}:answer", {"answer": "green"})

    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/answer")
    assert place.approver.read(f"/approvals/{approval['id']}")["state"] == "open"


def test_an_answer_must_match_the_schema_of_the_question(place: Town) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"$ref": "#/$defs/colour"}},
        "required": ["colour"],
        "$defs": {"colour": {"enum": ["red", "blue"]}},
    }
    _, _, approval = asked(place, schema=schema)
    assert approval["schema"] == schema

    refused = place.approver.post(f"/approvals/{approval['id']}:answer", {"answer": {"colour": "swordfish"}})

    assert (refused.status, refused.json["code"]) == (422, "invalid")
    assert refused.json["errors"][0]["code"] == "schema"
    assert b"swordfish" not in refused.body
    assert place.approver.post(f"/approvals/{approval['id']}:answer", {"answer": {"colour": "red"}}).status == 200


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"type": "text"}, "/schema/type"),
        ({"pattern": "(?=x)"}, "/schema/pattern"),
        ({"$ref": "http://127.0.0.1:1/x"}, "/schema/$ref"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}, "/schema/$defs/a/items/$ref"),
        (
            {
                "$defs": {
                    "n0": {},
                    **{f"n{n}": {"allOf": [{"$ref": f"#/$defs/n{n - 1}"}] * 2} for n in range(1, 25)},
                }
            },
            None,
        ),
    ],
    ids=["wrong", "pattern", "elsewhere", "endless", "unfolding"],
)
def test_an_unusable_schema_is_refused_and_the_lease_stays_valid(place: Town, schema: Json, where: str | None) -> None:
    place.submit(["a"])
    worker = place.bot("Executor")
    lease = worker.take()

    refused = worker.person.post(f"/leases/{lease['lease_id']}:ask", {"question": "?", "schema": schema})

    assert (refused.status, refused.json["code"]) == (422, "invalid")
    pointer = refused.json["errors"][0]["pointer"]
    assert pointer == where if where else pointer.startswith("/schema/")
    worker.report(lease)


def test_an_expired_question_fails_its_work(place: Town) -> None:
    task, _, approval = asked(place, expires_in_seconds=60)

    place.advance(59)
    assert place.task(task)["subtasks"][0]["status"] == "WAITING"
    place.advance(2)

    assert place.task(task)["subtasks"][0]["status"] == "FAILED"
    assert code(place, task) == ("approval_expired", "expired")
    assert place.approver.read(f"/approvals/{approval['id']}")["state"] == "expired"


def test_a_question_that_is_rejected_fails_its_work(place: Town) -> None:
    task, _, approval = asked(place)

    place.approver.ok(f"/approvals/{approval['id']}:reject", {"reason": "do not ask"})

    assert place.task(task)["subtasks"][0]["status"] == "FAILED"
    assert code(place, task) == ("approval_denied", "rejected")


def test_open_approvals_end_with_their_task(place: Town) -> None:
    task, approval = planned(place)
    other, _, question = asked(place)

    for each in (task, other):
        place.client.ok(f"/tasks/{each}:cancel")

    for each in (approval, question):
        assert place.approver.read(f"/approvals/{each['id']}")["state"] == "cancelled"
    late = place.approver.post(f"/approvals/{question['id']}:answer", {"answer": 1})
    assert (late.status, late.json["code"]) == (409, "already_decided")
    assert place.approver.read("/approvals?state=open")["items"] == []


def test_a_question_ends_with_the_review_that_asked_it(place: Town) -> None:
    task = place.submit(["a"], quorum={"accept": 1, "of": 2})
    place.bot("Executor").report(place.bot("Executor").take())
    asks, accepts = place.bot("Evaluator", "asks"), place.bot("Evaluator", "accepts")
    approval_id = asks.ask(asks.take())

    accepts.judge(accepts.take())

    assert place.task(task)["outcome"] == "accepted"
    assert place.approver.read(f"/approvals/{approval_id}")["state"] == "cancelled"


# ---- deciding, once ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "verb", "body"),
    [
        ("plan", "answer", {"answer": "yes"}),
        ("final", "answer", {"answer": "yes"}),
        ("rounds", "approve", None),
        ("question", "approve", None),
    ],
)
def test_the_wrong_verb_decides_nothing(place: Town, kind: str, verb: str, body: Json) -> None:
    makers = {"plan": planned, "final": finished, "rounds": exhausted, "question": asked}
    approval = makers[kind](place)[-1]  # type: ignore[operator]  # each takes the town

    answer = place.approver.post(
        f"/approvals/{approval['id']}:{verb}", body or {"subject_hash": approval["subject_hash"]}
    )

    assert (answer.status, answer.json["code"]) == (409, "already_decided")
    assert place.approver.read(f"/approvals/{approval['id']}")["state"] == "open"


def test_a_repeated_decision_is_accepted_and_a_different_one_is_refused(place: Town) -> None:
    _, approval = planned(place)
    path = f"/approvals/{approval['id']}"
    first = place.approver.ok(f"{path}:approve", {"subject_hash": approval["subject_hash"], "comment": "good"})

    again = place.person("approver").post(f"{path}:approve", {"subject_hash": approval["subject_hash"]})
    other = place.approver.post(f"{path}:reject", {"reason": "no"})

    assert (again.status, again.json) == (200, first)
    assert first["decision"]["comment"] == "good"
    assert (other.status, other.json["code"]) == (409, "already_decided")


def test_a_second_different_answer_is_refused(place: Town) -> None:
    _, _, approval = asked(place)
    path = f"/approvals/{approval['id']}:answer"

    assert place.approver.post(path, {"answer": {"a": 1}}).status == 200
    assert place.approver.post(path, {"answer": {"a": 1}}).status == 200
    others = [place.approver.post(path, {"answer": {"a": other}}) for other in (2, True)]

    assert [(other.status, other.json["code"]) for other in others] == [(409, "already_decided")] * 2


def test_a_subject_that_changed_since_it_was_read_is_not_approved(place: Town) -> None:
    task, approval = planned(place)

    stale = place.approver.post(f"/approvals/{approval['id']}:approve", {"subject_hash": "0" * 64})

    assert (stale.status, stale.json["code"]) == (409, "stale_approval")
    assert place.task(task)["holds"] == [approval["id"]]


@pytest.mark.parametrize("verb", ["approve", "reject", "answer"])
def test_a_decision_repeated_with_its_idempotency_key_is_replayed(place: Town, verb: str) -> None:
    approval = asked(place)[-1] if verb == "answer" else planned(place)[-1]
    approve = {"subject_hash": approval["subject_hash"]}
    body = {"approve": approve, "reject": {"reason": "no"}, "answer": {"answer": 1}}[verb]
    path = f"/approvals/{approval['id']}:{verb}"

    first = place.approver.post(path, body, idempotency_key="k")
    again = place.approver.post(path, body, idempotency_key="k")

    assert "idempotency-replayed" not in first.headers
    assert (again.headers["idempotency-replayed"], again.json) == ("true", first.json)


# ---- who -----------------------------------------------------------------------------------------------------------


def test_the_requester_may_not_decide(place: Town) -> None:
    _, approval = planned(place)
    body = {"subject_hash": approval["subject_hash"]}

    refused = place.client.post(f"/approvals/{approval['id']}:approve", body)
    by_bot = place.bot("Executor").person.post(f"/approvals/{approval['id']}:approve", body)

    assert (refused.status, refused.json["code"]) == (403, "forbidden")
    assert by_bot.status == 403


def test_a_decision_says_who_made_it_and_when(place: Town) -> None:
    _, approval = planned(place)
    place.advance(5)

    decided = place.approve(approval)

    assert decided["decision"]["by"].startswith("key_")
    assert decided["decision"]["by"] != decided["asked_by"]
    assert decided["decision"]["at"] > decided["opened_at"]


def test_approvals_are_listed_by_state_and_task_page_by_page(place: Town) -> None:
    plans = []
    for _ in range(3):
        plans.append(planned(place)[0])
        place.advance(1)  # ids made in the same moment are not ordered
    place.approve(place.open_approval(plans[0]))

    first = place.approver.read("/approvals?state=open&page_size=1")
    second = place.approver.read(f"/approvals?state=open&page_size=1&page_token={first['next_page_token']}")

    assert [each["task_id"] for each in first["items"] + second["items"]] == plans[1:]
    assert second["next_page_token"] == ""
    assert len(place.approver.read("/approvals")["items"]) == 3
    assert [each["task_id"] for each in place.approver.read("/approvals?state=decided")["items"]] == plans[:1]
    assert [each["task_id"] for each in place.approver.read(f"/approvals?task_id={plans[2]}")["items"]] == plans[2:]


def test_a_client_reads_approvals_of_its_own_tasks_only(place: Town) -> None:
    task, approval = planned(place)
    stranger = place.run(key_of(place.swarm, "acme", "admin"))

    assert place.client.read(f"/approvals?task_id={task}")["items"][0]["id"] == approval["id"]
    assert place.client.get("/approvals").status == 403
    assert place.bot("Executor").person.get(f"/approvals/{approval['id']}").status == 403
    other = Caller(place.swarm.app, stranger)
    assert place.run(other.get(f"/approvals/{approval['id']}")).status == 404
    assert place.run(other.get("/approvals")).json["items"] == []
    body = {"subject_hash": approval["subject_hash"]}
    assert place.run(other.post(f"/approvals/{approval['id']}:approve", body)).status == 404
    assert place.open_approval(task)["id"] == approval["id"]


def test_a_large_plan_is_a_reference_in_lists_and_whole_when_read_alone(place: Town) -> None:
    big = {"description": "x" * 60_000}
    task = place.submit([{**big, "key": f"k{n}"} for n in range(5)], approval="plan")

    listed = place.open_approval(task)["subject"]
    whole = place.approver.read(listed["$ref"])["subject"]

    assert listed["bytes"] > 256 * 1024
    assert len(whole["subtasks"]) == 5


def test_a_page_ends_early_rather_than_carry_many_large_questions(place: Town) -> None:
    task = place.submit([f"a{n}" for n in range(8)], evaluation="none")
    worker = place.bot("Executor")
    for _ in range(8):
        worker.ask(worker.take(), question="Which?", choices=[f"{n:08}" * 1000 for n in range(100)])

    pages: list[list[Json]] = []
    token = ""
    while not pages or token:
        page = place.approver.read(f"/approvals?task_id={task}&page_token={token}")
        pages.append(page["items"])
        token = page["next_page_token"]

    assert len(pages) > 2
    assert all(len(json.dumps(page)) < 8 * 1024 * 1024 for page in pages)
    assert len({each["id"] for page in pages for each in page}) == 8


# ---- evidence ------------------------------------------------------------------------------------------------------


def test_questions_and_answers_are_redacted_in_the_evidence(place: Town) -> None:
    _, _, question = asked(place, question=f"use {SECRET}?")
    place.approver.ok(f"/approvals/{question['id']}:answer", {"answer": {"key": SECRET}})
    _, plan = planned(place)
    body = {"subject_hash": plan["subject_hash"], "comment": f"with {SECRET}"}
    place.approver.ok(f"/approvals/{plan['id']}:approve", body)
    _, other = planned(place)
    place.approver.ok(f"/approvals/{other['id']}:reject", {"reason": f"not {SECRET}"})

    lease = place.bot("Executor", "again").take()
    evidence = json.dumps(place.admin.read("/events?page_size=500"))
    audit = [
        leaf["body"].decode()
        for leaf in _rows(place, "SELECT body FROM audit_leaf WHERE action IN ('approval.decide', 'work.ask')")
    ]

    assert lease["answers"][0]["answer"] == {"key": SECRET}  # the bot gets the answer unredacted
    assert SECRET not in evidence
    assert len(audit) == 4
    assert SECRET not in "".join(audit)
    assert '"answer":{"key":' in audit[1].replace(" ", "")


def _rows(place: Town, sql: str) -> list[dict[str, Json]]:
    assert isinstance(place.swarm.store, SqliteStore)
    cursor = place.swarm.store.connection.execute(sql)
    return [dict(zip([name for name, *_ in cursor.get_description()], row, strict=True)) for row in cursor]


def test_approvals_and_decisions_are_events_of_the_feed(place: Town) -> None:
    task, approval = planned(place)
    place.approve(approval)

    found = [(each["type"].split(".", 2)[2], each["data"].get("approval")) for each in place.events(task)]

    assert ("approval.opened.v1", approval["id"]) in found
    assert ("approval.decided.v1", approval["id"]) in found
