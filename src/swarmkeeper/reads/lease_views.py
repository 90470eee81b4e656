"""Builds the view of a lease: everything a bot needs to do the work.

Lease, work item and task are the records of the batch that granted the lease. Usually the batch has gathered all else
that the view shows (engine/lease_facts.py); otherwise it is read here. There is no permission check, because the engine
has granted the lease to the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from swarmkeeper.core import named_reads
from swarmkeeper.core.model import Work
from swarmkeeper.core.named_reads import JudgedRow, LastAttemptRow, OutputRow, UpstreamRow, fetch
from swarmkeeper.core.ports import ReadsOnly
from swarmkeeper.core.states import Kind, Status
from swarmkeeper.engine.lease_facts import Granted, JudgedSubtask, LeaseFacts, Output, PreviousAttempt
from swarmkeeper.reads import views
from swarmkeeper.reads.payload_cache import PayloadCache
from swarmkeeper.reads.views import Inline, View


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def view(granted: Granted) -> View:
    """Return the view of a lease whose facts are known."""
    facts, item = granted.facts, granted.item
    assert facts is not None, "the facts of the lease are known"
    shown = views.lease(granted.lease, item, granted.of_task, facts.task, facts.spec)
    shown["checkpoint"] = views.json_of(facts.checkpoint)
    shown["upstream"] = _outputs(item.task, facts.upstream)
    shown["feedback"] = [{"round": round_, "text": text} for round_, text in facts.feedback]
    shown["answers"] = [{"question": question, "answer": answer} for question, answer in facts.answers]
    if facts.judged is not None:
        shown["subtask"] = views.as_planned(facts.judged.id, item.task, facts.judged.key, facts.judged.spec)
    if item.kind is Kind.REVIEW:
        of = "task" if item.subject is None else "subtask"
        shown["review"] = {"of": of, "results": _outputs(item.task, facts.results)}
    if facts.previous is not None:
        shown["previous"] = _previous(item, facts.previous)
    return shown


def _outputs(task: str, outputs: Sequence[Output]) -> View:
    return {
        output.key: views.reference(task, output.key, output.sha256, output.size)
        if output.body is None
        else views.json_of(output.body)
        for output in outputs
    }


def _previous(item: Work, previous: PreviousAttempt) -> View:
    output, shown = previous.output, None
    if output is not None and output.body is not None:
        shown = views.json_of(output.body)
    elif output is not None:
        shown = views.reference(item.task, item.key, output.sha256, output.size, attempt=previous.attempt)
    return {"attempt": previous.attempt, "ending": previous.ending, "output": shown, "error": previous.error}


class Leases:
    """Reads the facts of leases that their batch has not gathered."""

    def __init__(self, store: ReadsOnly, payload_cache: PayloadCache) -> None:
        self._store = store
        self._bodies = payload_cache

    async def views(self, granted: Sequence[Granted]) -> list[View]:
        """Return the views of the leases, in order."""
        return [view(grant) for grant in await self._with_facts(granted)]

    async def _with_facts(self, granted: Sequence[Granted]) -> list[Granted]:
        wanted: list[str | None] = []
        for grant in granted:
            wanted += (grant.of_task.spec, grant.item.payload, grant.item.checkpoint)
        bodies = await self._bodies.of(wanted)
        found: dict[str, LeaseFacts] = {}
        with_upstream, with_history = [], []
        for grant in granted:
            item = grant.item
            spec = None if item.payload is None else views.json_of(bodies.get(item.payload))
            checkpoint = None if item.checkpoint is None else bodies.get(item.checkpoint)
            found[item.id] = LeaseFacts(bodies.get(grant.of_task.spec), spec, checkpoint)
            if spec is not None and spec.get("depends_on"):
                with_upstream.append(item.id)
            if grant.lease.attempt > 1 or item.round > 1:
                with_history.append(item.id)
        previous = await self._history(with_history, found) if with_history else {}
        upstream = await self._upstream(with_upstream) if with_upstream else {}
        inline = Inline()
        for grant in granted:
            item, facts = grant.item, found[grant.item.id]
            facts.upstream = await self._outputs(upstream.get(item.id, ()), inline)
            if item.kind is Kind.REVIEW:
                await self._add_review(item, facts, inline)
            if item.id in previous:
                facts.previous = await self._previous(item, previous[item.id], inline)
        return [replace(grant, facts=found[grant.item.id]) for grant in granted]

    async def _outputs(self, rows: Sequence[OutputRow | UpstreamRow], inline: Inline) -> list[Output]:
        """Return outputs; without the body those that do not fit into `inline`."""
        small = [row.result for row in rows if inline.fits(row.bytes)]
        bodies = await self._bodies.of(small)
        return [Output(row.key, row.result_hash, row.bytes, bodies.get(row.result)) for row in rows]

    async def _upstream(self, works: Sequence[str]) -> dict[str, list[UpstreamRow]]:
        before: dict[str, list[UpstreamRow]] = {}
        for row in await fetch(self._store, named_reads.UPSTREAM_OF_WORKS, works=_json(works), status=Status.SUCCEEDED):
            before.setdefault(row.child, []).append(row)
        return before

    async def _history(self, works: Sequence[str], found: dict[str, LeaseFacts]) -> dict[str, LastAttemptRow]:
        """Add feedback and answers to the facts in `found`; return the last attempt of each item."""
        ids = _json(works)
        for row in await fetch(self._store, named_reads.FEEDBACK_OF_WORKS, works=ids):
            found[row.work].feedback = (*found[row.work].feedback, (row.round, row.text))
        for said in await fetch(self._store, named_reads.ANSWERS_OF_WORKS, works=ids):
            found[said.work].answers = (*found[said.work].answers, (said.question, views.json_of(said.answer)))
        return {last.work: last for last in await fetch(self._store, named_reads.LAST_ATTEMPTS_OF_WORKS, works=ids)}

    async def _add_review(self, item: Work, facts: LeaseFacts, inline: Inline) -> None:
        if item.subject is None:
            rows = await fetch(
                self._store, named_reads.RESULTS_OF_TASK, task=item.task, kind=Kind.EXECUTE, status=Status.SUCCEEDED
            )
        else:
            (subject,) = await fetch(self._store, named_reads.WORKS_BY_ID, works=_json([item.subject]))
            facts.judged = JudgedSubtask(subject.id, subject.key, views.json_of(subject.spec))
            rows = _output(subject)
        facts.results = await self._outputs(rows, inline)

    async def _previous(self, item: Work, attempt: LastAttemptRow, inline: Inline) -> PreviousAttempt:
        output = None
        if attempt.result is not None:
            body = (await self._bodies.of([attempt.result]))[attempt.result]
            # Only a subtask's output has a URL for a reference; plans and verdicts are bounded and always fit.
            fits = item.kind is not Kind.EXECUTE or inline.fits(len(body))
            output = Output(item.key, views.sha256(body), len(body), body if fits else None)
        return PreviousAttempt(attempt.attempt, attempt.ending, views.json_of(attempt.error), output)


def _output(subject: JudgedRow) -> list[OutputRow]:
    """Return the output of a review's subject: one row or none."""
    if subject.result is None:
        return []
    assert subject.result_hash is not None, "a result has its hash"
    assert subject.result_bytes is not None, "a result has its body"
    return [OutputRow(subject.task, subject.key, subject.result, subject.result_hash, subject.result_bytes)]
