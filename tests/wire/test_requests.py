"""Requests: bounds on both sides, defaults, and conversion to the engine's records."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from swarmkeeper.core import model, states
from swarmkeeper.core.errors import Invalid, NotSupported
from swarmkeeper.wire import people, requests
from swarmkeeper.wire.shapes import Request, micros, read
from swarmkeeper.wire.v1 import (
    BatchResult,
    Beat,
    BotInfo,
    Defaults,
    Failure,
    Heartbeat,
    KeyRequest,
    LeaseRequest,
    Progress,
    Release,
    Report,
    ReportBatch,
    Retry,
    SubTask,
    TaskBatch,
    TaskDefinition,
    TaskPatch,
    Verdict,
)

TASK = {"title": "t"}
REPORT = {"bot_id": "bot_1", "lease_id": "lse_1", "status": "succeeded"}
WEEK = 7 * 24 * 3600
KIB = 1024


def taken(model: type[Request], raw: Any) -> bool:
    try:
        read(model, raw)
    except Invalid:
        return False
    return True


def at_most(field: str, good: Any, bad: Any, into: type[Request] = TaskDefinition, beside: Any = TASK) -> Any:
    return pytest.param(into, {**beside, field: good}, {**beside, field: bad}, id=f"{into.__name__}.{field}")


SUB: dict[str, Any] = {"description": ""}
LEASE = {"bot_id": "bot_1"}
BOT = {"type": "Planner", "version": "1"}


@pytest.mark.parametrize(
    ("into", "good", "bad"),
    [
        at_most("title", "x" * 500, "x" * 501),
        at_most("description", "é" * 64 * KIB, "é" * (64 * KIB + 1)),
        at_most("priority", 0, -1),
        at_most("priority", 9, 10),
        at_most("labels", {str(n): "v" for n in range(32)}, {str(n): "v" for n in range(33)}),
        at_most("labels", {"k" * 128: "v" * 128}, {"k": "v" * 129}),
        at_most("labels", {"k": ""}, {"": "v"}),
        at_most("metadata", {"a": "é" * 8188}, {"a": "é" * 8189}),
        at_most("input", {"a": "x" * (KIB * KIB - 8)}, {"a": "x" * (KIB * KIB - 7)}),
        at_most("acceptance_criteria", ["x" * 8 * KIB] * 100, ["x"] * 101),
        at_most("acceptance_criteria", [""], ["x" * (8 * KIB + 1)]),
        at_most("planner_skills", ["s" * 128], ["s" * 129]),
        at_most("evaluator_skills", ["s"], [""]),
        at_most("plan_timeout_seconds", WEEK, WEEK + 1),
        at_most("review_timeout_seconds", 0.001, 0),
        at_most("deadline_seconds", 60, 0),
        at_most("max_rounds", 0, -1),
        at_most("quorum", {"accept": 9, "of": 9}, {"accept": 1, "of": 10}),
        at_most("quorum", {"accept": 1, "of": 1}, {"accept": 0, "of": 1}),
        at_most("defaults", {"timeout_seconds": WEEK}, {"timeout_seconds": WEEK + 0.5}),
        at_most("defaults", {"max_attempts": 1}, {"max_attempts": 0}),
        at_most("timeout_seconds", WEEK, WEEK + 1, SubTask, SUB),
        at_most("max_attempts", 1, 0, SubTask, SUB),
        at_most("give_up_after_seconds", 0.001, 0, SubTask, SUB),
        at_most("priority", 9, 10, SubTask, SUB),
        at_most("on_failure", "continue", "ignore", SubTask, SUB),
        at_most("depends_on", ["a", {"key": "b", "when": "done"}], [{"key": "b", "when": "later"}], SubTask, SUB),
        at_most("depends_on", [{"key": "b"}], [{"key": "b", "why": ""}], SubTask, SUB),
        at_most("description", "", None, SubTask, SUB),
        at_most("assign_to", "b" * 128, "b" * 129, SubTask, SUB),
        at_most("max", 1, 0, LeaseRequest, LEASE),
        at_most("max", 64, 65, LeaseRequest, LEASE),
        at_most("wait_seconds", 0, -0.1, LeaseRequest, LEASE),
        at_most("wait_seconds", 60, 60.1, LeaseRequest, LEASE),
        at_most("lease_seconds", 1, 0.9, LeaseRequest, LEASE),
        at_most("lease_seconds", 3600, 3601, LeaseRequest, LEASE),
        at_most("capacity", 1, 0, BotInfo, BOT),
        at_most("capacity", 1000, 1001, BotInfo, BOT),
        at_most("name", "n" * 128, "n" * 129, BotInfo, BOT),
        at_most("dedicated", True, 1, BotInfo, BOT),
        at_most("type", "planner", "Manager", BotInfo, BOT),
        at_most("delay_seconds", WEEK, WEEK + 1, Release, {}),
        at_most("reason", "x" * 8 * KIB, "x" * (8 * KIB + 1), Release, {}),
        at_most("usage", {"tokens": 2**53}, {"tokens": 2**53 + 1}, Report, {**REPORT, "output": 1}),
        at_most("usage", {"cost_micro_usd": 0}, {"cost_micro_usd": -1}, Report, {**REPORT, "output": 1}),
        at_most("claim", {"max": 64}, {"max": 65}, Report, {**REPORT, "output": 1}),
        at_most("output", "x" * (8 * KIB * KIB - 2), "x" * (8 * KIB * KIB - 1), Report, REPORT),
        at_most("leases", [{"lease_id": "l"}] * 1000, [{"lease_id": "l"}] * 1001, Heartbeat, {}),
        at_most("fraction", 1, 1.1, Progress, {}),
        at_most("log", ["x"] * 100, ["x"] * 101, Progress, {}),
        at_most("checkpoint", "x" * (KIB * KIB - 2), "x" * (KIB * KIB - 1), Beat, {"lease_id": "l"}),
        at_most("tasks", [1] * 500, [1] * 501, TaskBatch, {}),
        at_most("tasks", [1], [], TaskBatch, {}),
        at_most("results", [1] * 500, [1] * 501, ReportBatch, LEASE),
        at_most("score", 1, 1.01, Verdict, {"decision": "accept"}),
        at_most("score", 0, -0.01, Verdict, {"decision": "accept"}),
        at_most("reasons", ["x"] * 100, ["x"] * 101, Verdict, {"decision": "accept"}),
        at_most("findings", [{}] * 100, [{}] * 101, Verdict, {"decision": "accept"}),
        at_most("findings", [{"category": "rules"}], [{"category": "taste"}], Verdict, {"decision": "accept"}),
        at_most("targets", [], [{"subtask": "a"}], Verdict, {"decision": "accept"}),
        at_most("subtasks", [], [SUB], Verdict, {"decision": "reject"}),
        at_most("expires_days", 0, -1, KeyRequest, {"role": "bot:executor"}),
        at_most("role", "bot:executor", "bot", KeyRequest, {}),
        at_most("question", "?", "", people.Ask, {}),
        at_most("choices", ["x"] * 100, ["x"] * 101, people.Ask, {"question": "?"}),
        at_most("expires_in_seconds", 1, 0.5, people.Ask, {"question": "?"}),
        at_most("schema", {"title": "x" * 16_000}, {"title": "x" * 17_000}, people.Ask, {"question": "?"}),
        at_most("subject_hash", "x", "", people.Approve, {}),
        at_most("reason", "x", "", people.Reject, {}),
        at_most("answer", "x" * 65_000, "x" * 66_000, people.AnswerQuestion, {}),
        at_most("deadline_seconds", 0.5, None, TaskPatch, {}),
        at_most("deadline_seconds", 60, "60", Retry, {}),
    ],
)  # fmt: skip
def test_bounds_hold_on_both_sides(into: type[Request], good: Any, bad: Any) -> None:
    assert taken(into, good)
    assert not taken(into, bad)


@pytest.mark.parametrize(
    "into", [each for each in vars(requests).values() if isinstance(each, type) and issubclass(each, Request)]
)
def test_every_request_refuses_unknown_fields(into: type[Request]) -> None:
    with pytest.raises(Invalid) as caught:
        read(into, {"no_such_field": 1})

    assert ("/…", "unknown") in [detail[:2] for detail in caught.value.details]


@pytest.mark.parametrize("sent", ["attempt", "output", "attempts", "round"])
def test_a_plan_refuses_fields_of_answers(sent: str) -> None:
    assert not taken(SubTask, {**SUB, sent: 1})


@pytest.mark.parametrize("field", ["webhook", "secrets"])
def test_a_task_refuses_fields_of_later_releases(field: str) -> None:
    with pytest.raises(NotSupported):
        read(TaskDefinition, {**TASK, field: {}})


def test_enumerations_are_those_of_the_engine() -> None:
    def words(annotation: Any) -> set[str]:
        return set(get_args(annotation))

    assert words(requests.When) == {*states.Condition}
    assert words(requests.BotTypeName) == {*states.BotType}
    assert words(TaskDefinition.model_fields["evaluation"].annotation) == {*states.Evaluation}
    assert words(Verdict.model_fields["decision"].annotation) == {*states.Decision}
    assert words(Failure.model_fields["class_"].annotation) == {*states.ErrorClass}


def test_defaults_are_those_of_the_contract() -> None:
    task = read(TaskDefinition, TASK)
    lease = read(LeaseRequest, LEASE)
    bot = read(BotInfo, BOT)

    assert (task.priority, task.evaluation, task.max_rounds, task.approval) == (5, "final", 3, "none")
    assert (task.quorum.accept, task.quorum.of, task.description, task.subtasks) == (1, 1, "", None)
    assert (lease.max, lease.wait_seconds, lease.lease_seconds, lease.skills) == (1, 25, None, None)
    assert (bot.instance, bot.dedicated, bot.endpoint, bot.name, bot.capacity) == ("", False, None, None, 4)


def test_a_subtask_is_converted_to_the_engines_record() -> None:
    subtask = read(
        SubTask,
        {
            "description": "d", "required_skills": ["b", "a", "b"],
            "depends_on": ["x", {"key": "y", "when": "failure"}], "input": {"n": 1},
            "timeout_seconds": 1.5, "max_attempts": 2, "schedule_to_start_seconds": 60,
            "give_up_after_seconds": 90, "on_failure": "continue", "assign_to": "bot", "priority": 0,
        },
    )  # fmt: skip

    assert subtask.spec(7) == model.SubtaskSpec(
        key="s7", description="d", required_skills=("b", "a"),
        depends_on=(("x", states.Condition.SUCCESS), ("y", states.Condition.FAILURE)), input={"n": 1},
        timeout=1_500_000, max_attempts=2, start=60_000_000, give_up=90_000_000, on_failure="continue", assign_to="bot",
        priority=0,
    )  # fmt: skip
    assert read(SubTask, {**SUB, "key": "own"}).spec(7).key == "own"


def test_fields_that_a_subtask_omits_stay_unset_for_the_tasks_defaults() -> None:
    spec = read(SubTask, SUB).spec(1)

    assert [spec.timeout, spec.max_attempts, spec.start, spec.on_failure, spec.assign_to, spec.priority] == [None] * 6
    assert read(Defaults, {"timeout_seconds": 2, "on_failure": "continue"}).spec() == {
        "timeout": 2_000_000,
        "on_failure": "continue",
    }


def test_bare_keys_in_depends_on_are_converted_to_dependencies() -> None:
    by_hand = SubTask(description="", depends_on=["a", requests.Dependency(key="b", when="done")])

    assert by_hand.model_dump()["depends_on"] == [{"key": "a", "when": "success"}, {"key": "b", "when": "done"}]
    assert by_hand == read(SubTask, {**SUB, "depends_on": ["a", {"key": "b", "when": "done"}]})


def test_a_plan_is_cut_after_one_subtask_more_than_allowed() -> None:
    task = read(TaskDefinition, {**TASK, "subtasks": [SUB] * 20_000})

    assert task.subtasks is not None
    assert len(task.subtasks) == 10_001


def test_whole_seconds_stay_whole() -> None:
    assert repr(read(SubTask, {**SUB, "timeout_seconds": 900.0}).timeout_seconds) == "900"
    assert micros(0.1) == 100_000


def report(**fields: Any) -> Report:
    return read(Report, {**REPORT, **fields})


def test_a_report_knows_its_kind() -> None:
    assert report(plan={"subtasks": []}).kind == "plan"
    assert report(output={"a": 1}, plan=None, verdict=None, error=None).kind == "output"
    assert report(output=None).kind == "output"
    assert report(output=None, verdict={"decision": "accept"}).kind == "verdict"
    assert report(status="failed").kind == "failure"


def test_a_report_with_an_invalid_plan_or_verdict_is_accepted() -> None:
    assert report(plan=5).plan == 5
    assert report(verdict=["no"]).verdict == ["no"]


def test_usage_and_claim_do_not_change_the_identity_of_a_report() -> None:
    first = report(output={"a": 1}, usage={"tokens": 1}, claim={"max": 2})

    assert first.content() == report(output={"a": 1}).content() == {"status": "succeeded", "output": {"a": 1}}
    assert report(status="failed").content() == report(status="failed", error={"class": "retryable"}).content()


def test_a_failure_is_converted_to_the_engines_record() -> None:
    failed = report(status="failed", error={"class": "rate_limited", "message": "busy", "retry_after_seconds": 2})

    assert failed.failure.record() == model.AttemptFailure(states.ErrorClass.RATE_LIMITED, "busy", 2_000_000)
    assert report(status="failed").failure.record() == model.AttemptFailure(states.ErrorClass.RETRYABLE)


def test_a_verdict_is_converted_to_the_engines_record() -> None:
    verdict = read(
        Verdict,
        {"decision": "rework", "score": 0.5, "reasons": ["r"], "findings": [{"text": "f", "criterion": 0}],
         "targets": [{"subtask": "a", "feedback": "again"}], "subtasks": [{"key": "b", "description": "new"}]},
    ).record()  # fmt: skip

    assert (verdict.decision, verdict.score, verdict.reasons) == (states.Decision.REWORK, 0.5, ("r",))
    assert verdict.findings == (
        {"category": "quality", "severity": "minor", "criterion": 0, "subtask": None, "text": "f"},
    )
    assert verdict.targets == (model.ReworkTarget("a", "again"),)
    assert verdict.subtasks == (model.SubtaskSpec(key="b", description="new"),)


def test_each_result_of_a_batch_names_its_lease_or_task() -> None:
    assert taken(BatchResult, {"status": "failed", "task_id": "tsk_1"})
    assert taken(BatchResult, {"status": "failed", "lease_id": "lse_1"})
    assert not taken(BatchResult, {"status": "failed"})


def test_a_value_that_is_not_json_is_refused() -> None:
    assert not taken(TaskDefinition, {**TASK, "input": {"a": object()}})
    assert not taken(TaskDefinition, {**TASK, "title": "\ud800"})


def test_the_schema_describes_unread_parts() -> None:
    schema = Report.model_json_schema()

    assert "Plan" in str(schema["properties"]["plan"])
    assert set(schema["required"]) == {"bot_id", "status"}
    assert schema["additionalProperties"] is False
    assert "class" in schema["$defs"]["Failure"]["properties"]
    bare, spelled_out = SubTask.model_json_schema()["properties"]["depends_on"]["items"]["anyOf"]
    assert (bare["type"], bare["minLength"]) == ("string", 1)
    assert "$ref" in spelled_out
