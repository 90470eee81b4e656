"""Counts refused calls, and reads of outputs, keys and evidence, for the audit log: few records, each with a count.

A caller can be refused, or read, any number of times. So there is at most one record a minute for each key and reason;
for each key and task whose outputs, or bodies of records, it reads; and for each source of calls without a valid key.
Of these, at most one is written a second. Nothing is written while a call waits. What is counted but not written is
lost if the process dies.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from swarmkeeper.core.commands import ENGINE, Command, NoteKeyUses, NoteReads, NoteRefusals
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.model import Principal
from swarmkeeper.core.sessions.commands import NoteSessionUses

SECOND = 1_000_000
MINUTE = 60 * SECOND
KINDS_MAX = 10_000  # kinds of refusals, sources, and reads that are counted separately
READS_AT_ONCE = 200  # records of a second
# The tenant in whose log refusals without a valid key are: that of the first key.
DEFAULT_TENANT = "default"
OTHERS = "others"  # sources beyond KINDS_MAX

DoAll = Callable[[Sequence[Command[Any]]], Awaitable[Sequence[Any]]]


@dataclass(slots=True)
class _Counted:
    by: Principal
    action: str
    began: int
    count: int = 0
    written_at: int | None = None

    def is_due(self, now: int) -> bool:
        return self.written_at is None or now - self.written_at >= MINUTE


class Accesses:
    """Also notes when keys were last used, about once a minute."""

    def __init__(self, now: Callable[[], int], wall: Callable[[], int]) -> None:
        """
        Args:
            now: monotonic time in microseconds.
            wall: the wall clock, likewise.
        """
        self._now, self._wall = now, wall
        self.used = set[str]()  # ids of the keys that were used and not noted yet
        self.sessions: dict[str, int] = {}  # likewise sessions, with the time; the dictionary of access/sessions/
        self._uses_noted_at = now()
        self._refusals: dict[tuple[str, str], _Counted] = {}  # by key and code
        self._strangers: dict[str, _Counted] = {}  # by source
        self._reads: dict[tuple[str, str, str | None], _Counted] = {}  # by key, action and task

    def refused(self, by: Principal, code: str, action: str) -> None:
        """Count a refused call with a key that is known."""
        noted = self._refusals.get((by.key_id, code))
        if noted is None:
            if len(self._refusals) >= KINDS_MAX:
                del self._refusals[next(iter(self._refusals))]
            noted = self._refusals[by.key_id, code] = _Counted(by, action, self._now())
        noted.count += 1
        noted.action = action

    def strange(self, source: str) -> None:
        """Count a call without a key that is known."""
        if source not in self._strangers and len(self._strangers) >= KINDS_MAX:
            source = OTHERS
        noted = self._strangers.get(source)
        if noted is None:
            by = replace(ENGINE, tenant=DEFAULT_TENANT)
            noted = self._strangers[source] = _Counted(by, "authenticate", self._now())
        noted.count += 1

    def read(self, by: Principal, action: str, task: str | None = None) -> None:
        """Count a read; other threads may call this, too."""
        key = (by.key_id, action, task)
        noted = self._reads.get(key)
        if noted is None:
            if len(self._reads) >= KINDS_MAX:
                key = (by.key_id, action, None)  # counted together
            noted = self._reads.setdefault(key, _Counted(by, action, self._now()))
        noted.count += 1

    async def write(self, do_all: DoAll, *, at_once: bool = False) -> None:
        """Have written what is due. Call it each second, and with `at_once` before the end.

        Raises:
            SwarmkeeperError: from the engine; what was not written stays due.
        """
        now = self._now()
        await self._write_refusals(do_all, now)
        await self._write_reads(do_all, now, at_once=at_once)
        if (self.used or self.sessions) and (at_once or now - self._uses_noted_at >= MINUTE):
            await self._note_uses(do_all, now)

    async def _note_uses(self, do_all: DoAll, now: int) -> None:
        used, self.used = self.used, set()
        sessions = dict(self.sessions)
        commands: list[Command[Any]] = []
        if used:
            commands.append(NoteKeyUses(by=ENGINE, uses=dict.fromkeys(sorted(used), self._wall())))
        if sessions:
            commands.append(NoteSessionUses(by=ENGINE, uses=sessions))
        for answer in await do_all(commands):
            if isinstance(answer, SwarmkeeperError):
                self.used |= used
                raise answer
        for session in sessions:
            self.sessions.pop(session, None)
        self._uses_noted_at = now

    async def _write_refusals(self, do_all: DoAll, now: int) -> None:
        due: list[tuple[_Counted, NoteRefusals]] = []
        for (key, code), noted in list(self._refusals.items()):
            if noted.is_due(now):
                if noted.count:
                    due.append((noted, _refusal(noted, code)))
                else:
                    del self._refusals[key, code]
        for source, noted in list(self._strangers.items()):
            if noted.is_due(now):
                if noted.count:
                    due.append((noted, _refusal(noted, "authentication_failed", source)))
                    del self._strangers[source]  # to its end, so that each source has its turn
                    self._strangers[source] = noted
                    break
                del self._strangers[source]
        await _write(do_all, due, now)

    async def _write_reads(self, do_all: DoAll, now: int, *, at_once: bool) -> None:
        due: list[tuple[_Counted, NoteReads]] = []
        for key, noted in list(self._reads.items()):
            if not at_once and (now - noted.began < MINUTE or len(due) >= READS_AT_ONCE):
                break  # the others began later
            del self._reads[key]
            due.append((noted, NoteReads(by=noted.by, action=noted.action, task=key[2], count=noted.count)))
        try:
            await _write(do_all, due, now)
        except SwarmkeeperError:
            for noted, command in due:
                if noted.written_at != now:
                    self._reads.setdefault((noted.by.key_id, command.action, command.task), noted)
            raise


def _refusal(noted: _Counted, code: str, source: str = "") -> NoteRefusals:
    return NoteRefusals(by=noted.by, code=code, action=noted.action, count=noted.count, source=source)


async def _write(do_all: DoAll, due: Sequence[tuple[_Counted, Any]], now: int) -> None:
    if not due:
        return
    answers = await do_all([command for _, command in due])
    failed: SwarmkeeperError | None = None
    for (noted, command), answer in zip(due, answers, strict=True):
        if isinstance(answer, SwarmkeeperError):
            failed = answer
            continue
        noted.count -= command.count
        noted.written_at = now
    if failed is not None:
        raise failed
