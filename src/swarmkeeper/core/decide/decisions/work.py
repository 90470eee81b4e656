"""Decisions on bots' work: take, heartbeat, report, release, ask. The fence and the counting of tries are here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Concatenate, ParamSpec

from swarmkeeper.core import events, lookups
from swarmkeeper.core.answers import Refusal, ReportReceipt
from swarmkeeper.core.commands import AskQuestion, ClaimWork, ReleaseLease, ReportResult
from swarmkeeper.core.decide import key_lines, policies, work_rates
from swarmkeeper.core.decide.decisions import budgets, planning, review
from swarmkeeper.core.decide.effects import accounts, closing, cooldowns, questions, rows
from swarmkeeper.core.decide.effects.owners import held_lease, own_bot, within
from swarmkeeper.core.decide.working_set import WorkingSet, failure
from swarmkeeper.core.errors import (
    AlreadyReported,
    Detail,
    Invalid,
    InvalidPlan,
    LeaseLost,
    LeaseRequired,
    SwarmkeeperError,
    TaskClosed,
)
from swarmkeeper.core.events import OfAttempt
from swarmkeeper.core.model import (
    AttemptFailure,
    AttemptRecord,
    BotRecord,
    Json,
    LateResultRecord,
    LeaseRecord,
    QueueEntry,
    TaskRecord,
    Work,
)
from swarmkeeper.core.rules import graph, retry
from swarmkeeper.core.rules.cooldowns import LEAST, scope_of
from swarmkeeper.core.rules.heartbeat_log import joined
from swarmkeeper.core.states import (
    TASK_CLOSED,
    AttemptOutcome,
    ErrorClass,
    Evaluation,
    FailureCode,
    Kind,
    Status,
    TaskStatus,
    TaskTransition,
    Transition,
)

P = ParamSpec("P")


# ---- leases --------------------------------------------------------------------------------------------------------


def take(working: WorkingSet, claim: ClaimWork, bot: BotRecord, ready: QueueEntry, ttl: int) -> LeaseRecord | None:
    """Lease one item to a bot; return None if the bot may not have it (any more)."""
    work = working.work(ready.work)
    task = working.task(work.task)
    if work.status is not Status.READY or work.start_due is None or working.is_held(task) or bot.owner in work.excluded:
        return None
    if not policies.may_take(working, task, work, bot):
        return None
    if work.limits is not None and not key_lines.may_start(working, work):
        return None
    rated = task.tenant in working.rates
    skills = working.queues.by_id[work.queue].skills if rated else ()
    if rated and not work_rates.allowed_of(working, task.tenant, skills):
        return None
    # Keys and rates are counted only after this: an item without an allowance uses nothing of them.
    reserved = None
    if task.budget is not None or work.budget is not None or task.tenant in working.budgets.tenants:
        reserved = budgets.reserve(working, task, work)
        if reserved is None:
            if work.error is not None:  # it stopped at its own budget's limit
                failed(working, task, work)
                closing.finish_completed_tasks(working)
            return None
    if rated:
        work_rates.leased(working, bot, skills)
    lease = working.grant(task, work, bot, ttl=ttl, claim_id=claim.claim_id)
    if reserved is not None and reserved.levels:
        lease.reserved = reserved
    if work.kind is Kind.REVIEW and work.subject is None:
        work.reviewer_owner = bot.owner
        review.exclude_reviewer_owners(working, task, work)
    leased = events.WorkLeased(kind=work.kind, attempt=work.attempt, round=work.round, bot=bot.id, key=work.key)
    working.emit(leased, task=task, work=work)
    if work.kind is Kind.EXECUTE and not task.started:
        working.edit_task(task).started = True
        if task.status is TaskStatus.PLANNED:  # else it finished before without a lease, and this is rework
            working.move_task(task, TaskTransition.STARTED, events.TaskStarted)
    return lease


def _about(work: Work) -> dict[str, Json]:
    return {"key": work.key, **_engine_fields(work)}


def _engine_fields(work: Work) -> dict[str, Json]:
    """Return the part of `_about` whose values the engine made."""
    return {"kind": work.kind.value, "attempt": work.attempt, "round": work.round}


def _of_attempt(
    event: Callable[Concatenate[str, Kind, int, int, P], OfAttempt], work: Work, *args: P.args, **fields: P.kwargs
) -> OfAttempt:
    """Return an event of the item's current attempt, with the further fields of its kind."""
    return event(work.key, work.kind, work.attempt, work.round, *args, **fields)


