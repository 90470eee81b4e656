"""The answers that bots return, and how they are sent."""

import pytest

from swarmkeeper import Accept, Ask, Done, Failed, Later, Plan, Reject, Rework, SubTask
from swarmkeeper.sdk.answers import MESSAGE_LENGTH_MAX, InvalidAnswer, Verdict, question, report
from swarmkeeper.wire.requests import Finding, Report


def test_a_plan_is_sent_as_its_author_wrote_it() -> None:
    plan = Plan(
        [
            SubTask(key="fetch", description="get it", required_skills=["web"], input={"url": "…"}),
            {"description": "read it", "depends_on": ["fetch"]},
        ]
    )

    assert report(plan) == {
        "status": "succeeded",
        "plan": {
            "subtasks": [
                {"key": "fetch", "description": "get it", "required_skills": ["web"], "input": {"url": "…"}},
                {"key": "s2", "description": "read it", "depends_on": ["fetch"]},
            ]
        },
    }


@pytest.mark.parametrize(
    ("subtasks", "pointer", "code"),
    [
        ([], "/subtasks", "empty"),
        ([{"description": "a", "depends_on": ["nobody"]}], "/subtasks/0/depends_on/0", "unknown_key"),
        ([{"key": "a", "description": "a", "depends_on": ["a"]}], "/subtasks/0/depends_on/0", "cycle"),
        ([{"key": "A!", "description": "a"}], "/subtasks/0/key", "pattern"),
        ([{"key": "a", "description": "a"}, {"key": "a", "description": "b"}], "/subtasks/1/key", "duplicate"),
        ([{"key": "a"}], "/subtasks/0/description", "required"),
        ([{"description": "a", "depend_on": ["b"]}], "/subtasks/0/depend_on", "unknown"),
    ],
)
def test_a_bad_plan_is_refused_where_it_is_made(subtasks: list[dict[str, object]], pointer: str, code: str) -> None:
    with pytest.raises(InvalidAnswer) as caught:
        Plan(subtasks)

    assert [(problem.pointer, problem.code) for problem in caught.value.problems] == [(pointer, code)]


def test_all_errors_of_a_plan_are_reported_at_once() -> None:
    with pytest.raises(InvalidAnswer) as caught:
        Plan([{"key": "a", "depends_on": ["x"]}, {"key": "a", "description": "b"}])

    assert len(caught.value.problems) == 3


def test_a_rework_verdict_names_the_subtasks_and_what_to_improve() -> None:
    verdict = Rework(
        {"a": "shorter"}, ["too long"], [Finding(text="long", severity="major", subtask="a")], score=0.5,
        subtasks=[{"key": "b", "description": "also"}],
    )  # fmt: skip

    assert report(verdict)["verdict"] == {
        "decision": "rework",
        "score": 0.5,
        "reasons": ["too long"],
        "findings": [{"category": "quality", "severity": "major", "subtask": "a", "text": "long"}],
        "targets": [{"subtask": "a", "feedback": "shorter"}],
        "subtasks": [{"key": "b", "description": "also"}],
    }


def test_the_orchestrator_can_read_every_answer() -> None:
    answers: list[Done | Failed | Plan | Verdict] = [
        Done({"words": 3}),
        Done(),
        Failed("no", "not_retryable"),
        Failed("slow down", "rate_limited", 3),
        Plan([{"description": "a"}]),
        Accept(1.0, ["good"]),
        Rework(),
        Reject(["bad"]),
    ]

    for answer in answers:
        Report.model_validate({"bot_id": "bot_1", "lease_id": "lse_1", **report(answer)})


def test_an_answer_with_an_invalid_value_raises_when_it_is_made() -> None:
    for wrong in (
        lambda: Failed("x", "maybe"),  # type: ignore[arg-type]  # without a type checker
        lambda: Failed("x", retry_after_seconds=3),
        lambda: Later(-1),
        lambda: Later(float("nan")),
        lambda: Later(7 * 24 * 3600 + 1),
        lambda: Ask("?", expires_in_seconds=0),
        lambda: Accept(float("nan")),
        lambda: Accept("good"),  # type: ignore[arg-type]  # without a type checker
        lambda: Accept(reasons=["so"] * 101),
        lambda: Ask(""),
        lambda: Accept(1.5),
        lambda: Reject("one text"),
    ):
        with pytest.raises(InvalidAnswer):
            wrong()


def test_a_long_failure_is_cut_so_that_it_is_accepted() -> None:
    assert report(Failed("x" * MESSAGE_LENGTH_MAX))["error"]["message"] == "x" * MESSAGE_LENGTH_MAX
    longer = report(Failed("x" * 8_001))["error"]["message"]
    assert len(longer) == MESSAGE_LENGTH_MAX
    assert longer.endswith("x… [cut: 8001 characters]")


def test_a_rate_limit_is_sent_with_its_scope() -> None:
    limited = Failed("429", kind="rate_limited", retry_after_seconds=20, scope="anthropic:claude-sonnet")

    assert report(limited)["error"] == {
        "class": "rate_limited",
        "message": "429",
        "retry_after_seconds": 20,
        "scope": "anthropic:claude-sonnet",
    }
    assert "scope" not in report(Failed("429", kind="rate_limited"))["error"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "retryable", "scope": "a"},
        {"kind": "rate_limited", "scope": ""},
        {"kind": "rate_limited", "scope": "\n"},
        {"kind": "rate_limited", "scope": "x" * 129},
    ],
)
def test_a_scope_that_the_orchestrator_would_refuse_is_refused_at_once(wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidAnswer, match="scope"):
        Failed("429", **wrong)  # type: ignore[arg-type]  # the kind is one of the words


def test_a_question_is_sent_with_its_default_and_reminders() -> None:
    asked = Ask("which?", ("a", "b"), default_answer="b", expires_in_seconds=60, remind_after_seconds=5)

    assert question(asked) == {
        "question": "which?",
        "choices": ["a", "b"],
        "expires_in_seconds": 60.0,
        "default_answer": "b",
        "remind_after_seconds": 5.0,
    }
    with pytest.raises(InvalidAnswer, match="before expires_in_seconds"):
        Ask("which?", remind_after_seconds=5)
