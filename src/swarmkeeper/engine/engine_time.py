"""Engine time: the engine's clock. It never goes back, and follows the wall clock as closely as possible.

Theory. Events, queue positions and timers need a time that only goes forward; people need a time that is right. So
engine time starts at the wall clock, or where the last run ended if that is later, and advances with the monotonic
clock. The wall clock may be set meanwhile, or may have been wrong when the last run ended:

- The wall clock is ahead (it was set forward, or the machine slept): engine time jumps to it at once. Leases keep
  their remaining time, or bots that send heartbeats in time would lose them; deadlines and waits follow the clock.
- The wall clock is behind by up to an hour: engine time runs slower by a tenth until both agree.
- The wall clock is behind by more: engine time cannot agree without going back. It runs on, and reports how far it is
  ahead; an operator can set it back while no server runs (`offline_admin.reset_clock`).
"""

from __future__ import annotations

from swarmkeeper.core.ports import Clock

SECOND = 1_000_000
FOLLOWED_FROM = SECOND  # each jump costs a statement in the store; a smaller difference does not matter
SLOWED_UP_TO = 3600 * SECOND  # catching up takes ten hours; a lead of days would take months
SLOWER_BY = 10  # slow by one part in ten
APART = 60 * SECOND  # a larger lead is logged


class EngineTime:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._base = self._base_monotonic = 0
        self._slow = False

    def start(self, reached: int) -> None:
        """Start the clock. `reached` is the engine time at which the last run ended."""
        self._go_on_from(max(self._clock.now(), reached))

    def now(self) -> int:
        passed = self._clock.monotonic() - self._base_monotonic
        return self._base + passed - (passed // SLOWER_BY if self._slow else 0)

    def ahead(self) -> int:
        """Return the lead over the wall clock in microseconds; negative if behind."""
        return self.now() - self._clock.now()

    def follow(self) -> int:
        """Adjust to the wall clock; return by how many microseconds it jumped forward. Call this every few seconds."""
        now = self.now()
        ahead = now - self._clock.now()
        if ahead < -FOLLOWED_FROM:
            self._go_on_from(now - ahead)
            self._slow = False
            return -ahead
        self._go_on_from(now)
        self._slow = (0 if self._slow else SECOND) < ahead <= SLOWED_UP_TO
        return 0

    def _go_on_from(self, moment: int) -> None:
        self._base, self._base_monotonic = moment, self._clock.monotonic()
