"""What the operator of the server changes for everybody, and what is written down of it."""

from __future__ import annotations

from swarmkeeper.core.commands import ChangeRules, ResetClock
from swarmkeeper.core.world import World


def change_rules(world: World, command: ChangeRules) -> None:
    """Write down that other rules of redaction hold, or why those before stay. Changing them is not done here."""
    body = {"from": command.before, "to": command.after}
    if not command.problem:
        world.record("rules.change", "redaction", body=body)
        return
    world.record("rules.change", "redaction", body=body | {"problem": command.problem})
    world.refused("bad_rules")


def reset_clock(world: World, command: ResetClock) -> None:
    """Write down that time is set back, in the last record of the time before. Setting it back is not done here."""
    world.record("clock.reset", "store", body={"from": command.before, "to": command.after})
