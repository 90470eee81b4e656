"""What bots last said of their code that does not end. In memory: they say it again with each beat."""

from __future__ import annotations

from collections.abc import Sequence

from swarmkeeper.core.rules.stuck import Stuck


class StuckCode:
    def __init__(self) -> None:
        self._of_bot: dict[str, tuple[Stuck, ...]] = {}

    def told(self, bot_id: str, stuck: Sequence[Stuck]) -> None:
        """Note what a beat says: all of it, each time."""
        if stuck:
            self._of_bot[bot_id] = tuple(stuck)
        else:
            self._of_bot.pop(bot_id, None)

    def of(self, bot_id: str) -> tuple[Stuck, ...]:
        return self._of_bot.get(bot_id, ())

    def forget(self, bot_id: str) -> None:
        self._of_bot.pop(bot_id, None)
