"""Faults of a run. Each has a descriptive name: `kind@site:entity#n`.

Whether a fault strikes at an opportunity is drawn from the seed and the fault's name. So a run can be repeated with
only some of its faults, and these strike in the same situations as before: this makes it possible to shrink a failure
to the one fault that matters. Each seed uses only some kinds, each at its own strength, so that rare pairs also occur.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from swarmkeeper.sim.kernel.coverage import reached
from swarmkeeper.sim.kernel.named_choice import NamedChoice
from swarmkeeper.sim.kernel.trace import Trace


@dataclass(frozen=True, slots=True)
class FaultKind:
    chance: float  # per opportunity, at strength 1
    words: str


# An opportunity is a call, an attempt, a commit, a minute or a decision, depending on the kind.
KINDS: Mapping[str, FaultKind] = MappingProxyType(
    {
        "bot.crash": FaultKind(0.01, "the bot's process dies in the middle of an attempt"),
        "bot.vanish": FaultKind(0.004, "its machine is gone: not even its connections are closed"),
        "bot.freeze": FaultKind(0.008, "the whole bot stands still, and then goes on as if nothing had been"),
        "bot.hang": FaultKind(0.006, "the bot's code never ends; its heartbeats go on"),
        "bot.slow": FaultKind(0.02, "an attempt takes longer than its bounds"),
        "bot.mute": FaultKind(0.01, "no heartbeat is sent for an attempt"),
        "bot.late": FaultKind(0.01, "the result is held back, and no heartbeat is sent meanwhile"),
        "bot.duplicate": FaultKind(0.02, "the same report is sent again later"),
        "bot.garbage": FaultKind(0.01, "a report of the wrong kind"),
        "bot.oversized": FaultKind(0.004, "an output far larger than others"),
        "bot.wrong_schema": FaultKind(0.01, "a plan or verdict that cannot be read"),
        "bot.wrong_fence": FaultKind(0.01, "a report under a lease that the bot had before"),
        "bot.zombie": FaultKind(0.006, "a bot is replaced, and the old process works on"),
        "bot.secret": FaultKind(0.02, "a result, or the words of a failure, has a secret in it"),
        "net.lose_request": FaultKind(0.01, "a request never arrives"),
        "net.lose_reply": FaultKind(0.01, "a request is carried out, its answer never arrives"),
        "net.delay": FaultKind(0.01, "a request arrives much later"),
        "net.reorder": FaultKind(0.02, "a request is overtaken by later ones"),
        "net.duplicate": FaultKind(0.01, "a request arrives twice"),
        "net.reset": FaultKind(0.006, "the connection breaks while the request is carried out"),
        "net.partition_out": FaultKind(0.001, "nothing that one sends arrives, for a time"),
        "net.partition_in": FaultKind(0.001, "nothing that is sent to one arrives, for a time"),
        "store.busy": FaultKind(0.001, "another process keeps the store locked"),
        "store.full": FaultKind(0.001, "the disk is full at a commit"),
        "store.io_error": FaultKind(0.001, "a commit ends with an input/output error"),
        "store.stale": FaultKind(0.002, "another writer was first, and the batch is run again"),
        "store.stall": FaultKind(0.001, "a commit takes very long"),
        "store.crash_before": FaultKind(0.0006, "the orchestrator dies before a commit"),
        "store.crash_after": FaultKind(0.0006, "the orchestrator dies after a commit, before it answers"),
        "orch.crash": FaultKind(0.004, "the orchestrator dies"),
        "orch.pause": FaultKind(0.006, "the orchestrator stands still"),
        "orch.upgrade": FaultKind(0.003, "the orchestrator is stopped in order, and another takes over"),
        "orch.clock_jump": FaultKind(0.01, "the wall clock jumps, forward or back"),
        "orch.skew": FaultKind(0.004, "its clocks run up to a fifth too fast or too slow, for a time"),
        "broker.lose": FaultKind(0.02, "a hint to look again is lost"),
        "broker.duplicate": FaultKind(0.02, "a hint comes twice"),
        "broker.reorder": FaultKind(0.02, "a hint comes late, behind those after it"),
        "human.late": FaultKind(0.1, "a person decides long after being asked"),
        "human.twice": FaultKind(0.1, "a person decides the same thing twice, or changes their mind"),
        "human.after_expiry": FaultKind(0.05, "a person decides after the time to do so"),
        "provider.storm": FaultKind(
            0.004, "for a time, every call of the bots' provider is refused: too many requests"
        ),
        "provider.spike": FaultKind(0.02, "an attempt uses a hundred times as much as others"),
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that struck."""

    name: str
    choice: NamedChoice

    def amount(self, base: float) -> float:
        """Return a duration or amount between 0.1 and 3 times `base`, a bound of the system."""
        return base * self.choice.spread(0.1, 3.0, "amount", self.name)

    def unit(self, purpose: str) -> float:
        return self.choice.unit(purpose, self.name)


class Faults:
    def __init__(
        self,
        choice: NamedChoice,
        trace: Trace,
        *,
        kinds: Collection[str] = tuple(KINDS),
        only: Collection[str] | None = None,
    ) -> None:
        """With `only`, exactly the faults of these names strike, at their opportunities.

        Raises:
            ValueError: a kind is unknown.
        """
        unknown = sorted(set(kinds) - KINDS.keys())
        if unknown:
            raise ValueError(f"there are no faults of the kinds {', '.join(unknown)}")
        self._choice, self._trace = choice, trace
        self._only = None if only is None else frozenset(only)
        self._only_kinds = frozenset(name.partition("@")[0] for name in only or ())
        self._chances = {} if only is not None else self._drawn(kinds)
        self._met: dict[str, int] = {}  # opportunities of each name so far
        self.struck: list[str] = []
        self.healed = False

    def _drawn(self, kinds: Collection[str]) -> dict[str, float]:
        """Return the kinds of this seed and their chances: about half of `kinds`, at strengths from 0.25 to 4."""
        return {
            kind: KINDS[kind].chance * self._choice.spread(0.25, 4.0, "strength", kind)
            for kind in KINDS
            if kind in kinds and self._choice.hit(0.5, "kind", kind)
        }

    def strike(self, kind: str, place: str) -> Fault | None:
        """Return the fault if one of this kind strikes now, else None. `place` is `site:entity`."""
        if self.healed:
            return None
        chance = self._chances.get(kind, 0.0)
        if not chance and kind not in self._only_kinds:
            return None
        named = f"{kind}@{place}"
        self._met[named] = n = self._met.get(named, 0) + 1
        name = f"{named}#{n}"
        if self._only is not None:
            if name not in self._only:
                return None
        elif not self._choice.hit(chance, "fault", name):
            return None
        self.struck.append(name)
        self._trace("fault", place.rpartition(":")[2], name)
        reached(f"fault {kind}")
        return Fault(name, self._choice)

    def heal(self) -> None:
        """From now on, no fault strikes."""
        self.healed = True
