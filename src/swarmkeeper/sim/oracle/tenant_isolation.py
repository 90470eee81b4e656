"""Checks that nothing of one tenant reaches another, and has the names by which tenants are kept apart in a run.

Those who try to break this are in play/intruder.py. How much of the engine each tenant gets is in shares.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from swarmkeeper.core import commands
from swarmkeeper.core.answers import HeartbeatResult
from swarmkeeper.core.commands import Command
from swarmkeeper.core.model import Event, Principal
from swarmkeeper.core.ports import Changes
from swarmkeeper.sim.oracle.records import Records

TENANT = "default"  # of the first, or only one

ID = re.compile(r"\b[a-z]{3}_[0-9A-V]{26,32}\b")


def tenant_id(number: int) -> str:
    return TENANT if number == 1 else f"tenant-{number}"


def named(tenant: str, name: str) -> str:
    """What somebody of a tenant, or something of theirs, is called in a run: no two are called the same. Before the
    orchestrator they go by equal names and keys, so that it has to keep them apart."""
    return name if tenant == TENANT else f"{tenant}-{name}"


class TenantIsolation:
    def __init__(self, records: Records) -> None:
        self._records = records
        self._whose: dict[str, str] = {}  # by id, of all that has one
        self.key_holders: dict[str, str] = {}  # by the text of a key: the tenant that it was asked for

    def belong(self, people: Iterable[Principal]) -> None:
        """Those whose keys are in no store."""
        self._whose.update({by.key_id: by.tenant for by in people})

    def whose(self, one: str | None) -> str | None:
        """None: it is nobody's, or not known."""
        return self._whose.get(one or "")

    # ---- what is committed -----------------------------------------------------------------------------------------

    def committed(self, saved: Sequence[Changes]) -> None:
        for changes in saved:
            self._learn(changes)
        for changes in saved:
            self._check(changes)

    def _learn(self, changes: Changes) -> None:
        """Whose all is that this writes. Nothing ever changes hands."""
        tables: tuple[Mapping[str, Any], ...] = changes.keys, changes.bots, changes.tasks, changes.works
        for record in chain.from_iterable(table.values() for table in (*tables, changes.approvals)):
            if record is not None:
                self._belongs(record.id, record.tenant)
        told: tuple[Sequence[Any], ...] = changes.events, changes.leaves, changes.messages
        for one in chain.from_iterable(told):
            self._belongs(one.id, one.tenant)
        grants: tuple[Iterable[Any], ...] = changes.leases.values(), changes.attempts
        for one in chain.from_iterable(grants):
            self._belongs(one.lease_id, one.tenant)

    def _belongs(self, one: str, tenant: str) -> None:
        before = self._whose.setdefault(one, tenant)
        if before != tenant:
            self._broken(one, f"it was {before}'s, and is written as {tenant}'s")

    def _check(self, changes: Changes) -> None:
        self._check_told(changes)
        self._check_done(changes)
        for work in changes.works.values():
            self._same("an item", work.tenant, work.task)
        for ready in filter(None, changes.ready.values()):
            self._same("what may be handed out", ready.tenant, ready.work, ready.task)
        for job in filter(None, changes.jobs.values()):
            self._same("a chore", job.tenant, job.task)
        for bot in filter(None, changes.bots.values()):
            self._same("a bot", bot.tenant, bot.key_id)

    def _check_told(self, changes: Changes) -> None:
        for event in changes.events:
            self._same(event.kind, event.tenant, event.task, event.work, event.actor, *_named_in(event))
        for leaf in changes.leaves:
            self._same(leaf.action, leaf.tenant, leaf.task, leaf.actor)
        for message in changes.messages:
            self._same("a message", message.tenant, message.task, message.from_bot, message.to_bot)
        for key in changes.idempotency:
            self._same("what is answered again", key.tenant, *key.resource.split())

    def _check_done(self, changes: Changes) -> None:
        for lease in changes.leases.values():
            self._same("a lease", lease.tenant, lease.work, lease.task, lease.bot)
        for attempt in changes.attempts:
            self._same("an attempt", attempt.tenant, attempt.work, attempt.task, attempt.bot, attempt.lease_id)
        for late in changes.late_results:
            self._same("a late result", late.tenant, late.work, late.task, late.bot, late.lease_id)
        for approval in changes.approvals.values():
            self._same("a question", approval.tenant, approval.task, approval.work, approval.decided_by)

    def _same(self, what: str, tenant: str, *others: str | None) -> None:
        for one in others:
            if self._whose.get(one or "", tenant) != tenant:
                self._broken(others[0] or "-", f"{what} is {tenant}'s, and has to do with {self._told_of(one)}")

    # ---- what is answered ------------------------------------------------------------------------------------------

    def answered(self, command: Command[Any], answer: Any) -> None:
        """What a command is answered with is of whoever gave it."""
        asked = set(ID.findall(repr(command)))
        if isinstance(command, commands.Register):
            answer = answer[0]
        if isinstance(answer, HeartbeatResult):
            for one in answer.directives:
                if one.directive != "lost" and self._whose.get(one.lease_id, command.by.tenant) != command.by.tenant:
                    self._broken(one.lease_id, f"{command.by.tenant} is told to {one.directive}")
        self.told(command.by.tenant, [one for one in ID.findall(repr(answer)) if one not in asked], "an answer")

    def told(self, tenant: str | None, ids: Iterable[str], what: str) -> None:
        """Somebody of a tenant is about to learn these."""
        for one in ids:
            if tenant is not None and self._whose.get(one, tenant) != tenant:
                self._broken(one, f"{tenant} is told of {self._told_of(one)} in {what}")

    def _told_of(self, one: str | None) -> str:
        return f"{one}, which is {self.whose(one)}'s"

    def _broken(self, one: str, why: str) -> None:
        records = self._records
        records.broken("2.tenant", records.label(one) if one in records.works else records.title(one), why)


def _named_in(event: Event) -> Iterable[str]:
    """Ids in what an event says."""
    return [word for word in _words(event.body.value) if ID.fullmatch(word)]


def _words(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _words(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _words(one)
