"""What a bot's code returns: plain frozen values, and the words in which each is told to the orchestrator.

Done, Failed, Later and Ask answer work of any kind; Plan is a planner's; Accept, Rework and Reject are an evaluator's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from swarmkeeper.core import graph
from swarmkeeper.sdk.errors import Problem
from swarmkeeper.wire.reading import read_plan
from swarmkeeper.wire.requests import Finding, SubTask

Json = Any  # what a JSON document can hold

# The orchestrator refuses longer ones; a failure's text is cut so that the failure itself gets through.
MESSAGE_LENGTH_MAX = 8_000


class InvalidAnswer(ValueError):
    """An answer that the orchestrator would refuse, told before it is sent. `problems` list all that is wrong."""

    def __init__(self, what: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(what + "".join(f"\n  {problem}" for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Done:
    """The work is done; `output` is a JSON object."""

    output: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.output, Mapping):
            raise InvalidAnswer(f"Done takes an object such as {{'words': 3}}, not {type(self.output).__name__}")


@dataclass(frozen=True, slots=True)
class Failed:
    """This attempt failed. `not_retryable` ends the work at once; `rate_limited` costs no try."""

    why: str
    kind: Literal["retryable", "not_retryable", "rate_limited"] = "retryable"
    retry_after_seconds: int | None = None  # with rate_limited

    def __post_init__(self) -> None:
        if self.kind not in {"retryable", "not_retryable", "rate_limited"}:
            raise InvalidAnswer("Failed.kind is retryable, not_retryable or rate_limited")
        if self.retry_after_seconds is not None and self.kind != "rate_limited":
            raise InvalidAnswer("Failed.retry_after_seconds goes with kind='rate_limited'")


@dataclass(frozen=True, slots=True)
class Later:
    """Not now: give the work back, to be handed out again after `seconds`. Costs no try (up to 20 in a row)."""

    seconds: int = 0
    why: str = ""

    def __post_init__(self) -> None:
        if self.seconds < 0:
            raise InvalidAnswer("Later.seconds is 0 or more")


@dataclass(frozen=True, slots=True)
class Ask:
    """A person must decide: ends this attempt; the answer is in `context.answers` of the next.

    Where nobody answers in time (seven days), or somebody says no, the work fails.
    """

    question: str
    choices: Sequence[str] = ()  # the answer is one of these, where there are any
    schema: Mapping[str, Json] | None = None  # a JSON Schema (draft 2020-12) that the answer keeps to
    expires_in_seconds: float | None = None

    def __post_init__(self) -> None:
        if not self.question:
            raise InvalidAnswer("Ask needs a question")
        if isinstance(self.choices, str):
            raise InvalidAnswer("Ask.choices is a list of texts, not one text")


@dataclass(frozen=True, slots=True)
class Plan:
    """The subtasks of a task and what each depends on, checked here with the orchestrator's own rules.

    Each is a `SubTask` or a mapping in the same words; `key` defaults to s1, s2, … by place.

    Raises:
        InvalidAnswer: the orchestrator would refuse it; `problems` list every error.
    """

    subtasks: Sequence[SubTask | Mapping[str, Json]]

    def __post_init__(self) -> None:
        problems = _problems_in({"subtasks": self.as_sent()})
        if problems:
            raise InvalidAnswer("this plan would be refused:", problems)

    def as_sent(self) -> list[dict[str, Json]]:
        return [_subtask_as_sent(subtask, place) for place, subtask in enumerate(self.subtasks, start=1)]


@dataclass(frozen=True, slots=True)
class Accept:
    """The result is good."""

    score: float | None = None  # 0 … 1
    reasons: Sequence[str] = ()
    findings: Sequence[Finding] = ()

    def __post_init__(self) -> None:
        _check_verdict(self.score, self.reasons)


@dataclass(frozen=True, slots=True)
class Rework:
    """Not yet: the subtasks named in `targets` are done again, each with the feedback given for it.

    Without targets and without new subtasks, the ones that made the result are done again.
    """

    targets: Mapping[str, str] = field(default_factory=dict)  # subtask key → feedback
    reasons: Sequence[str] = ()
    findings: Sequence[Finding] = ()
    score: float | None = None  # 0 … 1
    subtasks: Sequence[SubTask | Mapping[str, Json]] = ()  # new ones, beside those of the plan

    def __post_init__(self) -> None:
        _check_verdict(self.score, self.reasons)


@dataclass(frozen=True, slots=True)
class Reject:
    """The result is bad, and doing it again would not help: the task fails."""

    reasons: Sequence[str] = ()
    findings: Sequence[Finding] = ()
    score: float | None = None  # 0 … 1

    def __post_init__(self) -> None:
        _check_verdict(self.score, self.reasons)


Verdict = Accept | Rework | Reject
Answer = Done | Failed | Later | Ask | Plan | Accept | Rework | Reject
# What each kind of work may be answered with. Failed, Later and Ask answer any.
ANSWERS_TO: Mapping[str, tuple[type[Answer], ...]] = {
    "plan": (Plan, Failed, Later, Ask),
    "execute": (Done, Failed, Later, Ask),
    "review": (Accept, Rework, Reject, Failed, Later, Ask),
}


def report(answer: Done | Failed | Plan | Verdict) -> dict[str, Json]:
    """The answer in the words of `POST /tasks/{id}/results`; who reports under which lease is the runner's to add."""
    match answer:
        case Done():
            return {"status": "succeeded", "output": dict(answer.output)}
        case Plan():
            return {"status": "succeeded", "plan": {"subtasks": answer.as_sent()}}
        case Failed():
            error: dict[str, Json] = {"class": answer.kind, "message": answer.why[:MESSAGE_LENGTH_MAX]}
            if answer.retry_after_seconds is not None:
                error["retry_after_seconds"] = answer.retry_after_seconds
            return {"status": "failed", "error": error}
        case Accept() | Rework() | Reject():
            return {"status": "succeeded", "verdict": _verdict_as_sent(answer)}


