"""Verdicts: apply an evaluator's verdict to a subtask, to a round of reviews, and to the task."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from swarmkeeper.core import events, lookups
from swarmkeeper.core.catalogue import EventBody
from swarmkeeper.core.decide.effects import closing, deadline, holding, loading, questions
from swarmkeeper.core.decide.working_set import WorkingSet, failure
from swarmkeeper.core.errors import Detail
from swarmkeeper.core.model import Json, ReworkTarget, SubtaskSpec, TaskRecord, VerdictRecord, Work
from swarmkeeper.core.ports import Rules
from swarmkeeper.core.rules import graph
from swarmkeeper.core.states import (
    FINAL,
    Decision,
    FailureCode,
    Kind,
    Status,
    TaskTransition,
    Transition,
)


def to_json(verdict: VerdictRecord) -> dict[str, Json]:
    return {
        "decision": str(verdict.decision),
        "score": verdict.score,
        "reasons": list(verdict.reasons),
        "findings": [dict(finding) for finding in verdict.findings],
        "targets": [{"subtask": target.subtask, "feedback": target.feedback} for target in verdict.targets],
        "subtasks": [graph.to_json(spec) for spec in verdict.subtasks],
    }


def from_json(plain: Mapping[str, Json]) -> VerdictRecord:
    return VerdictRecord(
        decision=Decision(plain["decision"]),
        score=plain.get("score"),
        reasons=tuple(plain.get("reasons") or ()),
        findings=tuple(plain.get("findings") or ()),
        targets=tuple(
            ReworkTarget(target["subtask"], target.get("feedback", "")) for target in plain.get("targets") or ()
        ),
        subtasks=tuple(graph.from_json(subtask) for subtask in plain.get("subtasks") or ()),
    )


def readable(verdict: VerdictRecord, rules: Rules, tenant: str) -> VerdictRecord:
    """Return the verdict redacted for people. The feedback for each target goes to bots, and is left unchanged."""
    plain = {"reasons": list(verdict.reasons), "findings": [dict(finding) for finding in verdict.findings]}
    clean = rules.redact(plain, tenant=tenant).value
    return replace(verdict, reasons=tuple(clean["reasons"]), findings=tuple(clean["findings"]))


def check_verdict(working: WorkingSet, task: TaskRecord, work: Work, verdict: VerdictRecord) -> list[Detail]:
    """Return all errors of a verdict as (JSON Pointer, code, text)."""
    errors: list[Detail] = []
    if work.subject is not None:
        subject = working.work(work.subject)
        errors += [
            (f"/verdict/targets/{number}/subtask", "not_judged", "this review judges one subtask alone")
            for number, target in enumerate(verdict.targets)
            if target.subtask != subject.key
        ]
        if verdict.subtasks:
            errors.append(("/verdict/subtasks", "not_judged", "the review of one subtask cannot add others"))
        return errors
    if verdict.decision is not Decision.REWORK and verdict.subtasks:
        errors.append(("/verdict/subtasks", "not_rework", "only a verdict of rework adds subtasks"))
    if verdict.decision is not Decision.REWORK and verdict.targets:
        errors.append(("/verdict/targets", "not_rework", "only a verdict of rework names targets"))
    known = dict(
        zip(
            [target.subtask for target in verdict.targets],
            working.get_many(lookups.WORK_KEY, [(task.id, target.subtask) for target in verdict.targets]),
            strict=True,
        )
    )
    working.get_many(lookups.WORK, [work_id for work_id in known.values() if work_id is not None])
    for number, target in enumerate(verdict.targets):
        work_id = known[target.subtask]
        if work_id is None or working.work(work_id).kind is not Kind.EXECUTE:
            errors.append((f"/verdict/targets/{number}/subtask", "unknown_key", "the task has no subtask of this key"))
    if verdict.subtasks:
        existing, _ = working.get(lookups.GRAPH, task.id)
        keys = [working.work(work_id).key for work_id in existing]
        errors += graph.check_plan(verdict.subtasks, at="/verdict", existing=keys, labelled=task.subtask_labels)
    return errors


# ---- the review of one subtask -------------------------------------------------------------------------------------


def judge_subtask(working: WorkingSet, task: TaskRecord, review: Work, verdict: VerdictRecord) -> None:
    """Apply the verdict on one subtask (evaluation `each`)."""
    assert review.subject is not None
    subject = working.work(review.subject)
    if subject.status is not Status.IN_REVIEW:
        return
    key, round_, decision = subject.key, subject.round, verdict.decision
    if verdict.decision is Decision.ACCEPT:
        working.move_work(task, subject, Transition.ACCEPTED)
        working.emit(events.WorkAccepted(key=key, round=round_, decision=decision), task=task, work=subject)
        closing.item_ended(working, task, subject)
    elif verdict.decision is Decision.REJECT:
        rejected = events.WorkRejected(key=key, round=round_, decision=decision)
        _fail_subject(working, task, subject, Transition.REJECTED, FailureCode.REJECTED, rejected)
    elif subject.reworks + 1 > task.max_rounds:
        exhausted = events.WorkRoundsExhausted(key=key, round=round_, decision=decision)
        _fail_subject(working, task, subject, Transition.ROUNDS_EXHAUSTED, FailureCode.ROUNDS_EXHAUSTED, exhausted)
    else:
        feedback = [target.feedback for target in verdict.targets] + list(verdict.reasons)
        for text in feedback:
            working.give_feedback(subject, subject.round, text)
        working.move_work(task, subject, Transition.REWORK)
        subject.reworks += 1
        subject.round += 1
        subject.tries = subject.crashes = subject.deferrals = subject.put_off = subject.unseen = 0
        subject.result = subject.result_hash = None
        working.emit(events.WorkRework(key=key, round=round_, decision=decision), task=task, work=subject)


def review_of_subtask_failed(working: WorkingSet, task: TaskRecord, review: Work) -> None:
    assert review.subject is not None
    subject = working.work(review.subject)
    if subject.status is Status.IN_REVIEW:
        event = events.WorkReviewFailed(key=subject.key, round=subject.round)
        _fail_subject(working, task, subject, Transition.REVIEW_FAILED, FailureCode.REVIEW_EXHAUSTED, event)


def _fail_subject(
    working: WorkingSet, task: TaskRecord, subject: Work, transition: Transition, code: FailureCode, event: EventBody
) -> None:
    working.move_work(task, subject, transition)
    subject.error = failure(str(code), f"the review of this subtask ended as {transition}")
    working.emit(event, task=task, work=subject)
    closing.item_ended(working, task, subject)


# ---- a round of reviews of the whole -------------------------------------------------------------------------------


def exclude_reviewer_owners(working: WorkingSet, task: TaskRecord, review: Work) -> None:
    """Exclude, from each open review of the round, the owners that hold or have voted in another one.

    So no two reviews of a round go to the same owner.
    """
    if review.subject is not None or task.quorum[1] == 1:
        return
    items = _round_items(working, task)
    for item in items:
        others = {other.reviewer_owner for other in items if other.id != item.id and other.reviewer_owner is not None}
        excluded = tuple(sorted({*task.contributors, *others}))
        if item.status in FINAL or item.excluded == excluded:
            continue
        working.edit_work(item).excluded = excluded
        if item.status is Status.READY and item.start_due is not None:
            working.stop_start_clock(item)
            working.make_ready(task, item)


def _round_items(working: WorkingSet, task: TaskRecord) -> list[Work]:
    found = working.get_many(lookups.WORK_KEY, [(task.id, key) for key in closing.review_keys(task)])
    return working.works(work_id for work_id in found if work_id is not None)


def conclude_round(working: WorkingSet, task: TaskRecord) -> None:
    """Apply the round's decision, if the votes allow one.

    The quorum's number of equal votes accepts or rejects. Once neither can be reached, or no review is open, any vote
    for rework leads to rework; without one, the result is rejected. A FAILED review has no vote.
    """
    items = _round_items(working, task)
    needed, _ = task.quorum
    voted = [item for item in items if item.status is Status.SUCCEEDED]
    bodies = working.bodies(item.result for item in voted)
    votes = [from_json(json.loads(body)) for body in bodies]
    still_open = sum(item.status not in FINAL for item in items)
    count = {decision: sum(vote.decision is decision for vote in votes) for decision in Decision}
    if count[Decision.ACCEPT] >= needed:
        decision = Decision.ACCEPT
    elif count[Decision.REJECT] >= needed:
        decision = Decision.REJECT
    elif still_open and max(count[Decision.ACCEPT], count[Decision.REJECT]) + still_open >= needed:
        return
    elif not votes:
        closing.fail_task(working, task, FailureCode.REVIEW_EXHAUSTED, "no review of the result came to a verdict")
        return
    else:
        decision = Decision.REWORK if count[Decision.REWORK] else Decision.REJECT
    for item in items:
        if item.status not in FINAL:
            closing.cancel_item(working, task, item)
    combined = _combine(decision, votes)
    name = working.write_payload(task, f"{task.id}/verdict/{task.round}", json.dumps(to_json(combined)).encode())
    working.edit_task(task).verdict = name
    counts = {str(each): count[each] for each in Decision}
    working.emit(events.TaskJudged(decision=decision, round=task.round, votes=counts), task=task)
    if decision is Decision.ACCEPT:
        closing.accept(working, task)
    elif decision is Decision.REJECT:
        closing.fail_task(working, task, FailureCode.REJECTED, "the review rejected the result")
    elif task.reworks + 1 > task.max_rounds:
        if task.approval == "rounds":
            holding.ask_people(
                working,
                task,
                "rounds",
                question="All rounds of rework are used up. Accept the result as it is, or allow one more round?",
                choices=("accept", "round"),
                subject=questions.result(working, task),
            )
        else:
            detail = f"{task.max_rounds} rounds of rework did not satisfy the review"
            closing.fail_task(working, task, FailureCode.ROUNDS_EXHAUSTED, detail)
    else:
        rework(working, task, combined)


def _combine(decision: Decision, votes: Sequence[VerdictRecord]) -> VerdictRecord:
    """Combine votes: the mean score, all reasons and findings; for rework, all targets and new subtasks."""
    scores = [vote.score for vote in votes if vote.score is not None]
    reworks = [vote for vote in votes if vote.decision is Decision.REWORK] if decision is Decision.REWORK else []
    new: dict[str, SubtaskSpec] = {}
    for vote in reworks:
        for spec in vote.subtasks:
            new.setdefault(spec.key, spec)
    return VerdictRecord(
        decision=decision,
        score=sum(scores) / len(scores) if scores else None,
        reasons=tuple(reason for vote in votes for reason in vote.reasons),
        findings=tuple(finding for vote in votes for finding in vote.findings),
        targets=tuple(target for vote in reworks for target in vote.targets),
        subtasks=tuple(new.values()),
    )


def rework(working: WorkingSet, task: TaskRecord, verdict: VerdictRecord) -> None:
    """Start another round: reopen the targets and everything downstream, and add the verdict's new subtasks."""
    roots: dict[str, None] = {}
    keys = sorted({target.subtask for target in verdict.targets})
    named = working.get_many(lookups.WORK_KEY, [(task.id, key) for key in keys])
    works = {work.key: work for work in working.works(work_id for work_id in named if work_id is not None)}
    if keys:
        roots = dict.fromkeys(works[key].id for key in keys)
    elif not verdict.subtasks:
        found, edges = working.get(lookups.GRAPH, task.id)
        inner = {edge.parent for edge in edges if edge.condition == "success"}
        roots = dict.fromkeys(
            work_id for work_id in found if work_id not in inner and working.work(work_id).status is Status.SUCCEEDED
        )
    told = {works[target.subtask].id for target in verdict.targets if target.feedback}
    for target in verdict.targets:
        working.give_feedback(works[target.subtask], task.round, target.feedback)
    if not keys:
        told.update(roots if verdict.reasons else ())
        for work_id in roots:
            for reason in verdict.reasons:
                working.give_feedback(working.work(work_id), task.round, reason)
    working.edit_task(task)
    task.round += 1
    task.reworks += 1
    working.move_task(
        task,
        TaskTransition.REWORK,
        events.TaskRework,
        round=task.round,
        targets=keys[: events.KEYS_MAX],
        added=len(verdict.subtasks),
    )
    deadline.start(working, task)
    seen = task.subtask_labels
    loading.reopen(working, task, roots, clear=False, told=told)
    if verdict.subtasks:
        loading.add_subtasks(working, task, verdict.subtasks, seen=seen)
