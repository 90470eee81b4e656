"""Decisions: one function for each command, (world, command) -> answer. `decide` finds the one that is asked for.

A claim is not among them: it is decided against all that waits, by service/scheduler.py with `work.take`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from swarmkeeper.core import commands
from swarmkeeper.core.answers import Refusal, T
from swarmkeeper.core.commands import Command
from swarmkeeper.core.decide import (
    clients,
    closing,
    fleet,
    governing,
    messages,
    oversight,
    planning,
    tenants,
    upkeep,
    work,
)
from swarmkeeper.core.world import World

DECISIONS: Mapping[type[Command[Any]], Callable[[World, Any], Any]] = {
    commands.Submit: planning.submit,
    commands.Update: clients.update,
    commands.Cancel: clients.cancel,
    commands.Pause: clients.pause,
    commands.Resume: clients.resume,
    commands.Retry: clients.retry,
    commands.Archive: clients.archive,
    commands.Tell: messages.tell,
    commands.Report: work.report,
    commands.Beat: work.beat,
    commands.Release: work.release,
    commands.Ask: work.ask,
    commands.Register: fleet.register,
    commands.Drain: fleet.drain,
    commands.Enable: fleet.enable,
    commands.DeleteBot: fleet.delete,
    commands.CheckBot: fleet.check,
    commands.CreateKey: fleet.create_key,
    commands.RotateKey: fleet.rotate_key,
    commands.RevokeKey: fleet.revoke_key,
    commands.SetTenant: tenants.set_tenant,
    commands.ChangeRules: governing.change_rules,
    commands.ResetClock: governing.reset_clock,
    commands.NoteRefusals: fleet.note_refusals,
    commands.Decide: oversight.decide,
    commands.Fire: upkeep.fire,
    commands.Continue: upkeep.go_on,
}


def decide(world: World, command: Command[T]) -> T | Refusal:
    """Decide one command: change the working set, and answer.

    Raises:
        SwarmkeeperError: it is refused, and nothing of it may be kept.
        NotLoaded: it is to be decided again, once these rows are loaded.
    """
    answer: T | Refusal = DECISIONS[type(command)](world, command)
    closing.finish_what_is_done(world)
    return answer