def _end(
    working: WorkingSet, task: TaskRecord, work: Work, lease: LeaseRecord, ending: AttemptOutcome, **written: Any
) -> AttemptRecord:
    """End an attempt. If a review ended without a vote, its owner may take other reviews of the round again."""
    attempt = accounts.end_attempt(working, task, work, lease, ending, **written)
    if work.reviewer_owner is not None and ending is not AttemptOutcome.SUCCEEDED:
        working.edit_work(work).reviewer_owner = None
    return attempt


def give_back(
    working: WorkingSet,
    task: TaskRecord,
    work: Work,
    lease: LeaseRecord,
    ending: AttemptOutcome,
    transition: Transition,
    over_budget: Mapping[str, Json] | None = None,
) -> None:
    """Return the item to its old position in the queue; no try is counted.

    Args:
        over_budget: the error of an attempt that was ended because it is over its budget.
    """
    _end(working, task, work, lease, ending, error=over_budget, over_budget=over_budget is not None)
    working.move_work(task, work, transition)
    review_changed(working, task, work)
    if transition is Transition.LEASE_UNSEEN:
        working.emit(_of_attempt(events.WorkLeaseUnseen, work, bot=lease.bot), task=task, work=work)
    else:
        working.emit(_of_attempt(events.WorkReleased, work, bot=lease.bot, error=over_budget), task=task, work=work)


def review_changed(working: WorkingSet, task: TaskRecord, work: Work) -> None:
    if work.kind is Kind.REVIEW and work.subject is None:
        review.exclude_reviewer_owners(working, task, work)


# ---- failures ------------------------------------------------------------------------------------------------------


def try_failed(
    working: WorkingSet,
    task: TaskRecord,
    work: Work,
    lease: LeaseRecord,
    transition: Transition,
    *,
    ending: AttemptOutcome,
    error: Mapping[str, Json],
    retryable: bool = True,
    **written: Any,
) -> None:
    """Count a try that failed or timed out: the item waits for the next try, or fails if none is left."""
    _end(working, task, work, lease, ending, error=error, **written)
    working.edit_work(work)
    work.tries += 1
    work.deferrals = work.put_off = 0
    if not retryable or work.tries >= work.max_attempts:
        working.move_work(task, work, Transition.FAILED)
        work.error = failure("subtask_failed", str(error.get("message", "")))
        last = _of_attempt(events.WorkFailed, work, bot=lease.bot, tries=work.tries, error=error)
        working.emit(last, task=task, work=work)
        failed(working, task, work)
        return
    until = working.now + retry.backoff(work.tries, working.chance(work.id), "backoff")
    working.wait(task, work, transition, until)
    review_changed(working, task, work)
    event = events.WorkTimedOut if transition is Transition.TIMED_OUT else events.WorkAttemptFailed
    wait = (until - working.now) / 1_000_000
    again = _of_attempt(event, work, bot=lease.bot, tries=work.tries, error=error, in_seconds=wait)
    working.emit(again, task=task, work=work)


def crashed(working: WorkingSet, task: TaskRecord, work: Work, lease: LeaseRecord) -> None:
    """Count a crash of a bot that went silent. After too many crashes in a row, the item is poisoned and fails."""
    _end(working, task, work, lease, AttemptOutcome.EXPIRED)
    working.edit_work(work).crashes += 1
    work.deferrals = work.put_off = 0
    if work.crashes >= working.limits.crashes_max:
        working.move_work(task, work, Transition.POISONED)
        work.error = failure("poisoned", f"{work.crashes} bots in a row went silent over it")
        poisoned = _of_attempt(events.WorkPoisoned, work, bot=lease.bot, crashes=work.crashes)
        working.emit(poisoned, task=task, work=work)
        failed(working, task, work)
        return
    until = working.now + retry.backoff(work.crashes, working.chance(work.id), "backoff")
    working.wait(task, work, Transition.LEASE_EXPIRED, until)
    review_changed(working, task, work)
    wait = (until - working.now) / 1_000_000
    expired = _of_attempt(events.WorkLeaseExpired, work, bot=lease.bot, crashes=work.crashes, in_seconds=wait)
    working.emit(expired, task=task, work=work)


