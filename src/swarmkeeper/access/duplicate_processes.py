"""Detects that two processes poll as the same bot. In memory.

Each process sends its own name with every poll. If a process polls again after another one did, both are alive. A
process that was restarted does not poll again.
"""

from __future__ import annotations

BOTS_MAX = 20_000
EARLIER_MAX = 8  # processes remembered for each bot


class Processes:
    def __init__(self) -> None:
        self._of_bot: dict[str, list[str]] = {}  # processes by bot id, the latest last

    def another(self, bot_id: str, process: str | None) -> bool:
        """Record a poll; return True if another process also polls as this bot."""
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
