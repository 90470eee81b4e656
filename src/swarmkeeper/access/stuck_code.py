"""What bots last reported about code that does not end. In memory: bots repeat it with each heartbeat."""

from __future__ import annotations

from collections.abc import Sequence

from swarmkeeper.core.rules.stuck import Stuck


class StuckCodeRegistry:
    def __init__(self) -> None:
        self._of_bot: dict[str, tuple[Stuck, ...]] = {}

    def report(self, bot_id: str, stuck: Sequence[Stuck]) -> None:
        """Replace what is known about the bot by the content of a heartbeat."""
        if stuck:
            self._of_bot[bot_id] = tuple(stuck)
        else:
            self._of_bot.pop(bot_id, None)

    def of(self, bot_id: str) -> tuple[Stuck, ...]:
        return self._of_bot.get(bot_id, ())

    def forget(self, bot_id: str) -> None:
        self._of_bot.pop(bot_id, None)
