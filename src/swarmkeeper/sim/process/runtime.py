"""What the driver of a run of level process (run.py) and its bots (bot.py) share: wall time, its pace, faults, and
transports that write down each answer.

Nothing here is deterministic: the machine schedules processes. Choices are drawn by name, as at the other levels.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from swarmkeeper.core.model import Json
from swarmkeeper.sdk.connection.transport import HttpTransport, Response, Streamed
from swarmkeeper.sim.kernel.faults import KINDS, Fault, Faults
from swarmkeeper.sim.kernel.loop import SECOND, Host, VirtualLoop
from swarmkeeper.sim.kernel.named_choice import NamedChoice
from swarmkeeper.sim.kernel.network import Network
from swarmkeeper.sim.kernel.trace import Trace
from swarmkeeper.sim.oracle.http_answers import HttpModel, HttpRequest, kind_of, segment
from swarmkeeper.sim.play.http.http_edge import HttpEdge, SimTransport
from swarmkeeper.sim.play.scenarios import Bounds, Fleet, Scenario

# A scenario is played so many times as fast as it says: a lease of 30 s lives for 3, an hour takes six minutes.
PACE = 10
# Bots beat once a second at most. A shorter lease would run out whenever the machine is busy.
LEASE_SECONDS_MIN = 2.0
# How much likelier each fault is than at the other levels, by family: a run of wall time has few minutes, and what
# would come once in hours has to come within seconds. There are many attempts in them, so for bots it is less.
BOLD: Mapping[str, float] = {"orch": 60, "bot": 6, "human": 2, "provider": 6}
# What has no counterpart here: no network lies between, disks are real, an answer may take its seven days.
ELSEWHERE = frozenset({"human.after_expiry", "orch.clock_jump", "orch.skew"})


def here(kind: str) -> bool:
    """Whether faults of this kind are there for real processes."""
    return kind.partition(".")[0] in BOLD and kind not in ELSEWHERE


def hurried(scenario: Scenario) -> Scenario:
    """The same scenario at the pace of real processes: every duration shorter, arrivals as much denser."""

    def fleet(of: Fleet) -> Fleet:
        durations = tuple(one / PACE for one in of.durations)
        return replace(of, work_seconds=of.work_seconds / PACE, durations=durations)

    bounds = scenario.bounds
    return replace(
        scenario,
        tasks_per_hour=scenario.tasks_per_hour * PACE,
        hours=scenario.hours / PACE,
        heal_hours=scenario.heal_hours / PACE,
        deadline_seconds=scenario.deadline_seconds / PACE,
        planners=fleet(scenario.planners),
        executors=fleet(scenario.executors),
        evaluators=fleet(scenario.evaluators),
        people=replace(scenario.people, decide_seconds=scenario.people.decide_seconds / PACE),
        bounds=Bounds(
            lease_seconds=max(LEASE_SECONDS_MIN, bounds.lease_seconds / PACE),
            timeout_seconds=max(LEASE_SECONDS_MIN, bounds.timeout_seconds / PACE),
            schedule_to_start_seconds=bounds.schedule_to_start_seconds / PACE,
            answer_seconds=bounds.answer_seconds / PACE,
        ),
        faults=tuple(kind for kind in scenario.faults if here(kind)),
    )


class Wall:
    """Wall time and the real loop, as far as hosts, traces and the model need a loop. Made within the run."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begun = self._loop.time()
        self.over = asyncio.Event()  # something is broken: there is no need to go on

    @property
    def now(self) -> int:
        """Microseconds since the run began."""
        return round((self._loop.time() - self._begun) * SECOND)

    @property
    def loop(self) -> VirtualLoop:
        """Itself, for those who were written for virtual time; they use nothing of a loop that is not here."""
        return cast(VirtualLoop, self)

    def create_task(self, work: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
        return self._loop.create_task(work, **options)

    def bury(self, tasks: list[asyncio.Task[Any]]) -> None:
        for task in tasks:
            task.cancel()

    def stop(self) -> None:
        self.over.set()


class ProcessFaults(Faults):
    """Faults of this level. Those of a bot end once the file `healed` is there."""

    def __init__(
        self,
        choice: NamedChoice,
        trace: Trace,
        scenario: Scenario,
        *,
        only: tuple[str, ...] | None,
        healed: Path,
        struck_before: tuple[str, ...] = (),
    ) -> None:
        super().__init__(choice, trace, kinds=scenario.faults, only=only)
        self._healed = healed
        for name in struck_before:  # in earlier lives of the same bot: what struck once does not strike again
            named, _, n = name.rpartition("#")
            self._met[named] = max(int(n), self._met.get(named, 0))

    def _drawn(self, kinds: Any) -> dict[str, float]:
        drawn = super()._drawn(kinds)
        return {kind: min(0.9, chance * BOLD[kind.partition(".")[0]]) for kind, chance in drawn.items()}

    def strike(self, kind: str, place: str) -> Fault | None:
        assert kind in KINDS, kind
        if not self.healed and self._healed.exists():
            self.heal()
        return super().strike(kind, place) if here(kind) else None


# ---- what is answered ------------------------------------------------------------------------------------------------

# What the check of an answer looks at; all else, above all what bots made, is not kept.
_KEPT = frozenset({"id", "title", "status", "bot_id", "lease_id", "leases", "results", "accepted", "directive"})


@dataclass(frozen=True, slots=True)
class Answered:
    """One request and its answer, as far as they are checked."""

    by: str
    method: str
    path: str
    body: Json
    status: int
    answer: Json
    etag: str
    before: int  # the highest version of the task in question that its reader had been shown before


def _slim(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _slim(one) for name, one in value.items() if name in _KEPT}
    return [_slim(one) for one in value] if isinstance(value, list) else value


class Clerk:
    """Writes down what one party was answered, in the order in which it came."""

    def __init__(self, by: str, note: Callable[[Answered], None]) -> None:
        self._by, self._note = by, note
        self._shown: dict[str, int] = {}  # by task: the highest version

    def before(self, asked: HttpRequest) -> int:
        return self._shown.get(segment(asked.bare, 2), 0) if kind_of(asked) == "look" else 0

    def answered(self, asked: HttpRequest, answer: Response, before: int) -> None:
        kind, good = kind_of(asked), answer.status in (200, 201)
        if not kind and answer.status < 500:
            return
        etag = answer.headers.get("etag", "")
        told = _slim(json.loads(answer.body)) if good and answer.body else {}
        if kind == "look" and good:
            task = segment(asked.bare, 2)
            self._shown[task] = max(self._shown.get(task, 0), int(etag.strip('"')))
        sent = _slim(asked.json) if good else {}
        self._note(Answered(self._by, asked.method, asked.path, sent, answer.status, told, etag, before))


class WireTransport(SimTransport):
    """Fulfils `sdk.transport.Transport`: the SDK's own, over a real connection, with what a simulated bot does to its
    requests (a lease that no heartbeat tells of, a report sent twice), and a clerk who listens."""

    def __init__(self, url: str, host: Host, clerk: Clerk) -> None:
        nowhere: Any = None  # no simulated network carries these
        super().__init__(
            cast("Network[HttpEdge]", nowhere), cast(HttpModel, nowhere), host, source=host.name, connection=host.name
        )
        self._http, self._clerk = HttpTransport(url), clerk

    def _called(self, asked: HttpRequest) -> str:
        return ""

    async def _send(self, asked: HttpRequest, what: str, timeout: float) -> Response:
        before = self._clerk.before(asked)
        answer = await self._http.request(asked.method, asked.path, asked.headers, asked.body, timeout)
        self._clerk.answered(asked, answer, before)
        return answer

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, headers: Mapping[str, str], timeout: float
    ) -> AsyncIterator[Streamed]:
        async with self._http.stream(method, path, headers, timeout) as streamed:
            yield streamed

    async def aclose(self) -> None:
        await self._http.aclose()
