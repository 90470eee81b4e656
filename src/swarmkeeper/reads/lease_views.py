"""Builds the view of a lease: everything a bot needs to do the work.

Lease, work item and task are the records of the batch that granted the lease. Only payloads and the outputs of other
items are read from the store. There is no permission check, because the engine has granted the lease to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from swarmkeeper.core import named_reads
from swarmkeeper.core.model import Work
from swarmkeeper.core.named_reads import JudgedRow, LastAttemptRow, OutputRow, UpstreamRow, fetch
from swarmkeeper.core.ports import ReadsOnly
from swarmkeeper.core.states import Kind, Status
from swarmkeeper.engine.polls import Granted
from swarmkeeper.reads import views
from swarmkeeper.reads.payload_cache import PayloadCache
from swarmkeeper.reads.views import Inline, View

LIGHT_BYTES = 64 << 10  # of payloads; one that several leases show counts each time
LIGHT_ROWS = 100  # upstream items of all leases together


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


class Leases:
    def __init__(self, store: ReadsOnly, payload_cache: PayloadCache) -> None:
        self._store = store
        self._bodies = payload_cache

    async def are_light(self, granted: Sequence[Granted]) -> bool:
        """Whether `views` takes at most as long as a few commands."""
        if not granted:
            return True
        if any(grant.item.kind is Kind.REVIEW and grant.of_task.n_total > LIGHT_ROWS for grant in granted):
            return False
        payloads = [grant.of_task.spec for grant in granted] + [
            grant.item.payload for grant in granted if grant.item.payload
        ]
        works = [grant.item.id for grant in granted]
        found = await fetch(self._store, named_reads.WEIGHT_OF_LEASES, bodies=_json(payloads), works=_json(works))
        size: int = sum(row.bytes for row in found)
        edges: int = sum(row.edges for row in found)
        return size <= LIGHT_BYTES and edges <= LIGHT_ROWS

    async def views(self, granted: Sequence[Granted]) -> list[View]:
        """Return the views of the leases, in order."""
        if not granted:
            return []
        wanted: list[str | None] = []
        for grant in granted:
            wanted += (grant.of_task.spec, grant.item.payload, grant.item.checkpoint)
        payload_cache = await self._bodies.of(wanted)
        shown: dict[str, View] = {}
        with_upstream, with_history = [], []
        for grant in granted:
            item = grant.item
            spec = views.json_of(payload_cache.get(item.payload)) if item.payload is not None else None
            checkpoint = payload_cache.get(item.checkpoint) if item.checkpoint is not None else None
            shown[item.id] = views.lease(grant.lease, item, grant.of_task, payload_cache.get(grant.of_task.spec), spec)
            shown[item.id]["checkpoint"] = views.json_of(checkpoint)
            if spec is not None and spec.get("depends_on"):
                with_upstream.append(item.id)
            if grant.lease.attempt > 1 or item.round > 1:
                with_history.append(item.id)
        previous = await self._history(with_history, shown) if with_history else {}
        upstream = await self._upstream(with_upstream) if with_upstream else {}
        inline = Inline()
        for grant in granted:
            item, view = grant.item, shown[grant.item.id]
            if item.id in upstream:
                view["upstream"] = await self._bodies.outputs(upstream[item.id], inline)
            if item.kind is Kind.REVIEW:
                await self._add_review(item, view, inline)
            if item.id in previous:
                view["previous"] = await self._previous(item, previous[item.id], inline)
        return list(shown.values())

    async def _upstream(self, works: Sequence[str]) -> dict[str, list[UpstreamRow]]:
        before: dict[str, list[UpstreamRow]] = {}
        for row in await fetch(self._store, named_reads.UPSTREAM_OF_WORKS, works=_json(works), status=Status.SUCCEEDED):
            before.setdefault(row.child, []).append(row)
        return before

    async def _history(self, works: Sequence[str], shown: Mapping[str, View]) -> dict[str, LastAttemptRow]:
        """Add feedback and answers to the views in `shown`; return the last attempt of each item."""
        ids = _json(works)
        for row in await fetch(self._store, named_reads.FEEDBACK_OF_WORKS, works=ids):
            shown[row.work]["feedback"].append({"round": row.round, "text": row.text})
        for said in await fetch(self._store, named_reads.ANSWERS_OF_WORKS, works=ids):
            answer = {"question": said.question, "answer": views.json_of(said.answer)}
            shown[said.work]["answers"].append(answer)
        return {last.work: last for last in await fetch(self._store, named_reads.LAST_ATTEMPTS_OF_WORKS, works=ids)}

    async def _add_review(self, item: Work, view: View, inline: Inline) -> None:
        if item.subject is None:
            found = await fetch(
                self._store, named_reads.RESULTS_OF_TASK, task=item.task, kind=Kind.EXECUTE, status=Status.SUCCEEDED
            )
        else:
            (subject,) = await fetch(self._store, named_reads.WORKS_BY_ID, works=_json([item.subject]))
            view["subtask"] = views.as_planned(subject.id, subject.task, subject.key, views.json_of(subject.spec))
            found = _output(subject)
        of = "task" if item.subject is None else "subtask"
        view["review"] = {"of": of, "results": await self._bodies.outputs(found, inline)}

    async def _previous(self, item: Work, attempt: LastAttemptRow, inline: Inline) -> View:
        output = None
        if attempt.result is not None:
            body = (await self._bodies.of([attempt.result]))[attempt.result]
            # Only a subtask's output has a URL for a reference; plans and verdicts are bounded and always fit.
            if item.kind is not Kind.EXECUTE or inline.fits(len(body)):
                output = views.json_of(body)
            else:
                digest = views.sha256(body)
                output = views.reference(item.task, item.key, digest, len(body), attempt=attempt.attempt)
        return {
            "attempt": attempt.attempt,
            "ending": attempt.ending,
            "output": output,
            "error": views.json_of(attempt.error),
        }


def _output(subject: JudgedRow) -> list[OutputRow]:
    """Return the output of a review's subject: one row or none."""
    if subject.result is None:
        return []
    assert subject.result_hash is not None, "a result has its hash"
    assert subject.result_bytes is not None, "a result has its body"
    return [OutputRow(subject.task, subject.key, subject.result, subject.result_hash, subject.result_bytes)]
