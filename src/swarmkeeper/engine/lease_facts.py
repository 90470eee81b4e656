"""What an answer with leases shows beside the leases, gathered by the batch that grants them.

So nothing is read after the commit. Most of it is in memory: a subtask is usually leased soon after the plan and the
results that it needs were written. The rest is loaded in the batch's transaction. Claims that show much, or items that
were leased before, are left to `reads/lease_views.py`, so that they do not hold up other commands.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from swarmkeeper.core import lookups
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.model import Json, LeaseRecord, TaskRecord, Work
from swarmkeeper.core.ports import Key
from swarmkeeper.core.states import Kind, Status

LIGHT_BYTES = 64 << 10  # of the payloads that one claim shows; one that several leases show counts each time
LIGHT_ROWS = 100  # outputs of other items that one claim shows

Load = Callable[[Iterable[Key]], Awaitable[None]]
_decode = msgspec.json.decode


@dataclass(frozen=True, slots=True)
class Output:
    """The accepted result of a subtask."""

    key: str
    sha256: str
    size: int  # bytes
    body: bytes | None  # None if it is too large for the answer


@dataclass(frozen=True, slots=True)
class JudgedSubtask:
    """The subtask that a review judges."""

    id: str
    key: str
    spec: dict[str, Json] | None


@dataclass(frozen=True, slots=True)
class PreviousAttempt:
    """The attempt before."""

    attempt: int
    ending: str
    error: Json
    output: Output | None


@dataclass(slots=True)
class LeaseFacts:
    task: bytes | None = None  # payload of the task
    spec: dict[str, Json] | None = None  # the item as planned
    checkpoint: bytes | None = None
    upstream: Sequence[Output] = ()
    results: Sequence[Output] = ()  # of a review: what it judges
    judged: JudgedSubtask | None = None  # of a review of one subtask
    feedback: Sequence[tuple[int, str]] = ()  # (round, text)
    answers: Sequence[tuple[str, Json]] = ()  # (question, answer)
    previous: PreviousAttempt | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """A lease with its item and task: copies, as of the batch that granted it."""

    lease: LeaseRecord
    item: Work
    of_task: TaskRecord
    facts: LeaseFacts | None = None  # None: they are still to be read

    @property
    def work(self) -> str:
        return self.lease.work

    @property
    def lease_id(self) -> str:
        return self.lease.lease_id


@dataclass(slots=True)
class _Claim:
    """The leases of one claim while their facts are gathered."""

    granted: tuple[Granted, ...]
    facts: list[LeaseFacts] = field(default_factory=list)
    sources: list[list[Work]] = field(default_factory=list)  # by lease: the items whose results it shows
    left: int = LIGHT_BYTES

    def has_room(self, payloads: Iterable[str | None], bodies: Mapping[str | None, bytes]) -> bool:
        """Whether all these payloads are light and fit into the answer; counts them."""
        for payload in payloads:
            if payload is not None:
                body = bodies.get(payload)
                if body is None:
                    return False
                self.left -= len(body)
        return self.left >= 0


class FactsGatherer:
    """Gathers the facts of a batch's leases from its rows.

    Args:
        load: loads those of the given rows that are missing, within the batch's transaction, and adds them to
            `working`. It must see all changes of the batch.
        ahead: load what may be needed together with what is.
    """

    def __init__(self, working: WorkingSet, load: Load, *, ahead: bool) -> None:
        self._working = working
        self._load = load
        self._ahead = ahead

    async def gather(self, claims: Sequence[tuple[Granted, ...]]) -> list[tuple[Granted, ...]]:
        """Return the leases of each claim with their facts; without, if they are too many or have a history."""
        light = {n: _Claim(granted) for n, granted in enumerate(claims) if self._may_be_light(granted)}
        for stage in (self._own_bodies, self._find_sources, self._outputs):
            if not light:
                break
            await stage(light)
        return [
            granted
            if n not in light
            else tuple(
                Granted(grant.lease, grant.item, grant.of_task, facts)
                for grant, facts in zip(granted, light[n].facts, strict=True)
            )
            for n, granted in enumerate(claims)
        ]

    @staticmethod
    def _may_be_light(granted: tuple[Granted, ...]) -> bool:
        return all(
            grant.item.attempt == 1
            and grant.item.round == 1
            and (grant.item.kind is not Kind.REVIEW or grant.of_task.n_total <= LIGHT_ROWS)
            for grant in granted
        )

    async def _own_bodies(self, light: dict[int, _Claim]) -> None:
        wanted = {n: _own_payloads(claim) for n, claim in light.items()}
        payloads = {payload for payloads in wanted.values() for payload in payloads}
        # Where the item's plan must be loaded to know whether it depends on others: they are loaded with it.
        sources: dict[Key, None] = {}
        for claim in light.values() if self._ahead else ():
            for grant in claim.granted:
                unplanned = grant.item.payload is not None and self._body(grant.item.payload) is None
                if unplanned or grant.item.kind is Kind.REVIEW:
                    sources.update(dict.fromkeys(_sources(grant.item)))
        bodies = await self._bodies(payloads, sources)
        for n, claim in list(light.items()):
            if not claim.has_room(wanted[n], bodies):
                del light[n]
                continue
            for grant in claim.granted:
                planned = bodies.get(grant.item.payload)
                spec = None if planned is None else _decode(planned)
                claim.facts.append(LeaseFacts(bodies[grant.of_task.spec], spec, bodies.get(grant.item.checkpoint)))
            if sum(len(facts.spec.get("depends_on") or ()) for facts in claim.facts if facts.spec) > LIGHT_ROWS:
                del light[n]

    async def _find_sources(self, light: dict[int, _Claim]) -> None:
        needs: list[Key] = []
        for claim in light.values():
            for grant, facts in zip(claim.granted, claim.facts, strict=True):
                needs += _needs(grant.item, facts)
        if needs:
            await self._load(needs)
        for n, claim in list(light.items()):
            for grant, facts in zip(claim.granted, claim.facts, strict=True):
                claim.sources.append(self._sources(grant.item) if _needs(grant.item, facts) else [])
            if sum(map(len, claim.sources)) > LIGHT_ROWS:
                del light[n]

    def _sources(self, item: Work) -> list[Work]:
        """Return the items whose results the lease of an item shows, in plan order."""
        working = self._working
        if item.subject is not None:
            return [working.work(item.subject)]
        if item.kind is Kind.REVIEW:
            ids = working.get(lookups.PLAN_ITEMS, item.task)
        else:
            ids = [edge.parent for edge in working.get(lookups.PARENTS, item.id)]
        works = [work for work in working.works(ids) if work.status is Status.SUCCEEDED]
        return sorted(works, key=lambda work: (work.created_at, work.ordinal))

    async def _outputs(self, light: dict[int, _Claim]) -> None:
        wanted = {n: _sources_payloads(claim) for n, claim in light.items()}
        bodies = await self._bodies(payload for payloads in wanted.values() for payload in payloads)
        for n, claim in list(light.items()):
            if not claim.has_room(wanted[n], bodies):
                del light[n]
                continue
            for grant, facts, works in zip(claim.granted, claim.facts, claim.sources, strict=True):
                if not works:
                    continue
                outputs = [_output(work, bodies[work.result]) for work in works if work.result is not None]
                if grant.item.kind is not Kind.REVIEW:
                    facts.upstream = outputs
                    continue
                facts.results = outputs
                if grant.item.subject is not None:
                    (work,) = works
                    spec = bodies.get(work.payload)
                    facts.judged = JudgedSubtask(work.id, work.key, None if spec is None else _decode(spec))

    def _body(self, payload: str) -> bytes | None:
        rows = self._working.rows
        body: bytes | None = rows.get((lookups.PAYLOAD, payload)) or rows.get((lookups.LIGHT_PAYLOAD, payload))
        return body

    async def _bodies(self, payloads: Iterable[str | None], beside: Iterable[Key] = ()) -> dict[str | None, bytes]:
        """Return the light payloads, by id; load what the batch does not have, and other rows beside it."""
        rows = self._working.rows
        found: dict[str | None, bytes] = {}
        missing = []
        for payload in dict.fromkeys(payloads):
            if payload is None:
                continue
            body = self._body(payload)
            if body is None:
                missing.append(payload)
            else:
                found[payload] = body
        if missing:
            await self._load([*((lookups.LIGHT_PAYLOAD, payload) for payload in missing), *beside])
            for payload in missing:
                body = rows[lookups.LIGHT_PAYLOAD, payload]
                if body is not None:
                    found[payload] = body
        return found


def _own_payloads(claim: _Claim) -> list[str | None]:
    payloads: list[str | None] = []
    for grant in claim.granted:
        payloads += (grant.of_task.spec, grant.item.payload, grant.item.checkpoint)
    return payloads


def _sources_payloads(claim: _Claim) -> list[str | None]:
    """Return the payloads of the items whose results a claim shows: results, and what reviews of subtasks judge."""
    payloads = [work.result for works in claim.sources for work in works]
    for grant, works in zip(claim.granted, claim.sources, strict=True):
        if grant.item.subject is not None:
            payloads.append(works[0].payload)
    return payloads


def _output(work: Work, body: bytes) -> Output:
    assert work.result_hash is not None, "a result has its hash"
    return Output(work.key, work.result_hash, len(body), body)


def _needs(item: Work, facts: LeaseFacts) -> list[Key]:
    """Return the rows that tell which other items' results the lease of an item shows."""
    depends = item.kind is Kind.REVIEW or (facts.spec is not None and bool(facts.spec.get("depends_on")))
    return _sources(item) if depends else []


def _sources(item: Work) -> list[Key]:
    """Return the rows that tell on which other items an item depends."""
    if item.kind is Kind.REVIEW:
        return [(lookups.PLAN_ITEMS, item.task) if item.subject is None else (lookups.WORK, item.subject)]
    return [(lookups.PARENTS, item.id)]
