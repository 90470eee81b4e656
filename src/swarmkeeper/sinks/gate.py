"""Refuses commands while a required sink is too far behind.

Three kinds of commands: most are refused at once. What ends work that was begun before is taken for a while, so that a
short trouble costs no work. What stops something, and what the orchestrator does by itself, is never refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swarmkeeper.core import commands
from swarmkeeper.core.commands import Command
from swarmkeeper.core.erasure.commands import EraseNow, EraseTenant
from swarmkeeper.core.errors import AuditSinkBehind, SwarmkeeperError
from swarmkeeper.core.kills.commands import PlaceKill
from swarmkeeper.core.operations.commands import ForgetOperation, NoteItems, RefuseForged, TakeOperation, TryCommand
from swarmkeeper.core.persons.commands import DisablePerson
from swarmkeeper.core.secrets.commands import CheckLease, DeleteSecret, KeepSecretRows, ReleaseSecrets, RetireSecret
from swarmkeeper.core.sessions.commands import EndSession, NoteSessionUses

SECOND = 1_000_000
GRACE = 60 * SECOND  # in which work in flight may be reported
RETRY_AFTER = 5.0  # seconds

# Results, verdicts and plans; questions; work that is given back.
FOR_A_WHILE: frozenset[type[Command[Any]]] = frozenset(
    {commands.ReportResult, commands.ReleaseLease, commands.AskQuestion, ReleaseSecrets}
)
# Heartbeats are here because they make no audit record, and refusing them would make many: each lease would expire.
ALWAYS: frozenset[type[Command[Any]]] = frozenset(
    {
        # They stop or keep something.
        *(commands.Cancel, commands.Pause, commands.RevokeKey, commands.Drain, commands.DeleteBot),
        *(commands.PlaceLegalHold, commands.SendHeartbeat, DeleteSecret, RetireSecret),
        *(PlaceKill, DisablePerson, EndSession),
        # The orchestrator's own.
        *(commands.TimerFired, commands.Continue, commands.CheckBot, commands.NoteRefusals, commands.NoteReads),
        *(commands.ChangeRules, commands.ResetClock, commands.RecordRestore, commands.EraseTask, commands.TrimAudit),
        *(EraseNow, EraseTenant),  # they wait until the sinks have everything of the tasks
        *(commands.NoteKeyUses, NoteSessionUses, KeepSecretRows),
        *(TakeOperation, NoteItems, RefuseForged, ForgetOperation),
        *(CheckLease, TryCommand),  # they change nothing
    }
)


class SinkGate:
    def __init__(self, monotonic: Callable[[], int]) -> None:
        self._monotonic = monotonic
        self._since: int | None = None  # when it was closed
        self.refused = 0

    @property
    def closed(self) -> bool:
        return self._since is not None

    def set(self, *, behind: bool) -> bool:
        """Close or open it; return whether that changed anything."""
        if behind == self.closed:
            return False
        self._since = self._monotonic() if behind else None
        return True

    def __call__(self, command: Command[Any]) -> SwarmkeeperError | None:
        """Return why the command is refused now; None if it is not."""
        if self._since is None:
            return None
        kind = type(command)
        if kind in ALWAYS or (kind in FOR_A_WHILE and self._monotonic() - self._since < GRACE):
            return None
        self.refused += 1
        return AuditSinkBehind(
            "a sink that must have the audit log is behind; nothing was done", retry_after=RETRY_AFTER
        )