def failed(working: WorkingSet, task: TaskRecord, work: Work) -> None:
    """Apply the consequences of a FAILED item to its task."""
    code = FailureCode((work.error or {}).get("code", "subtask_failed"))
    if work.kind is Kind.EXECUTE:
        closing.item_ended(working, task, work)
    elif work.kind is Kind.PLAN:
        code = FailureCode.PLANNING_FAILED if code is FailureCode.SUBTASK_FAILED else code
        closing.fail_task(working, task, code, "no sound plan was made", work)
    elif work.subject is not None:
        review.review_of_subtask_failed(working, task, work)
    else:
        review.exclude_reviewer_owners(working, task, work)
        review.conclude_round(working, task)


def deferred(
    working: WorkingSet,
    task: TaskRecord,
    work: Work,
    lease: LeaseRecord,
    wait: int,
    why: str,
    scope: str | None = None,
    **written: Any,
) -> None:
    """Defer the item by `wait` microseconds without counting a try; fail it if it was deferred too long in a row.

    Only the deferrals count: holds, a lack of bots and the attempts themselves do not. A deferral that begins before
    the limit is granted in full.
    """
    if work.put_off >= work.give_up:
        message = f"given up: put off for {work.put_off // 1_000_000} s in a row" + (f"; at last: {why}" if why else "")
        written["error"] = {"class": "not_retryable", "message": message}
        transition = Transition.ATTEMPT_FAILED
        try_failed(working, task, work, lease, transition, ending=AttemptOutcome.FAILED, retryable=False, **written)
        return
    reason, error = written.get("reason") or None, written.get("error") or None
    _end(working, task, work, lease, AttemptOutcome.DEFERRED if wait > 0 else AttemptOutcome.RELEASED, **written)
    working.edit_work(work).deferrals += 1
    work.put_off += wait
    if wait <= 0:
        working.move_work(task, work, Transition.RELEASED)
        review_changed(working, task, work)
        released = _of_attempt(events.WorkReleased, work, bot=lease.bot, reason=reason, error=error)
        working.emit(released, task=task, work=work)
        return
    working.wait(task, work, Transition.DEFERRED, working.now + wait)
    review_changed(working, task, work)
    seconds = wait / 1_000_000
    given = partial(events.WorkDeferred, bot=lease.bot, reason=reason, error=error, scope=scope, in_seconds=seconds)
    working.emit(_of_attempt(given, work), task=task, work=work)


# ---- reports -------------------------------------------------------------------------------------------------------


def report(working: WorkingSet, command: ReportResult) -> ReportReceipt | Refusal:
    """Take the result of the bot that holds the lease.

    A report after `expires_at` is accepted until `expire` has ended the lease: only `expire` decides when a silent bot
    has lost its work.
    """
    bot = own_bot(working, command.by, command.bot, "work.report")
    if command.task is not None:
        task = working.task(command.task, command.by.tenant)
    lease_id = command.lease_id if command.lease_id is not None else _only_lease(working, command)
    attempt: AttemptRecord | None = working.get(lookups.ATTEMPT, lease_id)
    if command.task is None:
        held = working.lease(lease_id) or attempt
        if held is None or held.bot != bot.id or not within(working, command.by, held.task, held.work):
            raise _lease_lost(working, None)
        task = working.task(held.task)
    found = attempt or working.lease(lease_id)
    if found is not None and not within(working, command.by, found.task, found.work):
        raise _lease_lost(working, None)
    if attempt is not None and (attempt.bot != bot.id or attempt.task != task.id):
        attempt = None
        lease = None
    else:
        lease = working.lease(lease_id)
    if attempt is not None and attempt.result_hash is not None:
        if attempt.result_hash != command.content_hash:
            raise AlreadyReported("another result was accepted under this lease")
        return ReportReceipt(task, replayed=True, again=lease_id)
    if lease is not None and (lease.bot != bot.id or lease.task != task.id):
        lease = None
    if task.status in TASK_CLOSED:
        return _too_late(
            working,
            command,
            task,
            lease,
            attempt,
            TaskClosed("the task is closed; the result was kept as a late result"),
        )
    if lease is None:
        return _too_late(working, command, task, None, attempt, _lease_lost(working, attempt))
    work = working.work(lease.work)
    policies.report(working, task, work, bot)
    own = {**_engine_fields(work), "bytes": len(command.content)}
    working.record("work.report", work.id, task=task, body={"key": work.key}, own=own)
    _note_progress(working, lease, command.progress)
    if command.failure is not None:
        _report_failure(working, task, work, lease, command, command.failure)
        return ReportReceipt(task)
    return _report_success(working, task, work, lease, bot, command)


