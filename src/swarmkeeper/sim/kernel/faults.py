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

# Kinds of faults, with their chance per opportunity at strength 1. An opportunity is a call, an attempt, a commit, a
# minute or a decision, depending on the kind.
KINDS: Mapping[str, float] = MappingProxyType(
    {
        "bot.crash": 0.01,  # the bot's process dies in the middle of an attempt
        "bot.vanish": 0.004,  # the bot's machine is gone: not even its connections are closed
        "bot.freeze": 0.008,  # the whole bot stops, and continues later as if nothing had happened
        "bot.hang": 0.006,  # the bot's code never ends; its heartbeats continue
        "bot.slow": 0.02,  # an attempt takes longer than its timeout
        "bot.mute": 0.01,  # no heartbeat is sent for an attempt
        "bot.late": 0.01,  # the result is held back, and no heartbeat is sent meanwhile
        "bot.duplicate": 0.02,  # the same report is sent again later
        "bot.garbage": 0.01,  # a report of the wrong kind
        "bot.oversized": 0.004,  # an output far larger than others
        "bot.wrong_schema": 0.01,  # a plan or verdict that cannot be read
        "bot.wrong_fence": 0.01,  # a report under an earlier lease of the bot
        "bot.zombie": 0.006,  # a bot is replaced, and the old process continues
        "bot.secret": 0.02,  # a result or a failure message contains a secret
        "net.lose_request": 0.01,  # a request never arrives
        "net.lose_reply": 0.01,  # a request is carried out, but its answer never arrives
        "net.delay": 0.01,  # a request arrives much later
        "net.reorder": 0.02,  # a request is overtaken by later ones
        "net.duplicate": 0.01,  # a request arrives twice
        "net.reset": 0.006,  # the connection breaks while the request is carried out
        "net.partition_out": 0.001,  # nothing that a participant sends arrives, for a time
        "net.partition_in": 0.001,  # nothing that is sent to a participant arrives, for a time
        "store.busy": 0.001,  # another process keeps the store locked
        "store.full": 0.001,  # the disk is full at a commit
        "store.io_error": 0.001,  # a commit ends with an input/output error
        "store.stale": 0.002,  # another writer was first, and the batch is run again
        "store.stall": 0.001,  # a commit takes very long
        "store.crash_before": 0.0006,  # the orchestrator dies before a commit
        "store.crash_after": 0.0006,  # the orchestrator dies after a commit, before it answers
        "orch.crash": 0.004,  # the orchestrator dies
        "orch.pause": 0.006,  # the orchestrator stops for a time
        "orch.upgrade": 0.003,  # the orchestrator is stopped gracefully, and another takes over
        "orch.clock_jump": 0.01,  # the wall clock jumps, forward or back
        "orch.skew": 0.004,  # its clocks run up to a fifth too fast or too slow, for a time
        "broker.lose": 0.02,  # a wake-up hint is lost
        "broker.duplicate": 0.02,  # a wake-up hint arrives twice
        "broker.reorder": 0.02,  # a wake-up hint arrives late, after later ones
        "human.late": 0.1,  # a person decides long after being asked
        "human.twice": 0.1,  # a person sends a decision twice, or changes it
        "human.after_expiry": 0.05,  # a person decides after the approval has expired
        "provider.storm": 0.004,  # for a time, the bots' provider refuses every call: too many requests
        "provider.spike": 0.02,  # an attempt uses a hundred times as many tokens as others
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
            raise ValueError(f"unknown kinds of faults: {', '.join(unknown)}")
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
            kind: KINDS[kind] * self._choice.spread(0.25, 4.0, "strength", kind)
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
