"""What a bot's code returns: plain frozen values, and the words in which each is told to the orchestrator.

Done, Failed, Later and Ask answer work of any kind; Plan is a planner's; Accept, Rework and Reject are an evaluator's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from swarmkeeper.core.rules import graph
from swarmkeeper.sdk.attempts.sendable import Unsendable, cut, readable, sendable, within
from swarmkeeper.sdk.errors import Problem
from swarmkeeper.wire.parsing.reading import read_plan, read_verdict
from swarmkeeper.wire.requests import Finding, SubTask
from swarmkeeper.wire.shapes import MIB, WEEK_SECONDS, YEAR_SECONDS

Json = Any  # what a JSON document can hold

# The orchestrator refuses longer ones; a failure's text is cut so that the failure itself gets through.
MESSAGE_LENGTH_MAX = 8_000
OUTPUT_BYTES_MAX = 8 * MIB
DELAY_SECONDS_MAX = WEEK_SECONDS


class InvalidAnswer(ValueError):
    """An answer that the orchestrator would refuse, told before it is sent. `problems` list all that is wrong."""

    def __init__(self, what: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(what + "".join(f"\n  {problem}" for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Done:
    """The work is done. `output` is an object; any other value is sent as `{"value": …}`.

    Dates, bytes, dataclasses, models and more have a form in JSON (`swarmkeeper docs outputs`). What has none fails the
    work for good: the failure says where, and in which file the output is kept.
    """

    output: Any = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """This attempt failed. `not_retryable` ends the work at once; `rate_limited` costs no try, for an hour in a row.

    Exceptions become one by themselves; those with a status of 429 or 529, or a `retry_after`, are `rate_limited`.
    """

    why: str
    kind: Literal["retryable", "not_retryable", "rate_limited"] = "retryable"
    retry_after_seconds: float | None = None  # with rate_limited; seven days at most

    def __post_init__(self) -> None:
        if self.kind not in {"retryable", "not_retryable", "rate_limited"}:
            raise InvalidAnswer("Failed.kind is retryable, not_retryable or rate_limited")
        if self.retry_after_seconds is not None and self.kind != "rate_limited":
            raise InvalidAnswer("Failed.retry_after_seconds goes with kind='rate_limited'")


@dataclass(frozen=True, slots=True)
class Later:
    """Not now: give the work back, to be handed out again after `seconds`.

    Costs no try. Work that was put off for an hour in a row (`give_up_after_seconds` of a subtask, or of the task's
    defaults) has failed. The third time in a row and later, it waits for a quarter of the time so far at least.
    """

    seconds: float = 0
    why: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.seconds <= DELAY_SECONDS_MAX:
            raise InvalidAnswer(f"Later.seconds is 0 to {DELAY_SECONDS_MAX}, which are seven days")


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
        if self.expires_in_seconds is not None and not 1 <= self.expires_in_seconds <= YEAR_SECONDS:
            raise InvalidAnswer("Ask.expires_in_seconds is 1 to a year's")


@dataclass(frozen=True, slots=True)
class Plan:
    """The subtasks of a task and what each depends on, checked here with the orchestrator's own rules.

    Each is a `SubTask` or a mapping in the same words; `key` defaults to s1, s2, … by place.

    Raises:
        InvalidAnswer: the orchestrator would refuse it; `problems` list every error. Let it through: the planner is
            called again with them in `context.feedback`, three times at most, and no try is lost.
    """

    subtasks: Sequence[SubTask | Mapping[str, Json]]

    def __post_init__(self) -> None:
        try:
            problems = _problems_in({"subtasks": self.as_sent()})
        except Unsendable as error:
            problems = list(error.problems)
        if problems:
            raise InvalidAnswer("this plan would be refused:", problems)

    def as_sent(self) -> list[dict[str, Json]]:
        return _subtasks_as_sent(self.subtasks, named=True, at="")


@dataclass(frozen=True, slots=True)
class Accept:
    """The result is good."""

    score: float | None = None  # 0 … 1
    reasons: Sequence[str] = ()
    findings: Sequence[Finding | Mapping[str, Json]] = ()

    def __post_init__(self) -> None:
        _check_verdict(self)


@dataclass(frozen=True, slots=True)
class Rework:
    """Not yet: the subtasks named in `targets` are done again, each with the feedback given for it.

    Without targets and without new subtasks, the ones that made the result are done again.
    """

    targets: Mapping[str, str] = field(default_factory=dict)  # subtask key → feedback
    reasons: Sequence[str] = ()
    findings: Sequence[Finding | Mapping[str, Json]] = ()
    score: float | None = None  # 0 … 1
    subtasks: Sequence[SubTask | Mapping[str, Json]] = ()  # new ones, beside those of the plan

    def __post_init__(self) -> None:
        _check_verdict(self)


@dataclass(frozen=True, slots=True)
class Reject:
    """The result is bad, and doing it again would not help: the task fails."""

    reasons: Sequence[str] = ()
    findings: Sequence[Finding | Mapping[str, Json]] = ()
    score: float | None = None  # 0 … 1

    def __post_init__(self) -> None:
        _check_verdict(self)


Verdict = Accept | Rework | Reject
Answer = Done | Failed | Later | Ask | Plan | Accept | Rework | Reject
# What each kind of work may be answered with. Failed, Later and Ask answer any.
ANSWERS_TO: Mapping[str, tuple[type[Answer], ...]] = {
    "plan": (Plan, Failed, Later, Ask),
    "execute": (Done, Failed, Later, Ask),
    "review": (Accept, Rework, Reject, Failed, Later, Ask),
}


def report(answer: Done | Failed | Plan | Verdict) -> dict[str, Json]:
    """The answer in the words of `POST /tasks/{id}/results`; who reports under which lease is the runner's to add.

    Raises:
        Unsendable: some of it has no form in JSON.
    """
    match answer:
        case Done():
            output = sendable(answer.output, "the output", at="/output", inside=1)
            output = output if isinstance(output, dict) else {"value": output}
            return {"status": "succeeded", "output": within(output, OUTPUT_BYTES_MAX, "the output", at="/output")}
        case Plan():
            return {"status": "succeeded", "plan": {"subtasks": answer.as_sent()}}
        case Failed():
            error: dict[str, Json] = {"class": answer.kind, "message": cut(str(answer.why), MESSAGE_LENGTH_MAX)}
            if answer.retry_after_seconds is not None and not math.isnan(answer.retry_after_seconds):
                error["retry_after_seconds"] = min(max(answer.retry_after_seconds, 0), DELAY_SECONDS_MAX)
            return {"status": "failed", "error": error}
        case Accept() | Rework() | Reject():
            return {"status": "succeeded", "verdict": _verdict_as_sent(answer)}


def question(asked: Ask) -> dict[str, Json]:
    """A question in the words of `POST /leases/{id}:ask`.

    Raises:
        Unsendable: the schema has no form in JSON.
    """
    body: dict[str, Json] = {"question": cut(str(asked.question), MESSAGE_LENGTH_MAX)}
    if asked.choices:
        body["choices"] = [readable(str(choice)) for choice in asked.choices]
    if asked.schema is not None:
        body["schema"] = sendable(asked.schema, "the schema of the answer", at="/schema", inside=1)
    if asked.expires_in_seconds is not None:
        body["expires_in_seconds"] = float(asked.expires_in_seconds)
    return body


def release(later: Later) -> dict[str, Json]:
    """What is given back in the words of `POST /leases/{id}:release`."""
    body: dict[str, Json] = {"delay_seconds": float(later.seconds)}
    if later.why:
        body["reason"] = cut(str(later.why), MESSAGE_LENGTH_MAX)
    return body


def _verdict_as_sent(verdict: Verdict) -> dict[str, Json]:
    sent: dict[str, Json] = {
        "decision": type(verdict).__name__.lower(),
        "reasons": [cut(str(reason), MESSAGE_LENGTH_MAX) for reason in verdict.reasons],
        "findings": [_finding_as_sent(finding, place) for place, finding in enumerate(verdict.findings)],
    }
    if verdict.score is not None:
        sent["score"] = float(verdict.score)
    if isinstance(verdict, Rework):
        sent["targets"] = [
            {"subtask": readable(key), "feedback": cut(str(feedback), MESSAGE_LENGTH_MAX)}
            for key, feedback in verdict.targets.items()
        ]
        if verdict.subtasks:
            sent["subtasks"] = _subtasks_as_sent(verdict.subtasks, named=False, at="/verdict")
    return sent


def _finding_as_sent(finding: Finding | Mapping[str, Json], place: int) -> dict[str, Json]:
    plain = finding if isinstance(finding, Mapping) else finding.model_dump(mode="json", exclude_none=True)
    sent: dict[str, Json] = sendable(dict(plain), "a finding", at=f"/verdict/findings/{place}", inside=3)
    if isinstance(sent.get("text"), str):
        sent["text"] = cut(sent["text"], MESSAGE_LENGTH_MAX)
    return sent


def _check_verdict(verdict: Verdict) -> None:
    if isinstance(verdict.reasons, str):
        raise InvalidAnswer("a verdict's reasons are a list of texts, not one text")
    try:
        score = None if verdict.score is None else float(verdict.score)
    except (TypeError, ValueError):
        raise InvalidAnswer(f"a verdict's score is a number, not {type(verdict.score).__name__}") from None
    if score is not None and not 0 <= score <= 1:
        raise InvalidAnswer("a verdict's score lies between 0 and 1")
    try:
        problems = [Problem(*error) for error in read_verdict(_verdict_as_sent(verdict), safe=str)[1]]
    except Unsendable as error:
        problems = list(error.problems)
    if problems:
        raise InvalidAnswer("this verdict would be refused:", problems)


def _problems_in(plan: Json) -> list[Problem]:
    # Names may be shown as they are: they go no further than the author's own process.
    subtasks, errors = read_plan(plan, safe=str, at=())
    errors += graph.check_plan([subtask.spec(place) for place, subtask in enumerate(subtasks, start=1)])
    return [Problem(*error) for error in errors]


def _subtasks_as_sent(
    subtasks: Sequence[SubTask | Mapping[str, Json]], *, named: bool, at: str
) -> list[dict[str, Json]]:
    """The subtasks in JSON; with `named`, those without a key have one by place."""
    sent = [
        dict(subtask)
        if isinstance(subtask, Mapping)
        # Unset fields keep the task's defaults: what was not said must not be said for the planner.
        else subtask.model_dump(by_alias=True, exclude_unset=True)
        for subtask in subtasks
    ]
    for place, each in enumerate(sent, start=1):
        if named and each.get("key") is None:
            each["key"] = f"s{place}"
    plain: list[dict[str, Json]] = sendable(sent, "the plan", at=f"{at}/subtasks", inside=2)
    return plain
