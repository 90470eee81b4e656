"""Decisions by people: approvals and answers to questions."""

from __future__ import annotations

import json
from collections.abc import Mapping

from swarmkeeper.core import events, lookups
from swarmkeeper.core.commands import Decide
from swarmkeeper.core.decide import policies
from swarmkeeper.core.decide.decisions import review
from swarmkeeper.core.decide.decisions import work as work_decisions
from swarmkeeper.core.decide.effects import accounts, closing, deadline, holding, questions
from swarmkeeper.core.decide.effects.owners import check_may, is_own_key
from swarmkeeper.core.decide.working_set import WorkingSet, failure
from swarmkeeper.core.errors import (
    AlreadyDecided,
    Invalid,
    PermissionDenied,
    ResourceNotFound,
    SignInRequired,
    StaleApproval,
)
from swarmkeeper.core.model import AnswerRecord, ApprovalRecord, Json, Principal, TaskRecord
from swarmkeeper.core.states import FailureCode, Status, TaskStatus, Transition

SECOND = 1_000_000
CLOCKS_DIFFER = 120 * SECOND  # at most, between a provider and this server

_VERBS: Mapping[str, tuple[str, ...]] = {
    "plan": ("approve", "reject"),
    "final": ("approve", "reject"),
    "rounds": ("answer", "reject"),
    "question": ("answer", "reject"),
    "budget": ("approve", "reject"),
}


def decide(working: WorkingSet, command: Decide) -> str:
    """Take a person's decision, once; return the approval's id. Repeating the same decision changes nothing."""
    check_may(working, command.by, "approval.decide")
    approval: ApprovalRecord | None = working.get(lookups.APPROVAL, command.approval)
    if approval is None or approval.tenant != command.by.tenant:
        raise ResourceNotFound("no such approval")
    decision: dict[str, Json] = {"verb": command.verb}
    if command.verb == "answer":
        decision["answer"] = command.answer  # the bot gets it unchanged; the stored decision is redacted
    decision = working.rules.redact(decision, tenant=approval.tenant).value
    if approval.state == "decided":
        known = approval.decision or {}
        made = {name: known.get(name) for name in decision}
        if json.dumps(made, sort_keys=True) == json.dumps(decision, sort_keys=True):  # in Python, True == 1
            return approval.id
        raise AlreadyDecided("another decision was already made")
    if approval.state != "open":
        raise AlreadyDecided(f"the question is {approval.state}")
    if command.verb not in _VERBS[approval.kind]:
        raise AlreadyDecided(f"an approval of kind {approval.kind} allows {' or '.join(_VERBS[approval.kind])}")
    task = working.task(approval.task, approval.tenant)
    _check_independent(working, command.by, approval, task)
    policies.approval(working, command.by, approval, task, command.verb)
    signed_in = _check_signed_in(working, command.by, approval)
    if command.verb == "approve" and command.subject_hash != approval.subject_hash:
        raise StaleApproval("the subject of the approval has changed since it was read")
    if command.verb == "answer":
        _check_answer(working, approval, command.answer)
    reason = working.rules.text(command.reason, tenant=task.tenant)
    body = {"approval": approval.id, "kind": approval.kind, "verb": command.verb, "reason": reason}
    answered = {"question": approval.question, "answer": command.answer} if command.verb == "answer" else {}
    working.record("approval.decide", approval.id, task=task, body={**body, **answered}, own=signed_in)
    questions.close(working, approval, "decided")
    approval.decision = {**decision, "reason": reason}
    approval.decided_by, approval.decided_at = command.by.key_id, working.now
    approval.decided_person = command.by.person
    decided = events.ApprovalDecided(approval=approval.id, kind=approval.kind, verb=command.verb, reason=reason)
    working.emit(decided, task=task)
    if command.verb == "reject":
        denied(working, task, approval, FailureCode.APPROVAL_DENIED)
    else:
        _carry_out(working, task, approval, command.answer)
    return approval.id


def _check_independent(working: WorkingSet, by: Principal, approval: ApprovalRecord, task: TaskRecord) -> None:
    """Check that nobody decides on what they asked for; and, except for bots' questions, on their own task or work.

    Raises:
        PermissionDenied: the caller does.
    """
    if not working.limits.four_eyes:
        return
    asker = approval.asked_by
    if asker == by.key_id or (asker != task.submitted_by and is_own_key(working, by, asker)):
        raise PermissionDenied("the key or bot that asked may not decide")
    if approval.kind == "question":
        return
    if is_own_key(working, by, task.submitted_by):
        raise PermissionDenied("whoever submitted the task may not decide on it: ask somebody else (four_eyes)")
    if not {by.key_id, by.bot, by.owner, by.person}.isdisjoint(task.contributors):
        raise PermissionDenied("whoever owns a part of the task may not decide on it: ask somebody else (four_eyes)")


