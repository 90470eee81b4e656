"""Translates request bodies to commands.

All functions here are plain functions of values that can be pickled, because long bodies are read in another process
(helper.py), so that no body blocks the event loop. The results must be cheap to unpickle, so values of arbitrary depth
(outputs, inputs, payloads) come back as bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from swarmkeeper.core import commands, errors
from swarmkeeper.core.errors import Detail, Invalid, SwarmkeeperError
from swarmkeeper.core.model import Json, Principal
from swarmkeeper.core.rules import graph
from swarmkeeper.core.secrets import references

# Not `v1`, which loads all answers too: half of what the process that reads long bodies takes to start.
from swarmkeeper.wire.parsing.reading import read_plan, read_verdict
from swarmkeeper.wire.parsing.strict import parse_json
from swarmkeeper.wire.problems import SEGMENT_LENGTH_MAX, Safe
from swarmkeeper.wire.requests import (
    BatchResult,
    Claim,
    Report,
    ReportBatch,
    Result,
    SubTask,
    TaskBatch,
    TaskDefinition,
    specs,
)
from swarmkeeper.wire.shapes import Request, micros_or_none, read

_canonical = msgspec.json.Encoder(order="deterministic").encode
_encode = msgspec.json.Encoder().encode


Idempotency = tuple[str, str]  # the key, and the hash of the request


@dataclass(slots=True, kw_only=True)  # not frozen: each request makes one, in a third of the time
class ReceivedBody:
    """A body, with everything needed to translate it. It is not changed."""

    raw: bytes
    limit: int  # bytes
    optional: bool  # an absent body counts as an empty object
    model: type[Request]
    translator: Translator | None
    by: Principal
    path: Mapping[str, str]
    trace: str
    slice_rows: int
    idempotency: tuple[str, bytes] | None = None  # the key, and the bytes that are hashed before the body


@dataclass(slots=True)
class ParsedBody:
    """The commands that the translator made; without a translator, the checked request model."""

    value: Any
    idempotency: Idempotency | None = None


@dataclass(frozen=True, slots=True)
class ReportHead:
    """The part of a report that is checked before its content is read."""

    bot: str
    references: tuple[tuple[str | None, str | None], ...]  # for each result (task, lease id); None if not named


RefusedResults = Mapping[int, SwarmkeeperError]  # by the result's index
Translator = Callable[[ReceivedBody, Any, Idempotency | None, Safe, RefusedResults], Any]


def parse_body(received: ReceivedBody, safe: Safe, refused: RefusedResults | None = None) -> ParsedBody:
    """Parse, check and translate a body.

    Args:
        safe: redacts names in error details.
        refused: results that need not be read, by their index.

    Raises:
        SwarmkeeperError: the body is not valid; `details` has the pointer of each error.
    """
    document: Json = {}
    if received.raw or not received.optional:
        document = parse_json(received.raw, limit=received.limit, safe=safe)
    body = read(received.model, document, safe=safe)
    idempotency = None
    if received.idempotency is not None:
        key, before = received.idempotency
        idempotency = key, hashlib.sha256(before + _canonical(document)).hexdigest()
    del document
    if received.translator is None:
        return ParsedBody(body, idempotency)
    return ParsedBody(received.translator(received, body, idempotency, safe, refused or {}), idempotency)


# ---- names chosen by the caller, which only the server process can redact --------------------------------------------


@dataclass(slots=True)
class Names:
    """A `Safe` for the process without a redactor: replaces each name by a number; `with_names` puts the names back."""

    names: list[str] = field(default_factory=list)

    def __call__(self, name: str) -> str:
        self.names.append(name)
        return f"\0{len(self.names) - 1}\0"


_NUMBERED = re.compile("\0([0-9]+)\0")


def with_names(value: Any, names: Sequence[str], safe: Safe) -> Any:
    """Return an error or report, or several of these, with numbers replaced by names as `safe` shows them."""
    if not names:
        return value

    def details(found: Sequence[Detail]) -> tuple[Detail, ...]:
        return tuple((_NUMBERED.sub(name, where), code, words) for where, code, words in found)

    def name(match: re.Match[str]) -> str:
        return safe(names[int(match[1])])[:SEGMENT_LENGTH_MAX].replace("~", "~0").replace("/", "~1")

    if isinstance(value, SwarmkeeperError):
        value.details = details(value.details)
    elif isinstance(value, commands.ReportResult):
        return replace(value, errors=details(value.errors))
    elif isinstance(value, ReportCommands):
        return replace(value, results=tuple(with_names(result, names, safe) for result in value.results))
    elif isinstance(value, list):
        return [with_names(each, names, safe) for each in value]
    return value


# ---- the part of a report that is read first -----------------------------------------------------------------------


class _ResultRef(msgspec.Struct):
    task_id: str | None = None
    lease_id: str | None = None


class _Report(msgspec.Struct):
    bot_id: str
    lease_id: str | None = None


class _Reports(msgspec.Struct):
    bot_id: str
    results: list[_ResultRef]


_peek_report = msgspec.json.Decoder(_Report).decode
_peek_batch = msgspec.json.Decoder(_Reports).decode


def peek(received: ReceivedBody) -> ReportHead | None:
    """Return the bot and the leases of a report without decoding its content; None if they cannot be read."""
    try:
        if received.translator is report:
            single = _peek_report(received.raw)
            return ReportHead(single.bot_id, ((received.path["task_id"], single.lease_id),))
        if received.translator is reports:
            batch = _peek_batch(received.raw)
            return ReportHead(batch.bot_id, tuple((each.task_id, each.lease_id) for each in batch.results))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # `parse_body` will report the error
    return None


# ---- reports -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class ReportCommands:
    """The results that a bot reports, each a command or the error it was refused with, and its claim for more work."""

    bot: str
    results: tuple[commands.ReportResult | SwarmkeeperError, ...]
    claim: commands.ClaimWork | None


def report(
    received: ReceivedBody, body: Report, idempotency: Any, safe: Safe, refused: RefusedResults
) -> ReportCommands:
    result = refused.get(0) or _report(received, body, body.bot_id, received.path["task_id"], safe)
    return ReportCommands(body.bot_id, (result,), _claim(received, body.bot_id, body.claim, body.lease_id))


def reports(
    received: ReceivedBody, body: ReportBatch, idempotency: Any, safe: Safe, refused: RefusedResults
) -> ReportCommands:
    results: list[commands.ReportResult | SwarmkeeperError] = []
    for index, raw in enumerate(body.results):
        if index in refused:
            results.append(refused[index])
            continue
        try:
            result = read(BatchResult, raw, safe=safe)
            results.append(_report(received, result, body.bot_id, result.task_id, safe))
        except SwarmkeeperError as error:
            results.append(error)
    reported = (result for result in results if isinstance(result, commands.ReportResult))
    leases = (result.lease_id for result in reported if result.lease_id is not None)
    return ReportCommands(body.bot_id, tuple(results), _claim(received, body.bot_id, body.claim, next(leases, None)))


def _report(received: ReceivedBody, result: Result, bot: str, task: str | None, safe: Safe) -> commands.ReportResult:
    content, kind = _canonical(result.content()), result.kind
    plan = verdict = written = None
    shape_errors: Sequence[errors.Detail] = ()
    checked: tuple[Detail, ...] | None = None
    if kind == "plan":
        subtasks, shape_errors = read_plan(result.plan, safe=safe, task=task)
        if _may_refer(received) and not shape_errors:
            shape_errors = [*shape_errors, *_bad_references(subtasks, "/plan", safe)]
        plan = specs(subtasks)
        checked = tuple(graph.check_plan(plan, at="/plan"))
        if not checked and not shape_errors:
            plan, written = graph.cut(plan, received.slice_rows)
        else:
            plan = ()  # only its errors are used
    elif kind == "verdict":
        given, shape_errors = read_verdict(result.verdict, safe=safe, task=task)
        if _may_refer(received) and given is not None and not shape_errors:
            shape_errors = [*_bad_references(given.subtasks or (), "/verdict", safe)]
        verdict = None if given is None else given.record()
    output = _encode(result.output) if kind == "output" else None
    return commands.ReportResult(
        by=received.by,
        bot=bot,
        task=task,
        lease_id=result.lease_id,
        content=content,
        content_hash=hashlib.sha256(content).hexdigest(),
        output=output,
        digest=None if output is None else hashlib.sha256(output).hexdigest(),
        plan=plan,
        checked=checked,
        written=written,
        verdict=verdict,
        failure=result.failure.record() if kind == "failure" else None,
        errors=tuple(shape_errors),
        errors_in=kind if shape_errors else None,
        usage=None if result.usage is None else result.usage.model_dump(exclude_none=True),
        progress=None if result.progress is None else result.progress.record(),
        trace=received.trace,
    )


def _claim(received: ReceivedBody, bot: str, asked: Claim | None, lease_id: str | None) -> commands.ClaimWork | None:
    if asked is None:
        return None
    # The report's lease id serves as claim id, so that a repeated report gets the same leases.
    return commands.ClaimWork(
        by=received.by, bot=bot, most=asked.max, claim_id=asked.claim_id or lease_id, trace=received.trace
    )


PEEKED: frozenset[Translator] = frozenset({report, reports})  # the translators that `peek` supports

# ---- tasks ---------------------------------------------------------------------------------------------------------


def submit(
    received: ReceivedBody,
    body: TaskDefinition,
    idempotency: Idempotency | None,
    safe: Safe,
    refused: RefusedResults,
) -> commands.Submit:
    if _may_refer(received):
        in_input = _bad_reference(body.input, "/input", safe)
        bad = [*in_input, *_bad_references(body.subtasks or (), "", safe)]
        if bad:
            raise Invalid("a reference to a secret is malformed", details=tuple(bad))
    spec = {  # fields that are not in the task's row; until 0.4.0 also the title
        "description": body.description,
        "input": body.input,
        "metadata": body.metadata,
        "acceptance_criteria": body.acceptance_criteria,
    }
    subtasks = None if body.subtasks is None else specs(body.subtasks)
    checked = None if subtasks is None else tuple(graph.check_plan(subtasks))
    written = None
    if subtasks is not None:
        subtasks, written = graph.cut(subtasks, received.slice_rows) if not checked else ((), None)
    return commands.Submit(
        by=received.by,
        idempotency=idempotency,
        trace=received.trace,
        title=body.title,
        spec=_encode(spec),
        priority=body.priority,
        labels=body.labels,
        planner_skills=tuple(dict.fromkeys(body.planner_skills)),
        evaluator_skills=tuple(dict.fromkeys(body.evaluator_skills)),
        evaluation=body.evaluation,
        quorum=(body.quorum.accept, body.quorum.of),
        max_rounds=body.max_rounds,
        approval=body.approval,
        deadline=micros_or_none(body.deadline_seconds),
        plan_timeout=micros_or_none(body.plan_timeout_seconds),
        review_timeout=micros_or_none(body.review_timeout_seconds),
        defaults=body.defaults.spec() | ({} if body.approval_terms is None else {"terms": body.approval_terms.spec()}),
        subtasks=subtasks,
        checked=checked,
        written=written,
        budget=None if body.budget is None else body.budget.limits(),
    )


def _may_refer(received: ReceivedBody) -> bool:
    """Return whether the body may have a reference to a secret: walking all inputs takes time, and few have one."""
    return b"secret:" in received.raw


def _bad_references(subtasks: Iterable[SubTask], at: str, safe: Safe) -> Iterator[Detail]:
    for number, subtask in enumerate(subtasks):
        yield from _bad_reference(subtask.input, f"{at}/subtasks/{number}/input", safe)


def _bad_reference(value: Json, at: str, safe: Safe) -> Iterator[Detail]:
    for _, *place in references.malformed(value, at):
        yield (
            "/".join([at, *(safe(part).replace("~", "~0").replace("/", "~1") for part in place)]),
            "invalid",
            references.SHAPE,
        )


def submits(
    received: ReceivedBody, body: TaskBatch, idempotency: Idempotency | None, safe: Safe, refused: RefusedResults
) -> list[commands.Submit | SwarmkeeperError]:
    asked: list[commands.Submit | SwarmkeeperError] = []
    for index, raw in enumerate(body.tasks):
        # A header cannot contain a line break, so these keys differ from every caller's key.
        own = None if idempotency is None else (f"{idempotency[0]}\n{index}", idempotency[1])
        try:
            asked.append(submit(received, read(TaskDefinition, raw, safe=safe), own, safe, refused))
        except SwarmkeeperError as error:
            asked.append(error)
    return asked
