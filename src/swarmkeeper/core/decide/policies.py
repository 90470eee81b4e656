"""Ask the policies, if there are any, before a command changes something. Without policies this costs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from swarmkeeper.core.decide.loaded_rows import LoadedRows
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import PermissionDenied
from swarmkeeper.core.model import ApprovalRecord, BotRecord, Json, LeaseRecord, Principal, TaskRecord, Work
from swarmkeeper.core.policies.labels import WorkLabels, effective
from swarmkeeper.core.policies.records import Facts, PolicyAction, PolicyDecision, facts, facts_of_labels, labels_of
from swarmkeeper.core.ports import Rules
from swarmkeeper.core.states import Kind

_KEPT = 4_096  # facts about callers, and about items
SUBMITS: Mapping[Kind, PolicyAction] = {
    Kind.PLAN: PolicyAction.PLAN_SUBMIT,
    Kind.EXECUTE: PolicyAction.RESULT_SUBMIT,
    Kind.REVIEW: PolicyAction.VERDICT_SUBMIT,
}


def check(rules: Rules, action: PolicyAction, principal: Facts, resource: Facts) -> tuple[str, ...]:
    """Return what the audit record says of the policies that allow it; nothing without policies.

    Raises:
        PermissionDenied: they do not; it names the policies and their message.
    """
    if rules.policies is None:
        return ()
    decision = rules.policies.decide(action, principal, resource)
    if not decision.allowed:
        error = PermissionDenied(f"policy denies {action}: {why(decision)}")
        error.policies = decision.policies
        raise error
    return _reasons(decision)


def _reasons(decision: PolicyDecision) -> tuple[str, ...]:
    named = [f"policy:{name}" for name in decision.policies]
    return (*named, *(f"shadow:{name}" for name in decision.shadow))


def why(decision: PolicyDecision) -> str:
    """Return why something is denied, with the ids of the policies."""
    named = ", ".join(decision.policies)
    return f"{named}: {decision.message}" if named and decision.message else named or decision.message


# ---- facts ---------------------------------------------------------------------------------------------------------


def of_key(by: Principal) -> Facts:
    """Return the facts about a caller that is no known bot."""
    return facts(
        "Caller",
        by.key_id,
        kind="key",
        tenant=by.tenant,
        owner=by.owner or by.key_id,
        roles=[by.role],
        bot=by.bot or "",
        skills=by.skills or (),
    )


def of_bot(bot: BotRecord) -> Facts:
    return _of_bot(bot.id, bot.tenant, bot.owner, bot.type, bot.name, tuple(bot.skills))


# Made once for a bot, and for all items that are alike: making them takes longer than deciding does.
@lru_cache(maxsize=_KEPT)
def _of_bot(id_: str, tenant: str, owner: str, type_: str, name: str, skills: tuple[str, ...]) -> Facts:
    roles = [f"bot:{type_.lower()}"]
    return facts("Caller", id_, kind="bot", tenant=tenant, owner=owner, roles=roles, bot=name, skills=skills)


def of_work(working: WorkingSet, task: TaskRecord, work: Work) -> Facts:
    """Return the facts about an item. They do not tell items of a task from each other, so decisions are kept."""
    skills = tuple(working.queues.by_id[work.queue].skills)
    labels = tuple(sorted(task.labels.items()))
    return _of_work(task.tenant, str(work.kind), skills, labels, work.labels, task.submitted_by, task.priority)


@lru_cache(maxsize=_KEPT)
def _of_work(
    tenant: str,
    kind: str,
    skills: tuple[str, ...],
    of_task: tuple[tuple[str, str], ...],
    own: WorkLabels | None,
    submitter: str,
    priority: int,
) -> Facts:
    labels = facts_of_labels(dict(of_task), own)
    return facts(
        "Work", "work", tenant=tenant, kind=kind, skills=skills, **labels, submitter=submitter, priority=priority
    )


def shown_labels(working: WorkingSet, works: Iterable[str]) -> Mapping[str, Json]:
    """Return the labels of these items as the audit record of a lease shows them; nothing without policies."""
    if working.rules.policies is None:
        return {}
    items = [working.work(work_id) for work_id in works]
    shown = {item.id: list(effective(working.task(item.task).labels, item.labels, item.key)) for item in items}
    return {work_id: labels for work_id, labels in shown.items() if labels}


# ---- where commands are authorised ---------------------------------------------------------------------------------


def submission(working: WorkingSet, by: Principal, labels: Mapping[str, str], priority: int) -> None:
    if working.rules.policies is not None:
        resource = facts(
            "Task", "task", tenant=by.tenant, labels=labels_of(labels), submitter=by.key_id, priority=priority
        )
        _allow(working, PolicyAction.TASK_SUBMIT, of_key(by), resource)


def update(working: WorkingSet, by: Principal, task: TaskRecord, labels: Mapping[str, str], priority: int) -> None:
    """Ask about a task as it will be, and about the labels that are taken away from it."""
    if working.rules.policies is not None:
        after = labels_of(labels)
        resource = facts(
            "TaskChange",
            "task",
            tenant=by.tenant,
            labels=after,
            removed=set(labels_of(task.labels)) - set(after),
            submitter=task.submitted_by,
            priority=priority,
        )
        _allow(working, PolicyAction.TASK_UPDATE, of_key(by), resource)


def may_take(working: WorkingSet, task: TaskRecord, work: Work, bot: BotRecord) -> bool:
    """Whether the policies let the bot have the item; notes those that do."""
    policies = working.rules.policies
    if policies is None:
        return True
    decision = policies.decide(PolicyAction.WORK_CLAIM, of_bot(bot), of_work(working, task, work))
    if decision.allowed:
        _note(working, _reasons(decision))
    return decision.allowed


def report(working: WorkingSet, task: TaskRecord, work: Work, bot: BotRecord) -> None:
    if working.rules.policies is not None:
        _allow(working, SUBMITS[work.kind], of_bot(bot), of_work(working, task, work))


def secret(working: WorkingSet, lease: LeaseRecord, name: str) -> None:
    if working.rules.policies is None:
        return
    work, bot = working.work(lease.work), working.bot(lease.bot, lease.tenant)
    task = working.task(work.task)
    skills = working.queues.by_id[work.queue].skills
    labels = facts_of_labels(task.labels, work.labels)
    resource = facts("Secret", name, tenant=lease.tenant, name=name, skills=skills, **labels)
    _allow(working, PolicyAction.SECRET_RESOLVE, of_bot(bot), resource)


def approval(working: WorkingSet, by: Principal, asked: ApprovalRecord, task: TaskRecord, verb: str) -> None:
    if working.rules.policies is not None:
        resource = facts(
            "Approval",
            "approval",
            tenant=task.tenant,
            kind=asked.kind,
            verb=verb,
            asked_by=asked.asked_by or "",
            submitter=task.submitted_by,
            labels=labels_of(task.labels),
        )
        _allow(working, PolicyAction.APPROVAL_DECIDE, of_key(by), resource)


def key(working: WorkingSet, by: Principal, *, role: str, bot: str | None, owner: str | None) -> None:
    if working.rules.policies is not None:
        resource = facts("Key", "key", tenant=by.tenant, role=role, bot=bot or "", owner=owner or "")
        _allow(working, PolicyAction.KEY_MANAGE, of_key(by), resource)


def audit(rules: Rules, by: Principal) -> None:
    if rules.policies is not None:
        check(rules, PolicyAction.AUDIT_READ, of_key(by), facts("Log", by.tenant, tenant=by.tenant))


def _allow(working: WorkingSet, action: PolicyAction, principal: Facts, resource: Facts) -> None:
    _note(working, check(working.rules, action, principal, resource))


def _note(working: LoadedRows, reasons: tuple[str, ...]) -> None:
    """Put the policies that allowed the command into its audit record, each once."""
    context = working.context
    assert context is not None, "policies are asked within a command"
    context.reasons += tuple(reason for reason in reasons if reason not in context.reasons)