def _note_progress(working: WorkingSet, lease: LeaseRecord, progress: Mapping[str, Json] | None) -> None:
    """Mark the lease as seen, and add the attempt's last progress."""
    working.mark_seen(lease)
    if progress:
        working.edit_lease(lease).progress = joined(lease.progress, progress)


def _lease_lost(working: WorkingSet, attempt: AttemptRecord | None) -> LeaseLost:
    if attempt is None:
        return LeaseLost("no live lease of this bot has that id")
    seconds = (working.now - attempt.ended) // 1_000_000
    return LeaseLost(f"result not accepted: this lease ended {seconds} s ago ({attempt.ending})")


def _only_lease(working: WorkingSet, command: ReportResult) -> str:
    """Return the id of the bot's only lease on the task, for a report that names none.

    Raises:
        LeaseRequired: the bot has no lease on the task, or has or had several.
    """
    ended, live = working.get(lookups.GRANTS, (command.bot, command.task))
    if ended == 0 and len(live) == 1:
        lease = working.get(lookups.LEASE, live[0])
        if lease is not None:
            return str(lease.lease_id)
    raise LeaseRequired("name the lease: this bot has no lease on the task, or has or had several")


def _too_late(
    working: WorkingSet,
    command: ReportResult,
    task: TaskRecord,
    lease: LeaseRecord | None,
    attempt: AttemptRecord | None,
    error: SwarmkeeperError,
) -> Refusal:
    """Keep a result that came too late, and refuse the report.

    A result for an item that was never leased to this bot is not kept, or any caller could fill the disk.
    """
    work_id = lease.work if lease is not None else attempt.work if attempt is not None else None
    if work_id is None:
        raise error
    if task.outcome is not None and working.is_being_erased(task):
        raise TaskClosed("the task is closed and is being erased; the result was not kept")
    work = working.work(work_id)
    lease_id = lease.lease_id if lease is not None else attempt.lease_id if attempt is not None else ""
    if lease is not None:  # in its grace period: its usage counts, and its item can end now
        _end(working, task, work, lease, AttemptOutcome.CANCELLED, usage=command.usage)
        working.move_work(task, work, Transition.CANCELLED)
        working.emit(events.WorkCancelled.of([work]), task=task, work=work)
    count, known = working.get(lookups.LATE, work_id)
    if count < working.limits.late_results_max and (lease_id, command.content_hash) not in known:
        name = working.write_payload(
            task, f"{work_id}/late/{lease_id[4:]}/{command.content_hash[:16]}", command.content
        )
        settled = None
        if lease is None and attempt is not None and command.usage and all(lease_id != late for late, _ in known):
            settled = accounts.settle_late(working, task, work, attempt, command.usage)
        late = (lease_id, command.content_hash, work_id, task.id, task.tenant, command.bot, working.now, name, settled)
        working.changes.late_results.append(LateResultRecord(*late))
        working.emit(events.WorkLateResult(key=work.key, bot=command.bot, code=error.code), task=task, work=work)
    elif lease is None:
        raise error
    working.record("work.report", work_id, task=task, body={"key": work.key})
    working.refused(error.code)
    return Refusal(error)


def _report_failure(
    working: WorkingSet, task: TaskRecord, work: Work, lease: LeaseRecord, command: ReportResult, cause: AttemptFailure
) -> None:
    reported = {"class": str(cause.error_class), "message": cause.message}
    error = working.rules.redact(reported, tenant=task.tenant).value
    assert isinstance(error, dict)
    written: dict[str, Any] = {"result_hash": command.content_hash, "usage": command.usage}
    if cause.error_class is ErrorClass.RATE_LIMITED:
        left = work.give_up - work.put_off
        bot = working.bot(lease.bot, task.tenant)
        scope = cause.scope or scope_of(bot)
        if scope and cause.retry_after is not None:
            wait = max(cause.retry_after, LEAST)  # a probe goes first, so items need no time between them
        else:
            wait = retry.rate_limited(cause.retry_after, work.put_off, max(left, 1), working.chance(work.id))
        if scope:
            cooldowns.begin(working, bot, scope, wait)
        deferred(working, task, work, lease, wait, error["message"], scope or None, error=error, **written)
        return
    try_failed(
        working,
        task,
        work,
        lease,
        Transition.ATTEMPT_FAILED,
        ending=AttemptOutcome.FAILED,
        error=error,
        retryable=cause.error_class is ErrorClass.RETRYABLE,
        **written,
    )


