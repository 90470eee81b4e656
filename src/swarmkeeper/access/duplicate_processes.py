"""Notices that two processes poll as one bot, and so do the work of one. In memory.

Each process names itself by a word of its own with every poll. One that comes back after another has polled shows that
both are alive; one that was restarted is never heard of again.
"""

from __future__ import annotations

BOTS_MAX = 20_000
EARLIER_MAX = 8  # processes remembered of one bot


class Processes:
    def __init__(self) -> None:
        self._of_bot: dict[str, list[str]] = {}  # the latest last

    def another(self, bot_id: str, process: str | None) -> bool:
        """Note a poll; True where another process polls as the same bot, too."""
        if process is None:
            return False
        known = self._of_bot.get(bot_id)
        if known is None:
            if len(self._of_bot) >= BOTS_MAX:
                del self._of_bot[next(iter(self._of_bot))]
            self._of_bot[bot_id] = [process]
            return False
        if known[-1] == process:
            return False
        came_back = process in known
        if came_back:
            known.remove(process)
        known.append(process)
        del known[:-EARLIER_MAX]
        return came_back

    def forget(self, bot_id: str) -> None:
        self._of_bot.pop(bot_id, None)
