"""What the operator of the server changes for everybody, and what is written down of it."""

from __future__ import annotations

from swarmkeeper.core.commands import ChangeRules, ResetClock
from swarmkeeper.core.decide.working_set import WorkingSet


def change_rules(working: WorkingSet, command: ChangeRules) -> None:
    """Write down that other rules of redaction hold, or why those before stay. Changing them is not done here."""
    body = {"from": command.before, "to": command.after}
    if not command.problem:
        working.record("rules.change", "redaction", body=body)
        return
    working.record("rules.change", "redaction", body=body | {"problem": command.problem})
    working.refused("bad_rules")


def reset_clock(working: WorkingSet, command: ResetClock) -> None:
    """Write down that time is set back, in the last record of the time before. Setting it back is not done here."""
    working.record("clock.reset", "store", body={"from": command.before, "to": command.after})
