"""Shared code of the driver (run.py) and the bots (bot.py) of level process: wall time, pace, faults, and transports
that record each answer.

Timing is not deterministic, because the machine schedules processes. Choices are drawn by name, as at other levels.
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

# Speed-up of a scenario: a lease of 30 s has a TTL of 3 s, an hour takes six minutes.
PACE = 10
# Bots beat once a second at most. A shorter lease would run out whenever the machine is busy.
LEASE_SECONDS_MIN = 2.0
# How much likelier each fault is than at the other levels, by family. A run lasts only minutes of wall time, so a fault
# that strikes once in hours must strike within seconds. Faults of bots are per attempt, and attempts are many.
CHANCE_FACTORS: Mapping[str, float] = {"orch": 60, "bot": 6, "human": 2, "provider": 6}
# Faults without a counterpart here: clocks are real, and an answer may take its seven days. Faults of the network and
# of the store have no factor above: there is no simulated network, and disks are real.
UNSUPPORTED = frozenset({"human.after_expiry", "orch.clock_jump", "orch.skew"})


def is_supported(kind: str) -> bool:
    """Whether faults of this kind can strike real processes."""
    return kind.partition(".")[0] in CHANCE_FACTORS and kind not in UNSUPPORTED


def sped_up(scenario: Scenario) -> Scenario:
    """Return the scenario sped up by `PACE`: durations are shorter, and tasks arrive more often."""

    def fleet(of: Fleet) -> Fleet:
        durations = tuple(seconds / PACE for seconds in of.durations)
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
        faults=tuple(kind for kind in scenario.faults if is_supported(kind)),
    )


class Wall:
    """Wall time and the real loop, with the interface that hosts, traces and the model need. Create it in the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begun = self._loop.time()
        self.over = asyncio.Event()  # set at the first violation

    @property
    def now(self) -> int:
        """Microseconds since the run began."""
        return round((self._loop.time() - self._begun) * SECOND)

    @property
    def loop(self) -> VirtualLoop:
        """This object as a `VirtualLoop`, for code that uses only the methods defined here."""
        return cast(VirtualLoop, self)

    def create_task(self, work: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
        return self._loop.create_task(work, **options)

    def bury(self, tasks: list[asyncio.Task[Any]]) -> None:
        for task in tasks:
            task.cancel()

    def stop(self) -> None:
        self.over.set()


class ProcessFaults(Faults):
    """Faults of this level. They stop once the file `healed` exists."""

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
        for name in struck_before:  # in earlier processes of this bot: a fault strikes once
            named, _, n = name.rpartition("#")
            self._met[named] = max(int(n), self._met.get(named, 0))

    def _drawn(self, kinds: Any) -> dict[str, float]:
        drawn = super()._drawn(kinds)
        return {kind: min(0.9, chance * CHANCE_FACTORS[kind.partition(".")[0]]) for kind, chance in drawn.items()}

    def strike(self, kind: str, place: str) -> Fault | None:
        assert kind in KINDS, f"unknown kind of fault: {kind}"
        if not self.healed and self._healed.exists():
            self.heal()
        return super().strike(kind, place) if is_supported(kind) else None


# ---- answers ---------------------------------------------------------------------------------------------------------

# Fields that the checks of answers read. Others, above all the output of bots, are not kept.
_KEPT = frozenset({"id", "title", "status", "bot_id", "lease_id", "leases", "results", "accepted", "directive"})


@dataclass(frozen=True, slots=True)
class ObservedCall:
    """One request and its answer, reduced to the checked fields."""

    by: str
    method: str
    path: str
    body: Json
    status: int
    answer: Json
    etag: str
    before: int  # the highest version of the task that this reader had seen before


def _checked_fields(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _checked_fields(item) for name, item in value.items() if name in _KEPT}
    return [_checked_fields(item) for item in value] if isinstance(value, list) else value


class AnswerRecorder:
    """Records the answers that one participant received, in order."""

    def __init__(self, by: str, note: Callable[[ObservedCall], None]) -> None:
        self._by, self._note = by, note
        self._shown: dict[str, int] = {}  # task -> highest version shown

    def before(self, request: HttpRequest) -> int:
        return self._shown.get(segment(request.bare, 2), 0) if kind_of(request) == "look" else 0

    def answered(self, request: HttpRequest, answer: Response, before: int) -> None:
        kind, good = kind_of(request), answer.status in (200, 201)
        if not kind and answer.status < 500:
            return
        etag = answer.headers.get("etag", "")
        content = _checked_fields(json.loads(answer.body)) if good and answer.body else {}
        if kind == "look" and good:
            task = segment(request.bare, 2)
            self._shown[task] = max(self._shown.get(task, 0), int(etag.strip('"')))
        sent = _checked_fields(request.json) if good else {}
        self._note(ObservedCall(self._by, request.method, request.path, sent, answer.status, content, etag, before))


class WireTransport(SimTransport):
    """Implements the SDK's `Transport` by its own transport over a real connection. Adds the faults of a
    simulated bot (muted leases, reports sent twice), and records answers."""

    def __init__(self, url: str, host: Host, recorder: AnswerRecorder) -> None:
        no_network: Any = None  # there is no simulated network
        super().__init__(
            cast("Network[HttpEdge]", no_network),
            cast(HttpModel, no_network),
            host,
            source=host.name,
            connection=host.name,
        )
        self._http, self._recorder = HttpTransport(url), recorder

    def _request_name(self, request: HttpRequest) -> str:
        return ""

    async def _send(self, request: HttpRequest, what: str, timeout: float) -> Response:
        before = self._recorder.before(request)
        answer = await self._http.request(request.method, request.path, request.headers, request.body, timeout)
        self._recorder.answered(request, answer, before)
        return answer

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, headers: Mapping[str, str], timeout: float
    ) -> AsyncIterator[Streamed]:
        async with self._http.stream(method, path, headers, timeout) as streamed:
            yield streamed

    async def aclose(self) -> None:
        await self._http.aclose()
