"""Audit records of changes that the server's operator makes for all tenants."""

from __future__ import annotations

from swarmkeeper.core import events
from swarmkeeper.core.commands import ChangeRules, RecordRestore, ResetClock
from swarmkeeper.core.decide.working_set import WorkingSet


def change_rules(working: WorkingSet, command: ChangeRules) -> None:
    """Record that redaction rules or policies changed, or why the old ones stay in force. The caller changes them."""
    body = {"from": command.before, "to": command.after}
    if not command.problem:
        working.record("rules.change", command.what, body=body)
        return
    working.record("rules.change", command.what, body=body | {"problem": command.problem})
    working.refused("bad_rules")


def reset_clock(working: WorkingSet, command: ResetClock) -> None:
    """Record that time is set back, as the last record before that. The caller sets it back."""
    working.record("clock.reset", "store", body={"from": command.before, "to": command.after})


def record_restore(working: WorkingSet, command: RecordRestore) -> None:
    """Record that the store is one that was restored. What was acknowledged after the backup is not in it."""
    working.record("store.restore", "store", own={"reached": command.reached})
    working.emit(events.StoreRestored(reached=command.reached))