def _content_error(working: WorkingSet, task: TaskRecord, work: Work, command: ReportResult) -> SwarmkeeperError | None:
    """Return why the content of a report cannot be accepted; None if it can."""
    wanted = {Kind.PLAN: "plan", Kind.EXECUTE: "output", Kind.REVIEW: "verdict"}[work.kind]
    sent = {"plan": command.plan, "output": command.output, "verdict": command.verdict}
    if sent[wanted] is None and command.errors_in != wanted:
        where: Detail = (f"/{wanted}", "missing", "required")
        return Invalid(f"a {work.kind} item is reported with `{wanted}`", details=(where,))
    errors: list[Detail] = list(command.errors)
    if command.plan is not None and work.kind is Kind.PLAN:
        errors += graph.check_plan(command.plan, at="/plan") if command.checked is None else command.checked
        number = len(command.plan) if command.written is None else command.written.count
        errors += budgets.too_many_subtasks(task, number, at="/plan")
    if command.verdict is not None and work.kind is Kind.REVIEW and not errors:
        errors += review.check_verdict(working, task, work, command.verdict)
        errors += budgets.too_many_subtasks(task, len(command.verdict.subtasks), at="/verdict")
    if not errors:
        return None
    details = tuple(errors[: graph.ERRORS_MAX])
    if work.kind is Kind.PLAN:
        return InvalidPlan("the plan is invalid; correct it and report again", details=details)
    return Invalid("the verdict is invalid; correct it and report again", details=details)


def _result_body(command: ReportResult) -> bytes:
    if command.written is not None:
        return command.written.body
    if command.plan is not None:
        return json.dumps({"subtasks": [graph.to_json(spec) for spec in command.plan]}).encode()
    if command.verdict is not None:
        return json.dumps(review.to_json(command.shown or command.verdict)).encode()
    assert command.output is not None, "an accepted report has content"
    return command.output


def _report_success(
    working: WorkingSet, task: TaskRecord, work: Work, lease: LeaseRecord, bot: BotRecord, command: ReportResult
) -> ReportReceipt | Refusal:
    if (error := _content_error(working, task, work, command)) is not None:
        return _refuse(working, task, work, lease, error, command.content_hash)
    body = _result_body(command)
    known = command.digest if command.written is None else command.written.digest
    digest = known or hashlib.sha256(body).hexdigest()
    result = working.write_payload(task, f"{work.id}/result/{lease.attempt}", body)
    _end(
        working,
        task,
        work,
        lease,
        AttemptOutcome.SUCCEEDED,
        result=result,
        result_hash=command.content_hash,
        usage=command.usage,
    )
    working.edit_work(work)
    work.result, work.result_hash = result, digest
    work.deferrals = work.put_off = 0
    contributors = {*task.contributors, bot.owner, *([bot.person] if bot.person else [])}
    if work.kind is not Kind.REVIEW and len(contributors) > len(task.contributors):
        working.edit_task(task).contributors = tuple(sorted(contributors))
    each = work.kind is Kind.EXECUTE and task.evaluation is Evaluation.EACH
    working.move_work(task, work, Transition.SUBMITTED if each else Transition.SUCCEEDED)
    event = events.WorkSubmitted if each else events.WorkSucceeded
    done = event(
        kind=work.kind,
        attempt=work.attempt,
        round=work.round,
        bot=bot.id,
        sha256=digest,
        bytes=len(body),
        key=work.key,
    )
    working.emit(done, task=task, work=work)
    if each:
        key = f"review-of/{work.key}/{work.round}"
        rows.add_item(working, task, Kind.REVIEW, key, excluded=task.contributors, subject=work)
    elif work.kind is Kind.EXECUTE:
        closing.item_ended(working, task, work)
    elif command.plan is not None:
        planning.accept_plan(working, task, command.plan, asked_by=bot.name, written=command.written)
    elif command.verdict is not None and work.subject is not None:
        review.judge_subtask(working, task, work, command.verdict)
    else:
        review.conclude_round(working, task)
    return ReportReceipt(task)


