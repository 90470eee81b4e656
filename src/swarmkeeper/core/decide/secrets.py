"""Decisions on secrets: who may have one, how often, and what is recorded of it. Values pass by encrypted.

A release is recorded before its answer leaves. If the process dies in between, the bot asks again, and the release
counts twice: what was recorded may not have arrived, but what arrived is recorded.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from swarmkeeper.core import lookups
from swarmkeeper.core.decide import policies
from swarmkeeper.core.decide.effects.owners import check_may, held_lease
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import LeaseLost, Overloaded, RateLimited, ResourceNotFound
from swarmkeeper.core.lookups import Lookup
from swarmkeeper.core.model import Json, TaskRecord, Work
from swarmkeeper.core.secrets import events
from swarmkeeper.core.secrets import lookups as own
from swarmkeeper.core.secrets.commands import (
    CheckLease,
    DeleteSecret,
    KeepSecretRows,
    PutSecret,
    ReleaseSecrets,
    RetireSecret,
)
from swarmkeeper.core.secrets.records import LeaseSecrets, LeaseUse, SecretRecord, SecretUse, SecretVersion
from swarmkeeper.core.states import TASK_CLOSED, Kind

MINUTE = 60_000_000
LEASES = "leases"
LIVE_VERSIONS_MAX = 2  # a new version keeps the one before it alive, until it is retired or the next one comes


def check_lease(working: WorkingSet, command: CheckLease | ReleaseSecrets) -> LeaseUse:
    """Return for which work the lease is, and which payload has its own inputs.

    Unlike a result, a secret is refused once the lease's time is up, even if nobody has taken the work back yet.

    Raises:
        LeaseLost: the lease has ended, or was cancelled.
        PermissionDenied: the lease is another bot's.
    """
    lease, _ = held_lease(working, command.by, command.lease_id, "secret.resolve")
    task = None if lease is None else working.task(lease.task)
    if lease is None or task is None or lease.cancelled or task.status in TASK_CLOSED:
        raise LeaseLost("no live lease of this bot has that id")
    if working.now >= lease.expires_at:
        raise LeaseLost("the time of this lease is up: a heartbeat extends it while it is not taken back")
    work, bot = working.work(lease.work), working.bot(lease.bot, lease.tenant)
    item = work if work.subject is None else working.work(work.subject)
    payload = item.payload if item.kind is Kind.EXECUTE else task.spec
    assert payload is not None, "a subtask has its spec"
    submission = task.spec if item.kind is Kind.EXECUTE and _is_of_a_bot(working, task, item) else None
    skills = frozenset(working.queues.by_id[work.queue].skills)
    return LeaseUse(task.tenant, task.id, work.id, bot.id, bot.name, skills, task.labels, payload, submission)


def _is_of_a_bot(working: WorkingSet, task: TaskRecord, item: Work) -> bool:
    """Whether a planner has written this subtask, or an evaluator: those of its verdicts are younger than a review."""
    plan, review = (working.work_by_key(task, key) for key in ("plan", "review/1/1"))
    if plan is not None and plan.kind is Kind.PLAN:
        return True
    return review is not None and review.kind is Kind.REVIEW and review.created_at < item.created_at


def release(working: WorkingSet, command: ReleaseSecrets) -> str:
    """Record that the values go to the bot, in the commit before the answer; return the work's id.

    Raises:
        RateLimited: the lease, or a secret in this minute, has had as many as it may.
    """
    use = check_lease(working, command)
    if use.payload != command.payload:
        raise Overloaded("the inputs of this work have just changed: ask again", retry_after=1)
    lease = working.lease(command.lease_id)
    assert lease is not None, "check_lease refuses a call without its lease"
    had = working.get(own.SECRET_LEASE, command.lease_id)
    count = (0 if had is None else had.count) + len(command.values)
    if count > command.lease_max:
        detail = f"a lease may have {command.lease_max} secrets released, and this one would have {count}"
        raise RateLimited(detail, details=(("/limits/secrets/lease", "limit", detail),))
    _put(working, own.SECRET_LEASE, command.lease_id, LeaseSecrets(command.lease_id, use.tenant, count))
    minute = working.now // MINUTE
    for value, most in zip(command.values, command.minute_max, strict=True):
        policies.secret(working, lease, value.name)
        key = (value.tenant, value.name)
        before: SecretUse | None = working.get(own.SECRET_USE, key)
        used = before.count + 1 if before is not None and before.minute == minute else 1
        if used > most:
            detail = f"this secret may be released {most} times a minute"
            left = (minute + 1) * MINUTE - working.now
            limit = ("/limits/secrets/minute", "limit", detail)
            raise RateLimited(detail, details=(limit,), retry_after=max(1, -(-left // 1_000_000)))
        _put(working, own.SECRET_USE, key, SecretUse(*key, minute, used))
        known = working.get(own.SECRET_RELEASED, (*key, value.tag))
        first, n = (working.now, 0) if known is None else (known.first_at, known.count)
        released = replace(value, first_at=first, last_at=working.now, count=n + 1)
        _put(working, own.SECRET_RELEASED, (*key, value.tag), released)
    for loan in command.loans:
        working.put(working.changes.secret_rows, ("secret_loan", loan.id), loan)
    tags = [value.tag for value in command.values]
    named: dict[str, Json] = {
        "names": [value.name for value in command.values],
        "versions": [value.version for value in command.values],
    }
    made: dict[str, Json] = {"tags": tags, "bot": use.bot, "lease": command.lease_id}
    task, work = working.task(use.task), working.work(use.work)
    working.record("secret.release", use.work, task=task, body=named, own=made)
    working.emit(events.SecretReleased(tags=tags, bot=use.bot, lease=command.lease_id, **named), task=task, work=work)
    return use.work


def put(working: WorkingSet, command: PutSecret) -> int:
    """Keep a new version; at most the one before it stays. Return its number.

    Raises:
        Overloaded: another version came in between: the value was sealed for a number that is taken.
    """
    versions = _versions(working, command)
    number = versions[-1].version + 1 if versions else 1
    if command.version != number:
        raise Overloaded("another version has just been put: try again", retry_after=1)
    tenant, name = command.by.tenant, command.name
    made = SecretVersion(tenant, name, number, command.sealed, working.now, command.by.key_id)
    _keep(working, command, [*versions, made][-LIVE_VERSIONS_MAX:])
    working.record("secret.put", name, body={"name": name}, own={"version": number})
    working.emit(events.SecretPut(version=number, name=name))
    return number


def retire(working: WorkingSet, command: RetireSecret) -> int:
    """Remove the versions before the newest; return its number."""
    versions = _existing(working, command)
    newest = versions[-1].version
    if len(versions) > 1:
        _keep(working, command, versions[-1:])
        working.record("secret.retire", command.name, body={"name": command.name}, own={"version": newest})
        working.emit(events.SecretRetired(version=newest, name=command.name))
    return newest


def delete(working: WorkingSet, command: DeleteSecret) -> int:
    """Remove all versions. What was released of it stays known to redaction."""
    newest = _existing(working, command)[-1].version
    _keep(working, command, [])
    working.record("secret.delete", command.name, body={"name": command.name}, own={"version": newest})
    working.emit(events.SecretDeleted(name=command.name))
    return newest


def keep_rows(working: WorkingSet, command: KeepSecretRows) -> None:
    """Write rows of the broker itself."""
    for key, row in command.written:
        working.put(working.changes.secret_rows, key, row)
    if command.what == LEASES:
        return  # counts of leases that have ended are no evidence
    working.record("secret.keep", command.what, own={"what": command.what, "rows": len(command.written)})


def _versions(working: WorkingSet, command: PutSecret | RetireSecret | DeleteSecret) -> list[SecretVersion]:
    check_may(working, command.by, "secret.manage")
    if working.get(lookups.TENANT, command.by.tenant) is None:
        raise ResourceNotFound("no such tenant")
    found: list[SecretVersion] = working.get(own.SECRET, (command.by.tenant, command.name))
    return found


def _existing(working: WorkingSet, command: RetireSecret | DeleteSecret) -> list[SecretVersion]:
    found = _versions(working, command)
    if not found:
        raise ResourceNotFound("this server keeps no secret of that name")
    return found


def _keep(working: WorkingSet, command: PutSecret | RetireSecret | DeleteSecret, versions: list[SecretVersion]) -> None:
    """Let a secret have these versions."""
    key = (command.by.tenant, command.name)
    kept = {version.version: version for version in versions}
    for before in working.get(own.SECRET, key):
        if before.version not in kept:
            working.put(working.changes.secret_rows, ("secret", *key, str(before.version)), None)
    for number, version in kept.items():
        working.put(working.changes.secret_rows, ("secret", *key, str(number)), version)
    working.put_row(own.SECRET, key, versions)


def _put(working: WorkingSet, lookup: Lookup[Any, Any], key: str | tuple[str, ...], row: SecretRecord) -> None:
    working.put_row(lookup, key, row)
    names = (key,) if isinstance(key, str) else key
    working.put(working.changes.secret_rows, (str(lookup), *names), row)
