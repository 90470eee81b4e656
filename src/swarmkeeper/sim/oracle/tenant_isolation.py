"""Tenant isolation checks: names each tenant's entities, and reports when data of one tenant reaches another.

play/intruder.py tries to break the isolation. shares.py checks how much of the engine each tenant gets.
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

TENANT = "default"  # the first or only tenant

ID = re.compile(r"\b[a-z]{3}_[0-9A-V]{26,32}\b")


def tenant_id(number: int) -> str:
    return TENANT if number == 1 else f"tenant-{number}"


def named(tenant: str, name: str) -> str:
    """Return the name in this run of a tenant's entity, unique across tenants. To the orchestrator, entities of all
    tenants have equal names, so that it must keep them apart."""
    return name if tenant == TENANT else f"{tenant}-{name}"


class TenantIsolation:
    def __init__(self, records: Records) -> None:
        self._records = records
        self._tenant_of: dict[str, str] = {}  # id -> tenant
        self.key_holders: dict[str, str] = {}  # key -> tenant

    def add_principals(self, principals: Iterable[Principal]) -> None:
        """Add principals whose keys are not in the store."""
        self._tenant_of.update({by.key_id: by.tenant for by in principals})

    # ---- commits ---------------------------------------------------------------------------------------------------

    def committed(self, saved: Sequence[Changes]) -> None:
        for changes in saved:
            self._learn(changes)
        for changes in saved:
            self._check(changes)

    def _learn(self, changes: Changes) -> None:
        """Learn the tenant of each written record. It must never change."""
        tables: tuple[Mapping[str, Any], ...] = changes.keys, changes.bots, changes.tasks, changes.works
        for record in chain.from_iterable(table.values() for table in (*tables, changes.approvals)):
            if record is not None:
                self._belongs(record.id, record.tenant)
        appended: tuple[Sequence[Any], ...] = changes.events, changes.leaves, changes.messages
        for record in chain.from_iterable(appended):
            self._belongs(record.id, record.tenant)
        grants: tuple[Iterable[Any], ...] = changes.leases.values(), changes.attempts
        for grant in chain.from_iterable(grants):
            self._belongs(grant.lease_id, grant.tenant)

    def _belongs(self, id_: str, tenant: str) -> None:
        before = self._tenant_of.setdefault(id_, tenant)
        if before != tenant:
            self._broken(id_, f"it belonged to {before}, and is written for {tenant}")

    def _check(self, changes: Changes) -> None:
        """Each written record may refer only to records of its own tenant."""
        tables: tuple[tuple[str, Iterable[Any], tuple[str, ...]], ...] = (
            ("an item", changes.works.values(), ("task",)),
            ("a queue entry", changes.ready.values(), ("work", "task")),
            ("a background job", changes.jobs.values(), ("task",)),
            ("a bot", changes.bots.values(), ("key_id",)),
            ("an audit record", changes.leaves, ("task", "actor")),
            ("a message", changes.messages, ("task", "from_bot", "to_bot")),
            ("a lease", changes.leases.values(), ("work", "task", "bot")),
            ("an attempt", changes.attempts, ("work", "task", "bot", "lease_id")),
            ("a late result", changes.late_results, ("work", "task", "bot", "lease_id")),
            ("an approval", changes.approvals.values(), ("task", "work", "decided_by")),
        )
        for what, records, fields in tables:
            for record in filter(None, records):
                self._same(what, record.tenant, *(getattr(record, field) for field in fields))
        for event in changes.events:
            self._same(event.kind, event.tenant, event.task, event.work, event.actor, *_named_in(event))
        for key in changes.idempotency:
            self._same("an idempotency key", key.tenant, *key.resource.split())

    def _same(self, what: str, tenant: str, *others: str | None) -> None:
        for other in others:
            if self._tenant_of.get(other or "", tenant) != tenant:
                self._broken(others[0] or "-", f"{what} of {tenant} refers to {self._with_tenant(other)}")

    # ---- answers ---------------------------------------------------------------------------------------------------

    def answered(self, command: Command[Any], answer: Any) -> None:
        """Check that the answer to a command has only ids of the caller's tenant, or ids that the caller sent."""
        asked = set(ID.findall(repr(command)))
        if isinstance(command, commands.Register):
            answer = answer[0]
        if isinstance(answer, HeartbeatResult):
            tenant = command.by.tenant
            for lease in answer.directives:
                if lease.directive != "lost" and self._tenant_of.get(lease.lease_id, tenant) != tenant:
                    self._broken(lease.lease_id, f"the heartbeat answer for {tenant} says {lease.directive}")
        self.sent(command.by.tenant, [id_ for id_ in ID.findall(repr(answer)) if id_ not in asked], "an answer")

    def sent(self, tenant: str | None, ids: Iterable[str], where: str) -> None:
        """Check ids that are about to be sent to a caller of `tenant`; `where` names the message."""
        for id_ in ids:
            if tenant is not None and self._tenant_of.get(id_, tenant) != tenant:
                self._broken(id_, f"{where} shows {self._with_tenant(id_)} to {tenant}")

    def _with_tenant(self, id_: str | None) -> str:
        return f"{id_} of {self._tenant_of.get(id_ or '')}"

    def _broken(self, id_: str, why: str) -> None:
        records = self._records
        records.broken("2.tenant", id_, why)


def _named_in(event: Event) -> Iterable[str]:
    """Return the ids in the body of an event."""
    return [word for word in _words(event.body.value) if ID.fullmatch(word)]


def _words(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _words(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _words(item)