def _verdict_as_sent(verdict: Verdict) -> dict[str, Json]:
    sent: dict[str, Json] = {
        "decision": type(verdict).__name__.lower(),
        "reasons": list(verdict.reasons),
        "findings": [finding.model_dump(mode="json", exclude_none=True) for finding in verdict.findings],
    }
    if verdict.score is not None:
        sent["score"] = verdict.score
    if isinstance(verdict, Rework):
        sent["targets"] = [{"subtask": key, "feedback": feedback} for key, feedback in verdict.targets.items()]
        if verdict.subtasks:
            sent["subtasks"] = [_subtask_as_sent(subtask, None) for subtask in verdict.subtasks]
    return sent


def _check_verdict(score: float | None, reasons: Sequence[str]) -> None:
    if score is not None and not 0 <= score <= 1:
        raise InvalidAnswer("a verdict's score lies between 0 and 1")
    if isinstance(reasons, str):
        raise InvalidAnswer("a verdict's reasons are a list of texts, not one text")


def _problems_in(plan: Json) -> list[Problem]:
    # Names may be shown as they are: they go no further than the author's own process.
    subtasks, errors = read_plan(plan, safe=str, at=())
    errors += graph.check_plan([subtask.spec(place) for place, subtask in enumerate(subtasks, start=1)])
    return [Problem(*error) for error in errors]


def _subtask_as_sent(subtask: SubTask | Mapping[str, Json], place: int | None) -> dict[str, Json]:
    sent = (
        dict(subtask)
        if isinstance(subtask, Mapping)
        # Unset fields keep the task's defaults: what was not said must not be said for the planner.
        else subtask.model_dump(mode="json", by_alias=True, exclude_unset=True)
    )
    if place is not None and sent.get("key") is None:
        sent["key"] = f"s{place}"
    return sent
