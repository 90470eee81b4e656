"""Decisions: one function for each command, (working set, command) -> answer. `decide` calls the right one.

Claims are not included: engine/dispatcher.py decides them together with all parked polls, and calls `work.take`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from swarmkeeper.core import commands
from swarmkeeper.core.answers import Refusal, T
from swarmkeeper.core.commands import Command
from swarmkeeper.core.decide import erasures, kills, retention, secrets
from swarmkeeper.core.decide.decisions import (
    approvals,
    bots,
    clients,
    heartbeats,
    messages,
    planning,
    rules,
    tenants,
    timers,
    work,
)
from swarmkeeper.core.decide.effects import closing
from swarmkeeper.core.decide.effects.owners import check_bounds
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.erasure.commands import EraseNow, EraseTenant
from swarmkeeper.core.kills import commands as of_kills
from swarmkeeper.core.operations import commands as of_operations
from swarmkeeper.core.operations import deciding as operations
from swarmkeeper.core.persons import commands as of_persons
from swarmkeeper.core.persons import deciding as persons
from swarmkeeper.core.secrets import commands as of_secrets
from swarmkeeper.core.sessions import commands as of_sessions
from swarmkeeper.core.sessions import deciding as sessions

DECISIONS: Mapping[type[Command[Any]], Callable[[WorkingSet, Any], Any]] = {
    commands.Submit: planning.submit,
    commands.Update: clients.update,
    commands.Cancel: clients.cancel,
    commands.Pause: clients.pause,
    commands.Resume: clients.resume,
    commands.RetryFailedTask: clients.retry,
    commands.Archive: clients.archive,
    commands.SendMessage: messages.send_message,
    commands.ReportResult: work.report,
    commands.SendHeartbeat: heartbeats.beat,
    commands.ReleaseLease: work.release,
    commands.AskQuestion: work.ask,
    commands.Register: bots.register,
    commands.Drain: bots.drain,
    commands.Enable: bots.enable,
    commands.DeleteBot: bots.delete,
    commands.CheckBot: bots.check,
    commands.CreateKey: bots.create_key,
    commands.RotateKey: bots.rotate_key,
    commands.RevokeKey: bots.revoke_key,
    commands.SetTenant: tenants.set_tenant,
    commands.SetRate: tenants.set_rate,
    commands.ChangeRules: rules.change_rules,
    commands.ResetClock: rules.reset_clock,
    commands.RecordRestore: rules.record_restore,
    commands.NoteReads: bots.note_reads,
    commands.NoteKeyUses: bots.note_key_uses,
    commands.NoteRefusals: bots.note_refusals,
    commands.Decide: approvals.decide,
    commands.PlaceLegalHold: retention.place_hold,
    commands.ReleaseLegalHold: retention.release_hold,
    commands.EraseTask: retention.erase_task,
    commands.TrimAudit: retention.trim_audit,
    EraseNow: retention.erase_now,
    EraseTenant: erasures.erase_tenant,
    of_secrets.CheckLease: secrets.check_lease,
    of_secrets.ReleaseSecrets: secrets.release,
    of_secrets.PutSecret: secrets.put,
    of_secrets.RetireSecret: secrets.retire,
    of_secrets.DeleteSecret: secrets.delete,
    of_secrets.KeepSecretRows: secrets.keep_rows,
    of_kills.PlaceKill: kills.place,
    of_kills.LiftKill: kills.lift,
    of_persons.CreatePerson: persons.create,
    of_persons.RenamePerson: persons.rename,
    of_persons.DisablePerson: persons.disable,
    of_persons.EnablePerson: persons.enable,
    of_sessions.OpenSession: sessions.open_,
    of_sessions.EndSession: sessions.end,
    of_sessions.NoteSessionUses: sessions.note_uses,
    of_operations.StartOperation: operations.start,
    of_operations.TakeOperation: operations.take,
    of_operations.NoteItems: operations.note,
    of_operations.RefuseForged: operations.refuse,
    of_operations.ForgetOperation: operations.forget,
    of_operations.TryCommand: operations.trying(
        {
            commands.Cancel: clients.cancel,
            commands.Pause: clients.pause,
            commands.Resume: clients.resume,
            commands.RetryFailedTask: clients.retry,
            commands.Archive: clients.archive,
        }
    ),
    commands.TimerFired: timers.timer_fired,
    commands.Continue: timers.continue_job,
}


def decide(working: WorkingSet, command: Command[T]) -> T | Refusal:
    """Decide one command: change the working set and return the answer.

    Raises:
        SwarmkeeperError: the command is refused; undo all its changes.
        NotLoaded: load these rows and decide again.
    """
    check_bounds(command)
    answer: T | Refusal = DECISIONS[type(command)](working, command)
    closing.finish_completed_tasks(working)
    return answer