def _check_signed_in(working: WorkingSet, by: Principal, approval: ApprovalRecord) -> dict[str, Json]:
    """Check that the caller signed in as short a time ago as the approval asks for; return what the evidence keeps.

    Raises:
        SignInRequired: the caller has an API key, or signed in too long ago.
    """
    asked = [each for each in (approval.step_up, working.limits.step_up) if each]
    if not asked:
        return {}
    most, login = min(asked), by.token
    signed_in_at = None if login is None else login.signed_in_at
    # A sign-in that lies further ahead than clocks differ proves nothing.
    if signed_in_at is None or not -CLOCKS_DIFFER <= working.wall - signed_in_at <= most:
        why = (
            "an API key is no sign-in: use a token of the identity provider"
            if login is None
            else "sign in again"
            if signed_in_at is not None
            else "the token does not say when and how its holder signed in"
        )
        error = SignInRequired(f"deciding needs a sign-in at most {most // SECOND} seconds ago: {why}")
        error.max_age_seconds, error.acr = most // SECOND, () if login is None else login.acr
        raise error
    return {"signed_in_at": signed_in_at, "step_up_seconds": most // SECOND}


def _check_answer(working: WorkingSet, approval: ApprovalRecord, answer: Json) -> None:
    if approval.choices and answer not in approval.choices:
        raise Invalid("not one of the choices", details=(("/answer", "not_a_choice", "must be one of `choices`"),))
    schema, check = approval.schema, working.rules.check_answer
    errors = () if schema is None else check(schema, answer, tenant=approval.tenant)
    if errors:
        raise Invalid("the answer does not match the schema of the question", details=errors)


def _raise_budget(working: WorkingSet, task: TaskRecord, approval: ApprovalRecord) -> None:
    by = (approval.subject or {})["raise_by"]
    if approval.work is None:
        accounts.raise_limits(working, task, None, by)
        holding.unhold(working, task, approval.id)
        if task.status is not TaskStatus.COMPLETED:
            deadline.start(working, task)
        return
    work = working.work(approval.work)
    accounts.raise_limits(working, task, work, by)
    if work.status is Status.WAITING:
        working.move_work(task, work, Transition.ANSWERED)
        raised = events.WorkAnswered(key=work.key, kind=work.kind, attempt=work.attempt, round=work.round)
        working.emit(raised, task=task, work=work)


def _carry_out(working: WorkingSet, task: TaskRecord, approval: ApprovalRecord, given: Json) -> None:
    if approval.kind == "budget":
        _raise_budget(working, task, approval)
        return
    if approval.kind == "question":
        assert approval.work is not None
        work = working.work(approval.work)
        if work.status is Status.WAITING:
            working.changes.answered.append(AnswerRecord(work.id, task.id, approval.question, given, working.now))
            working.move_work(task, work, Transition.ANSWERED)
            answered = events.WorkAnswered(key=work.key, kind=work.kind, attempt=work.attempt, round=work.round)
            working.emit(answered, task=task, work=work)
        return
    holding.unhold(working, task, approval.id)
    if approval.kind == "final":
        closing.archive_accepted(working, task)
    elif approval.kind == "plan":
        deadline.start(working, task)
    elif given == "accept":
        closing.accept(working, task)
    else:
        assert task.verdict is not None
        review.rework(working, task, review.from_json(working.payload(task.verdict)))


def denied(working: WorkingSet, task: TaskRecord, approval: ApprovalRecord, code: FailureCode) -> None:
    """Apply a rejection, or an approval that expired."""
    if approval.kind == "budget" and approval.work is None:
        denial = "a person did not raise it" if code is FailureCode.APPROVAL_DENIED else "nobody raised it in time"
        closing.fail_task(working, task, FailureCode.BUDGET, f"the budget is used up, and {denial}")
        return
    if approval.kind not in ("question", "budget"):
        words = "a person said no" if code is FailureCode.APPROVAL_DENIED else "nobody decided in time"
        closing.fail_task(working, task, code, words)
        return
    assert approval.work is not None
    work = working.work(approval.work)
    if work.status is not Status.WAITING:
        return
    rejected = code is FailureCode.APPROVAL_DENIED
    working.move_work(task, work, Transition.DENIED if rejected else Transition.ANSWER_EXPIRED)
    if approval.kind == "budget":
        work.error = failure(str(FailureCode.BUDGET), "its budget is used up, and was not raised")
    else:
        work.error = failure(str(code), "the question was not answered")
    event = events.WorkDenied if rejected else events.WorkAnswerExpired
    working.emit(event(key=work.key, approval=approval.id), task=task, work=work)
    work_decisions.failed(working, task, work)


def _decide_by_default(
    working: WorkingSet, task: TaskRecord, approval: ApprovalRecord, decision: Mapping[str, Json]
) -> None:
    reason = "nobody decided in time"
    questions.close(working, approval, "decided")
    approval.decision = {**decision, "reason": reason}
    approval.decided_by, approval.decided_at = "engine", working.now
    decided = events.ApprovalDecided(approval=approval.id, kind=approval.kind, verb=decision["verb"], reason=reason)
    working.emit(decided, task=task)
    _carry_out(working, task, approval, decision.get("answer"))


def reminded(working: WorkingSet, kind: str, approval: ApprovalRecord | None, ref: str) -> None:
    """Tell that an approval is still open: a reminder, or an escalation."""
    working.set_timer(kind, ref, None)
    if approval is None or approval.state != "open":
        return
    task = working.task(approval.task)
    working.record(f"approval.{kind}", approval.id, task=task)
    event = events.ApprovalReminded if kind == "remind" else events.ApprovalEscalated
    working.emit(event(approval=approval.id, kind=approval.kind), task=task)


def expired(working: WorkingSet, approval: ApprovalRecord) -> None:
    if approval.state != "open":
        return
    if approval.expires_at > working.now:
        working.set_timer("answer", approval.id, approval.expires_at)
        return
    task = working.task(approval.task)
    working.record("approval.expire", approval.id, task=task)
    if approval.at_expiry is not None:
        _decide_by_default(working, task, approval, approval.at_expiry)
        return
    questions.close(working, approval, "expired")
    working.emit(events.ApprovalExpired(approval=approval.id, kind=approval.kind), task=task)
    denied(working, task, approval, FailureCode.APPROVAL_EXPIRED)
