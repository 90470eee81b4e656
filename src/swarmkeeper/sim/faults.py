"""What can go wrong in a run, each fault by a name that says what it is: `kind@site:entity#n`.

Every opportunity has a name and a coin of its own, drawn from the seed and that name. So a run can be repeated with
some of its faults alone, and those meet the same things as before: that is how a failure is shrunk to the one fault
that matters. Each seed plays with some kinds only, each at a strength of its own, so that rare pairs meet too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from swarmkeeper.sim.coins import Coins
from swarmkeeper.sim.coverage import reached
from swarmkeeper.sim.trace import Trace


@dataclass(frozen=True, slots=True)
class Kind:
    chance: float  # for each opportunity, at strength 1
    words: str


# Chances are for each call, attempt, commit, minute or decision, whatever is the opportunity of that kind.
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "bot.crash": Kind(0.01, "the bot's process dies in the middle of an attempt"),
        "bot.vanish": Kind(0.004, "its machine is gone: not even its connections are closed"),
        "bot.freeze": Kind(0.008, "the whole bot stands still, and then goes on as if nothing had been"),
        "bot.hang": Kind(0.006, "the bot's code never ends; its heartbeats go on"),
        "bot.slow": Kind(0.02, "an attempt takes longer than its bounds"),
        "bot.mute": Kind(0.01, "no heartbeat is sent for an attempt"),
        "bot.late": Kind(0.01, "the result is held back, and no heartbeat is sent meanwhile"),
        "bot.duplicate": Kind(0.02, "the same report is sent again later"),
        "bot.garbage": Kind(0.01, "a report of the wrong kind"),
        "bot.oversized": Kind(0.004, "an output far larger than others"),
        "bot.wrong_schema": Kind(0.01, "a plan or verdict that cannot be read"),
        "bot.wrong_fence": Kind(0.01, "a report under a lease that the bot had before"),
        "bot.zombie": Kind(0.006, "a bot is replaced, and the old process works on"),
        "bot.secret": Kind(0.02, "a result, or the words of a failure, has a secret in it"),
        "net.lose_request": Kind(0.01, "a request never arrives"),
        "net.lose_reply": Kind(0.01, "a request is carried out, its answer never arrives"),
        "net.delay": Kind(0.01, "a request arrives much later"),
        "net.reorder": Kind(0.02, "a request is overtaken by later ones"),
        "net.duplicate": Kind(0.01, "a request arrives twice"),
        "net.reset": Kind(0.006, "the connection breaks while the request is carried out"),
        "net.partition_out": Kind(0.001, "nothing that one sends arrives, for a time"),
        "net.partition_in": Kind(0.001, "nothing that is sent to one arrives, for a time"),
        "store.busy": Kind(0.001, "another process keeps the store locked"),
        "store.full": Kind(0.001, "the disk is full at a commit"),
        "store.io_error": Kind(0.001, "a commit ends with an input/output error"),
        "store.stale": Kind(0.002, "another writer was first, and the batch is run again"),
        "store.stall": Kind(0.001, "a commit takes very long"),
        "store.crash_before": Kind(0.0006, "the orchestrator dies before a commit"),
        "store.crash_after": Kind(0.0006, "the orchestrator dies after a commit, before it answers"),
        "orch.crash": Kind(0.004, "the orchestrator dies"),
        "orch.pause": Kind(0.006, "the orchestrator stands still"),
        "orch.upgrade": Kind(0.003, "the orchestrator is stopped in order, and another takes over"),
        "orch.clock_jump": Kind(0.01, "the wall clock jumps, forward or back"),
        "orch.skew": Kind(0.004, "its clocks run up to a fifth too fast or too slow, for a time"),
        "broker.lose": Kind(0.02, "a hint to look again is lost"),
        "broker.duplicate": Kind(0.02, "a hint comes twice"),
        "broker.reorder": Kind(0.02, "a hint comes late, behind those after it"),
        "human.late": Kind(0.1, "a person decides long after being asked"),
        "human.twice": Kind(0.1, "a person decides the same thing twice, or changes their mind"),
        "human.after_expiry": Kind(0.05, "a person decides after the time to do so"),
        "provider.storm": Kind(0.004, "for a time, every call of the bots' provider is refused: too many requests"),
        "provider.spike": Kind(0.02, "an attempt uses a hundred times as much as others"),
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One that struck."""

    name: str
    coins: Coins

    def amount(self, base: float) -> float:
        """How long or how much, measured by a bound of the system itself: 0.1 to 3 times of it."""
        return base * self.coins.spread(0.1, 3.0, "amount", self.name)

    def unit(self, what: str) -> float:
        return self.coins.unit(what, self.name)


class Faults:
    def __init__(
        self, coins: Coins, trace: Trace, *, kinds: Collection[str] = tuple(KINDS), only: Collection[str] | None = None
    ) -> None:
        """With `only`, exactly the faults of these names strike, where their opportunities come."""
        unknown = sorted(set(kinds) - KINDS.keys())
        if unknown:
            raise ValueError(f"there are no faults of the kinds {', '.join(unknown)}")
        self._coins, self._trace = coins, trace
        self._only = None if only is None else frozenset(only)
        self._only_kinds = frozenset(name.partition("@")[0] for name in only or ())
        self._chances = {} if only is not None else self._drawn(kinds)
        self._met: dict[str, int] = {}  # opportunities of each name so far
        self.struck: list[str] = []
        self.healed = False

    def _drawn(self, kinds: Collection[str]) -> dict[str, float]:
        """This seed's kinds and their chances: about half of the kinds, from a quarter to four times as often."""
        return {
            kind: KINDS[kind].chance * self._coins.spread(0.25, 4.0, "strength", kind)
            for kind in KINDS
            if kind in kinds and self._coins.hit(0.5, "kind", kind)
        }

    def strike(self, kind: str, place: str) -> Fault | None:
        """Whether a fault of this kind strikes here and now. `place` is `site:entity`."""
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
        elif not self._coins.hit(chance, "fault", name):
            return None
        self.struck.append(name)
        self._trace("fault", place.rpartition(":")[2], name)
        reached(f"fault {kind}")
        return Fault(name, self._coins)

    def heal(self) -> None:
        """From now on nothing goes wrong any more."""
        self.healed = True
