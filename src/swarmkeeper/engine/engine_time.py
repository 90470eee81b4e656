"""Engine time: what the engine takes for now. It never goes back, and agrees with the wall clock as far as it can.

Theory. Events, places and timers need a time that only goes forward; people need one that is right. So engine time
begins at the wall clock, or where the last run ended if that is later, and goes on by the monotonic clock. The wall
clock may be set meanwhile, or have been wrong when the last run ended:

- It is ahead of engine time (it was set forward, or the machine slept): engine time is moved there at once. As much is
  left of leases as before, or bots that beat in time would lose them; deadlines and waits go by the clock.
- It is behind by up to an hour: engine time goes slower by a tenth until both agree.
- It is behind by more: there is no way to agree without going back. Engine time goes on as it is, and says how far it
  is ahead; setting it back is done by hand, while no server runs (`console.reset_clock`).
"""

from __future__ import annotations

from swarmkeeper.core.ports import Clock

SECOND = 1_000_000
FOLLOWED_FROM = SECOND  # each time costs the store a statement; nobody notices less
SLOWED_UP_TO = 3600 * SECOND  # takes ten hours; what is ahead by days would run slow for months
SLOWER_BY = 10  # one part in so many
APART = 60 * SECOND  # from here on it is told


class EngineTime:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._base = self._base_monotonic = 0
        self._slow = False

    def start(self, reached: int) -> None:
        """Begin. `reached` is where the last run ended."""
        self._go_on_from(max(self._clock.now(), reached))

    def now(self) -> int:
        passed = self._clock.monotonic() - self._base_monotonic
        return self._base + passed - (passed // SLOWER_BY if self._slow else 0)

    def ahead(self) -> int:
        """By how much it is ahead of the wall clock; below 0, behind."""
        return self.now() - self._clock.now()

    def follow(self) -> int:
        """Come nearer to the wall clock; by how much it was moved forward for that. To be called every few seconds."""
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
