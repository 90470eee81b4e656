"""The answers that a bot's code returns, and the request body that each becomes.

Failed, Later and Ask answer work of any kind; Done is an executor's answer, Plan a planner's; Accept, Rework and
Reject are an evaluator's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from swarmkeeper.core.rules import graph
from swarmkeeper.sdk.attempts.sendable import Unsendable, cut, readable, sendable, within
from swarmkeeper.sdk.errors import FieldProblem
from swarmkeeper.wire.parsing.reading import read_plan, read_verdict
from swarmkeeper.wire.requests import Finding, SubTask
from swarmkeeper.wire.shapes import MIB, WEEK_SECONDS, YEAR_SECONDS, Json

# The orchestrator refuses longer texts; a failure's text is cut so that the failure itself is accepted.
MESSAGE_LENGTH_MAX = 8_000
OUTPUT_BYTES_MAX = 8 * MIB
DELAY_SECONDS_MAX = WEEK_SECONDS
SCOPE_LENGTH_MAX = 128


class InvalidAnswer(ValueError):
    """The orchestrator would refuse this answer. `problems` list everything that is wrong."""

    def __init__(self, what: str, problems: Sequence[FieldProblem] = ()) -> None:
        super().__init__(what + "".join(f"\n  {problem}" for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Done:
    """The work is done. `output` is an object; any other value is sent as `{"value": …}`.

    Dates, bytes, dataclasses, models and more have a JSON form (`swarmkeeper docs outputs`). An output without one
    fails the work for good: the failure says where, and in which file the output is kept.
    """

    output: Any = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """This attempt failed. `not_retryable` fails the work at once; `rate_limited` costs no try, for up to an hour.

    An exception becomes a `Failed` by itself: `rate_limited` if it has a status of 429 or 529, or a `retry_after`.
    """

    why: str
    kind: Literal["retryable", "not_retryable", "rate_limited"] = "retryable"
    retry_after_seconds: float | None = None  # with rate_limited; seven days at most
    # With rate_limited: what the provider limits, such as "anthropic:claude-sonnet". All bots of this scope wait.
    scope: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in {"retryable", "not_retryable", "rate_limited"}:
            raise InvalidAnswer("Failed.kind is retryable, not_retryable or rate_limited")
        if self.retry_after_seconds is not None and self.kind != "rate_limited":
            raise InvalidAnswer("Failed.retry_after_seconds goes with kind='rate_limited'")
        if self.scope is not None and self.kind != "rate_limited":
            raise InvalidAnswer("Failed.scope goes with kind='rate_limited'")
        if self.scope is not None and not (1 <= len(self.scope) <= SCOPE_LENGTH_MAX and self.scope.isprintable()):
            raise InvalidAnswer(f"Failed.scope has 1 to {SCOPE_LENGTH_MAX} printable characters")


@dataclass(frozen=True, slots=True)
class Later:
    """Not now: give the work back; it is offered again after `seconds`.

    Costs no try. Work that is put off for an hour in a row fails (`give_up_after_seconds` of the subtask, or of the
    task's defaults). From the third time in a row, it waits for at least a quarter of the time so far.
    """

    seconds: float = 0
    why: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.seconds <= DELAY_SECONDS_MAX:
            raise InvalidAnswer(f"Later.seconds is 0 to {DELAY_SECONDS_MAX}, which is seven days")


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a person. This attempt ends; the next one finds the answer in `context.answers`.

    The work fails if nobody answers in time (by default seven days) or the question is rejected.
    """

    question: str
    choices: Sequence[str] = ()  # if any, the answer must be one of these
    schema: Mapping[str, Json] | None = None  # a JSON Schema (draft 2020-12) that the answer must match
    expires_in_seconds: float | None = None
    default_answer: Json = None  # the answer if nobody gives one in time; None: then the work fails. It is redacted.
    remind_after_seconds: float | None = None  # less than expires_in_seconds; an event `approval.reminded`
    escalate_after_seconds: float | None = None  # likewise, `approval.escalated`
    step_up_seconds: int | None = None  # how long ago who answers may have signed in, by a token; None: no matter

    def __post_init__(self) -> None:
        if not self.question:
            raise InvalidAnswer("Ask needs a question")
        if isinstance(self.choices, str):
            raise InvalidAnswer("Ask.choices is a list of texts, not one text")
        if self.expires_in_seconds is not None and not 1 <= self.expires_in_seconds <= YEAR_SECONDS:
            raise InvalidAnswer(f"Ask.expires_in_seconds is 1 to {YEAR_SECONDS}, which is a year")
        if self.step_up_seconds is not None and not 1 <= self.step_up_seconds <= YEAR_SECONDS:
            raise InvalidAnswer(f"Ask.step_up_seconds is 1 to {YEAR_SECONDS}, which is a year")
        for moment in (self.remind_after_seconds, self.escalate_after_seconds):
            if moment is not None and not 1 <= moment < (self.expires_in_seconds or 0):
                raise InvalidAnswer("Ask reminds and escalates after a second, and before expires_in_seconds")


@dataclass(frozen=True, slots=True)
class Plan:
    """The subtasks of a task and their dependencies, checked at once by the orchestrator's own rules.

    Each subtask is a `SubTask` or a mapping with the same fields; `key` defaults to s1, s2, … in order.

    Raises:
        InvalidAnswer: the orchestrator would refuse the plan; `problems` list every error. Do not catch it: the planner
            is called again with the errors in `context.feedback`, up to three times, and no try is lost.
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
    """The result is not good enough: the subtasks in `targets` are executed again, each with its feedback.

    Without targets and new subtasks, the subtasks that made the result are executed again.
    """

    targets: Mapping[str, str] = field(default_factory=dict)  # subtask key → feedback
    reasons: Sequence[str] = ()
    findings: Sequence[Finding | Mapping[str, Json]] = ()
    score: float | None = None  # 0 … 1
    subtasks: Sequence[SubTask | Mapping[str, Json]] = ()  # new ones, in addition to those of the plan

    def __post_init__(self) -> None:
        _check_verdict(self)


@dataclass(frozen=True, slots=True)
class Reject:
    """The result is bad, and rework would not help: the task fails."""

    reasons: Sequence[str] = ()
    findings: Sequence[Finding | Mapping[str, Json]] = ()
    score: float | None = None  # 0 … 1

    def __post_init__(self) -> None:
        _check_verdict(self)


Verdict = Accept | Rework | Reject
Answer = Done | Failed | Later | Ask | Plan | Accept | Rework | Reject
# The answers that each kind of work accepts.
ANSWERS_TO: Mapping[str, tuple[type[Answer], ...]] = {
    "plan": (Plan, Failed, Later, Ask),
    "execute": (Done, Failed, Later, Ask),
    "review": (Accept, Rework, Reject, Failed, Later, Ask),
}


def report(answer: Done | Failed | Plan | Verdict) -> dict[str, Json]:
    """Return the answer's part of the body of `POST /tasks/{id}/results`. The session adds bot and lease.

    Raises:
        Unsendable: a part of it has no JSON form.
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
            if answer.scope is not None:
                error["scope"] = answer.scope
            return {"status": "failed", "error": error}
        case Accept() | Rework() | Reject():
            return {"status": "succeeded", "verdict": _verdict_as_sent(answer)}


def question(asked: Ask) -> dict[str, Json]:
    """Return the body of `POST /leases/{id}:ask`.

    Raises:
        Unsendable: the schema has no JSON form.
    """
    body: dict[str, Json] = {"question": cut(str(asked.question), MESSAGE_LENGTH_MAX)}
    if asked.choices:
        body["choices"] = [readable(str(choice)) for choice in asked.choices]
    if asked.schema is not None:
        body["schema"] = sendable(asked.schema, "the schema of the answer", at="/schema", inside=1)
    if asked.expires_in_seconds is not None:
        body["expires_in_seconds"] = float(asked.expires_in_seconds)
    if asked.default_answer is not None:
        body["default_answer"] = sendable(asked.default_answer, "the default answer", at="/default_answer", inside=1)
    for name in ("remind_after_seconds", "escalate_after_seconds"):
        if (moment := getattr(asked, name)) is not None:
            body[name] = float(moment)
    if asked.step_up_seconds is not None:
        body["step_up"] = {"max_age_seconds": int(asked.step_up_seconds)}
    return body


def release(later: Later) -> dict[str, Json]:
    """Return the body of `POST /leases/{id}:release`."""
    body: dict[str, Json] = {"delay_seconds": float(later.seconds)}
    if later.why:
        body["reason"] = cut(str(later.why), MESSAGE_LENGTH_MAX)
    return body


def _verdict_as_sent(verdict: Verdict) -> dict[str, Json]:
    sent: dict[str, Json] = {
        "decision": type(verdict).__name__.lower(),
        "reasons": [cut(str(reason), MESSAGE_LENGTH_MAX) for reason in verdict.reasons],
        "findings": [_finding_as_sent(finding, index) for index, finding in enumerate(verdict.findings)],
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


def _finding_as_sent(finding: Finding | Mapping[str, Json], index: int) -> dict[str, Json]:
    plain = finding if isinstance(finding, Mapping) else finding.model_dump(mode="json", exclude_none=True)
    sent: dict[str, Json] = sendable(dict(plain), "a finding", at=f"/verdict/findings/{index}", inside=3)
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
        problems = [FieldProblem(*error) for error in read_verdict(_verdict_as_sent(verdict), safe=str)[1]]
    except Unsendable as error:
        problems = list(error.problems)
    if problems:
        raise InvalidAnswer("this verdict would be refused:", problems)


def _problems_in(plan: Json) -> list[FieldProblem]:
    # Names need no redaction here: they stay in the author's own process.
    subtasks, errors = read_plan(plan, safe=str, at=())
    errors += graph.check_plan([subtask.spec(number) for number, subtask in enumerate(subtasks, start=1)])
    return [FieldProblem(*error) for error in errors]


def _subtasks_as_sent(
    subtasks: Sequence[SubTask | Mapping[str, Json]], *, named: bool, at: str
) -> list[dict[str, Json]]:
    """Return the subtasks in JSON; with `named`, those without a key are called s1, s2, …"""
    sent = [
        dict(subtask)
        if isinstance(subtask, Mapping)
        # Send set fields only: an unset field takes the task's default.
        else subtask.model_dump(by_alias=True, exclude_unset=True)
        for subtask in subtasks
    ]
    for number, subtask_sent in enumerate(sent, start=1):
        if named and subtask_sent.get("key") is None:
            subtask_sent["key"] = f"s{number}"
    plain: list[dict[str, Json]] = sendable(sent, "the plan", at=f"{at}/subtasks", inside=2)
    return plain
