"""People see bots' texts redacted while the work runs; bots get texts unredacted."""

import json
from collections.abc import Iterator

import pytest

from tests.acceptance.planted import Search, made
from tests.http.town import Json, Town, town

SECRETS = made()
SEARCH = Search(SECRETS)
ALL = [secret.text for secret in SECRETS]


@pytest.fixture
def place() -> Iterator[Town]:
    with town() as there:
        yield there


def test_a_question_with_choices_and_schema_is_shown_redacted(place: Town) -> None:
    worker = place.bot("Executor")
    for text in ALL:
        place.submit(["a"], evaluation="none")
        worker.ask(worker.take(), f"use {text}?", choices=[f"yes, {text}", "no"], schema=schema_with(text))

    page = place.approver.read("/approvals?state=open&page_size=100")["items"]
    each = [place.approver.get(f"/approvals/{question['id']}").body for question in page]

    assert len(page) == len(SECRETS)
    assert SEARCH.found(json.dumps(page).encode()) == set()
    assert SEARCH.found(b"\n".join(each)) == set()
    assert all("[redacted:" in question["question"] for question in page)
    # The schema is still valid, and a redacted choice can be chosen.
    for question in page:
        assert question["schema"]["properties"]["api_key"] == {"type": "string"}
        place.approver.ok(f"/approvals/{question['id']}:answer", {"answer": question["choices"][0]})


def schema_with(text: str) -> Json:
    return {
        "description": f"not {text}",
        "default": {"password": text},
        "examples": [text],
        "type": ["string", "object"],
        "properties": {"api_key": {"type": "string"}},
    }


def test_choices_that_look_alike_when_redacted_are_refused(place: Town) -> None:
    worker = place.bot("Executor")
    place.submit(["a"], evaluation="none")
    lease = worker.take()
    keys = ["AKIAQX4B7ZJ2M5N8P3RT", "AKIAIOSFODNN7EXAMPLF"]

    refused = worker.person.post(f"/leases/{lease['lease_id']}:ask", {"question": "which?", "choices": keys})

    if refused.status == 422:
        assert [error["pointer"] for error in refused.json["errors"]] == ["/choices/0"]
    else:  # their tags differ
        assert len(set(place.approver.read(f"/approvals/{refused.json['approval_id']}")["choices"])) == 2


def test_an_answer_is_shown_redacted_and_reaches_the_bot_unchanged(place: Town) -> None:
    worker = place.bot("Executor")
    task = place.submit(["a"], evaluation="none")
    worker.ask(worker.take(), "which key?")
    approval = place.open_approval(task)
    answer = {"keys": ALL, "password": "hunter2-and-more"}

    decided = place.approver.ok(f"/approvals/{approval['id']}:answer", {"answer": answer})
    again = place.approver.ok(f"/approvals/{approval['id']}:answer", {"answer": answer})
    lease = worker.take()

    assert SEARCH.found(json.dumps([decided, again]).encode()) == set()
    assert b"hunter2" not in json.dumps(decided).encode()
    assert lease["answers"] == [{"question": "which key?", "answer": answer}]


def test_progress_and_log_lines_are_shown_redacted(place: Town) -> None:
    worker = place.bot("Executor")
    task = place.submit(["a"], evaluation="none")
    lease = worker.take()
    for text in ALL:
        progress = {"fraction": 0.5, "message": f"calling with {text}", "log": [f"read {text}"]}
        beat = {"leases": [{"lease_id": lease["lease_id"], "progress": progress}]}
        worker.person.ok(f"/bots/{worker.id}:heartbeat", beat)

        shown = place.client.read(f"/tasks/{task}/subtasks/a")["progress"]

        assert shown["fraction"] == 0.5
        assert shown["message"].startswith("calling with ")
        assert SEARCH.found(json.dumps(shown).encode()) == set()
    worker.report(lease)


def test_the_subject_of_an_approval_and_its_verdict_are_shown_redacted(place: Town) -> None:
    planner, worker, judge = place.bot("Planner"), place.bot("Executor"), place.bot("Evaluator")
    task = place.submit(approval="plan")
    node = {"key": "a", "description": " ".join(ALL), "input": {"keys": ALL, "token": "hunter2-and-more"}}
    planner.report(planner.take(), plan={"subtasks": [node]})

    plan = place.open_approval(task)
    assert SEARCH.found(json.dumps(plan).encode()) == set()
    assert "hunter2" not in json.dumps(plan)
    place.approve(plan)
    lease = worker.take()
    assert lease["subtask"]["input"] == node["input"]
    worker.report(lease, output={"keys": ALL})
    finding = {"category": "safety", "text": f"it holds {ALL[1]}"}
    target = {"subtask": "a", "feedback": f"leave out {ALL[1]}"}
    judge.judge(
        judge.take(), "rework", reasons=[f"it holds {text}" for text in ALL], findings=[finding], targets=[target]
    )

    verdict = place.task(task)["verdict"]
    assert len(verdict["reasons"]) == len(ALL)
    assert SEARCH.found(json.dumps(verdict).encode()) == set()
    assert worker.take()["feedback"][0]["text"] == target["feedback"]


def test_the_same_bad_plan_over_and_over_is_a_failed_try(place: Town) -> None:
    planner = place.bot("Planner")
    place.submit()
    lease = planner.take()
    bad = {"subtasks": [{"key": "a", "description": "", "depends_on": ["zz"]}]}

    answers = [planner.try_report(lease, plan=bad).status for _ in range(300)]

    assert answers == [422] * 7 + [409] * 293
