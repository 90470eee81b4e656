"""What an answer with leases shows beside the leases, gathered by the batch that grants them.

So nothing is read after the commit. Most of it is in memory: a subtask is usually leased soon after the plan and the
results that it needs were written. The rest is loaded in the batch's transaction. Claims that show much, or items that
were leased before, are left to `reads/lease_views.py`, so that they do not hold up other commands.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

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

    def fits(self, body: bytes | None) -> bool:
        """Whether a payload is loaded, and there is room for it."""
        if body is None:
            return False
        self.left -= len(body)
        return self.left >= 0


class FactsGatherer:
    """Gathers the facts of a batch's leases from its rows.

    Args:
        load: loads those of the given rows that are missing, within the batch's transaction, and adds them to
            `working`. It must see all changes of the batch.
    """

    def __init__(self, working: WorkingSet, load: Load) -> None:
        self._working = working
        self._load = load

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
            else tuple(replace(grant, facts=facts) for grant, facts in zip(granted, light[n].facts, strict=True))
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
        def shown(grant: Granted) -> list[str]:
            ids = (grant.of_task.spec, grant.item.payload, grant.item.checkpoint)
            return [payload for payload in ids if payload is not None]

        leases = [grant for claim in light.values() for grant in claim.granted]
        await self._load_bodies(payload for grant in leases for payload in shown(grant))
        for n, claim in list(light.items()):
            if not all(claim.fits(self._body(payload)) for grant in claim.granted for payload in shown(grant)):
                del light[n]
                continue
            for grant in claim.granted:
                spec, item = self._body(grant.item.payload), grant.item
                planned = None if spec is None else _decode(spec)
                claim.facts.append(LeaseFacts(self._body(grant.of_task.spec), planned, self._body(item.checkpoint)))

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
        def shown(claim: _Claim) -> list[str]:
            ids = [work.result for works in claim.sources for work in works]
            ids += [work.payload for works in self._judged(claim) for work in works]
            return [payload for payload in ids if payload is not None]

        await self._load_bodies(payload for claim in light.values() for payload in shown(claim))
        for n, claim in list(light.items()):
            if not all(claim.fits(self._body(payload)) for payload in shown(claim)):
                del light[n]
                continue
            for grant, facts, works in zip(claim.granted, claim.facts, claim.sources, strict=True):
                outputs = [self._output(work) for work in works if work.result is not None]
                if grant.item.kind is Kind.REVIEW:
                    facts.results = outputs
                else:
                    facts.upstream = outputs
                if grant.item.subject is not None:
                    (work,) = works
                    spec = self._body(work.payload)
                    facts.judged = JudgedSubtask(work.id, work.key, None if spec is None else _decode(spec))

    @staticmethod
    def _judged(claim: _Claim) -> list[list[Work]]:
        pairs = zip(claim.granted, claim.sources, strict=True)
        return [works for grant, works in pairs if grant.item.subject is not None]

    # ---- payloads ----------------------------------------------------------------------------------------------------

    async def _load_bodies(self, payloads: Iterable[str]) -> None:
        missing = [payload for payload in dict.fromkeys(payloads) if self._body(payload) is None]
        if missing:
            await self._load([lookups.LIGHT_PAYLOAD.of(payload) for payload in missing])

    def _body(self, payload: str | None) -> bytes | None:
        if payload is None:
            return None
        body = self._working.known(lookups.PAYLOAD, payload)  # written by this batch
        return self._working.known(lookups.LIGHT_PAYLOAD, payload) if body is None else body

    def _output(self, work: Work) -> Output:
        body = self._body(work.result)
        assert body is not None, "a result in an answer is loaded"
        assert work.result_hash is not None, "a result has its hash"
        return Output(work.key, work.result_hash, len(body), body)


def _needs(item: Work, facts: LeaseFacts) -> list[Key]:
    """Return the rows that tell which other items' results the lease of an item shows."""
    if item.kind is Kind.REVIEW:
        return [lookups.PLAN_ITEMS.of(item.task) if item.subject is None else lookups.WORK.of(item.subject)]
    if facts.spec is not None and facts.spec.get("depends_on"):
        return [lookups.PARENTS.of(item.id)]
    return []