def _refuse(
    working: WorkingSet, task: TaskRecord, work: Work, lease: LeaseRecord, error: SwarmkeeperError, content_hash: str
) -> Refusal:
    """Refuse an invalid result. The lease stays, and the bot may correct the result three times.

    The same content again means that the reply was lost, so it is not counted, but at most three times: a bot that
    repeats itself for ever must fail like one that makes new errors.
    """
    repeats = len(lease.refused) - len(set(lease.refused))
    known = content_hash in lease.refused
    working.edit_lease(lease)
    lease.refused = (*lease.refused, content_hash)
    if not known or repeats >= working.limits.refusals_max:
        lease.refusals += 1
    working.refused(error.code)
    if lease.refusals > working.limits.refusals_max:
        details = error.details[:20]
        feedback = "; ".join(f"{pointer}: {text}" for pointer, _, text in details)
        errors = [{"pointer": pointer, "code": code, "detail": text} for pointer, code, text in details]
        message = f"{lease.refusals} results in a row broke the rules"
        plain = {"class": "retryable", "message": message, "errors": errors}
        cause = working.rules.redact(plain, tenant=task.tenant).value
        assert isinstance(cause, dict)
        working.give_feedback(work, work.round, feedback)
        try_failed(working, task, work, lease, Transition.ATTEMPT_FAILED, ending=AttemptOutcome.FAILED, error=cause)
    return Refusal(error)


# ---- heartbeats, release, questions --------------------------------------------------------------------------------


def release(working: WorkingSet, command: ReleaseLease) -> str:
    """Release an item, now or after a delay; return its id. A repeated call returns the same answer."""
    lease, attempt = held_lease(working, command.by, command.lease_id, "work.release")
    if lease is None:
        if attempt is not None and attempt.answer == "released":
            return attempt.work
        raise _lease_lost(working, attempt)
    task, work = working.task(lease.task), working.work(lease.work)
    if task.status in TASK_CLOSED:
        raise TaskClosed("the task is closed; drop the work")
    working.record("work.release", work.id, task=task, body={**_about(work), "reason": command.reason})
    _note_progress(working, lease, command.progress)
    wait = retry.put_off_again(command.delay, work.deferrals, work.put_off)
    why = working.rules.text(command.reason, tenant=task.tenant)
    deferred(working, task, work, lease, wait, why, answer="released", reason=command.reason)
    return work.id


def ask(working: WorkingSet, command: AskQuestion) -> str | Refusal:
    """Ask a person a question, and end the lease; return the question's id.

    The answer comes with the item's next lease. The caller must have redacted the question (`questions.readable`).
    """
    lease, attempt = held_lease(working, command.by, command.lease_id, "work.ask")
    if lease is None:
        if attempt is not None and attempt.ending is AttemptOutcome.ASKED and attempt.answer is not None:
            return attempt.answer
        raise _lease_lost(working, attempt)
    task, work = working.task(lease.task), working.work(lease.work)
    if task.status in TASK_CLOSED:
        raise TaskClosed("the task is closed; drop the work")
    working.record("work.ask", work.id, task=task, body={**_about(work), "question": command.question})
    _note_progress(working, lease, command.progress)
    if (wrong := questions.fault_of(working, command)) is not None:
        content = json.dumps([command.question, command.choices, command.schema], sort_keys=True)
        return _refuse(working, task, work, lease, wrong, hashlib.sha256(content.encode()).hexdigest())
    bot = working.bot(lease.bot, command.by.tenant)
    approval_id = questions.put(
        working,
        task,
        "question",
        question=command.question,
        choices=command.choices,
        schema=command.schema,
        subject={"question": command.question, "choices": list(command.choices), **_about(work)},
        work=work,
        asked_by=bot.name,
        expires=command.expires,
        default=command.default,
        remind=command.remind,
        escalate=command.escalate,
        step_up=command.step_up,
    ).id
    _end(working, task, work, lease, AttemptOutcome.ASKED, answer=approval_id)
    working.edit_work(work)
    work.deferrals = work.put_off = 0  # with a person involved, it cannot loop without end
    working.wait(task, work, Transition.ASKED, None)
    review_changed(working, task, work)
    working.emit(_of_attempt(events.WorkAsked, work, approval=approval_id), task=task, work=work)
    return approval_id
