"""Questions to people: create and cancel approvals, and build what they show.

decisions/approvals.py applies the decisions; holding.py holds a task while a person is asked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from swarmkeeper.core import events, lookups
from swarmkeeper.core.commands import AskQuestion
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import Invalid, SwarmkeeperError
from swarmkeeper.core.model import ApprovalRecord, Json, SubtaskSpec, TaskRecord, Work
from swarmkeeper.core.ports import Rules
from swarmkeeper.core.rules import graph
from swarmkeeper.core.states import Condition, Status

# Results that an approval lists one by one; a hash over all of them covers the others.
RESULTS_LISTED_MAX = 500


REMINDERS = ("remind", "escalate")  # kinds of timers of an open approval

# JSON Schema keywords that hold data. All other texts are standard words, field names and descriptions.
_DATA = frozenset({"const", "default", "enum", "examples"})


def readable(command: AskQuestion, rules: Rules) -> AskQuestion:
    """Return the command with question, choices and schema redacted for people."""
    tenant = command.by.tenant

    def text(value: str) -> str:
        return rules.text(value, tenant=tenant)

    def clean(value: Json) -> Json:
        if isinstance(value, str):
            return text(value)
        if isinstance(value, list):
            return [clean(item) for item in value]
        if isinstance(value, Mapping):
            return {
                text(name): rules.redact(member, tenant=tenant).value if name in _DATA else clean(member)
                for name, member in value.items()
            }
        return value

    choices = tuple(text(choice) for choice in command.choices)
    sent: dict[str, set[str]] = {}  # redacted choice -> original choices
    for choice, original in zip(choices, command.choices, strict=True):
        sent.setdefault(choice, set()).add(original)
    alike = [number for number, choice in enumerate(choices) if len(sent[choice]) > 1]
    return replace(
        command,
        question=text(command.question),
        choices=choices,
        alike=tuple(alike),
        schema=None if command.schema is None else clean(command.schema),
        default=rules.redact(command.default, tenant=tenant).value,
    )


def fault_of(working: WorkingSet, command: AskQuestion) -> SwarmkeeperError | None:
    """Return the error that makes a question unusable, or None."""
    for number in command.alike:
        where = (f"/choices/{number}", "duplicate", "reads like another choice, once its secrets are hidden")
        return Invalid("two choices are the same", details=(where,))
    if command.default is not None and command.choices and command.default not in command.choices:
        where = ("/default_answer", "not_a_choice", "must be one of `choices`")
        return Invalid("the default is not one of the choices", details=(where,))
    if command.schema is None:
        return None
    tenant = command.by.tenant
    if errors := working.rules.check_schema(command.schema, tenant=tenant):
        return Invalid("the schema of the answer cannot be used", details=errors)
    for number, choice in enumerate(command.choices):
        if working.rules.check_answer(command.schema, choice, tenant=tenant):  # it could never be given as an answer
            where = (f"/choices/{number}", "invalid", "not an answer that the schema allows")
            return Invalid("a choice does not match the schema", details=(where,))
    default = command.default
    if default is not None and working.rules.check_answer(command.schema, default, tenant=tenant):
        where = ("/default_answer", "invalid", "not an answer that the schema allows")
        return Invalid("the default does not match the schema", details=(where,))
    return None


def put(
    working: WorkingSet,
    task: TaskRecord,
    kind: str,
    *,
    question: str,
    subject: Mapping[str, Json],
    asked_by: str,
    choices: tuple[str, ...] = (),
    work: Work | None = None,
    schema: Mapping[str, Json] | None = None,
    expires: int | None = None,
    default: Json = None,
    remind: int | None = None,
    escalate: int | None = None,
    step_up: int | None = None,
) -> ApprovalRecord:
    """Open an approval for people to decide.

    Args:
        asked_by: a bot's name, or a key's id, that may not decide it.
        expires: microseconds from now; None: the task's terms, or else the general limit.
        default: for a question, the answer if nobody gives one in time.
        remind, escalate: microseconds from now; None: if `expires` is None as well, the task's terms.
        step_up: how long ago who decides may have signed in; the task's terms and the limit may ask for less.
    """
    terms = task.defaults.get("terms") or {}
    if expires is None and terms:
        expires, remind, escalate = terms["expires"], terms["remind"], terms["escalate"]
    approval = ApprovalRecord(
        id=working.new_id("apr"),
        tenant=task.tenant,
        task=task.id,
        kind=kind,
        opened_at=working.now,
        expires_at=working.now + (expires or working.limits.answer),
        subject_hash=_hash({"kind": kind, "task": task.id, "subject": subject}),
        work=None if work is None else work.id,
        asked_by=asked_by,
        question=question,
        choices=choices,
        schema=schema,
        subject=subject,
        at_expiry=_at_expiry(kind, default, approves=bool(terms.get("approve"))),
        step_up=min(filter(None, (step_up, terms.get("step_up"), working.limits.step_up)), default=None),
    )
    working.add_approval(approval)
    for timer, after in zip(REMINDERS, (remind, escalate), strict=True):
        if after is not None:
            working.set_timer(timer, approval.id, working.now + after)
    working.emit(events.ApprovalOpened(approval=approval.id, kind=kind), task=task, work=work)
    return approval


def _at_expiry(kind: str, default: Json, *, approves: bool) -> dict[str, Json] | None:
    """Return the decision if nobody decides in time; None: it counts as rejected."""
    if kind == "question":
        return None if default is None else {"verb": "answer", "answer": default}
    if not approves:
        return None
    return {"verb": "answer", "answer": "accept"} if kind == "rounds" else {"verb": "approve"}


def close(working: WorkingSet, approval: ApprovalRecord, state: str) -> None:
    """End an open approval: decided, expired or cancelled."""
    working.edit_approval(approval).state = state
    for timer in ("answer", *REMINDERS):
        working.set_timer(timer, approval.id, None)


def cancel(working: WorkingSet, task: TaskRecord, work: Work | None = None) -> None:
    """Cancel the open approvals of a task, or of one of its items, because they are no longer needed."""
    stored = working.get(lookups.APPROVALS, task.id)
    for approval in working.get_many(lookups.APPROVAL, stored):
        assert approval is not None, "a listed approval must exist"
        # The list shows the stored state; this command may have decided one.
        if approval.state == "open" and (work is None or approval.work == work.id):
            close(working, approval, "cancelled")
            cancelled = events.ApprovalCancelled(approval=approval.id, kind=approval.kind)
            working.emit(cancelled, task=task, work=work)


# ---- what people are shown -----------------------------------------------------------------------------------------


def plan(specs: Sequence[SubtaskSpec], round_: int) -> dict[str, Json]:
    """Return the subject for the approval of a plan: all its subtasks."""
    return {"round": round_, "subtasks": [graph.to_json(spec) for spec in specs]}


def long_plan(written: graph.Written, round_: int) -> dict[str, Json]:
    """Return the subject for a plan that is longer than a slice.

    If the plan is too long to read, this has its first subtasks, and a hash that covers all of them.
    """
    first: list[Json] = json.loads(written.first)
    if len(first) == written.count:
        return {"round": round_, "subtasks": first}
    return {
        "round": round_,
        "subtasks_total": written.count,
        "subtasks_sha256": written.digest,
        "subtasks": first,
    }


def plan_again(working: WorkingSet, task: TaskRecord, works: Sequence[Work]) -> dict[str, Json]:
    """Return the subject for a plan that is stored as rows already."""
    bodies = working.bodies(work.payload for work in works)
    return plan([graph.from_json(json.loads(body)) for body in bodies], task.round)


def result(working: WorkingSet, task: TaskRecord) -> dict[str, Json]:
    """Return the subject for a task's result: hash and address of each last output, hash and gist of the verdict."""
    found, edges = working.get(lookups.GRAPH, task.id)
    inner = {edge.parent for edge in edges if edge.condition == Condition.SUCCESS}
    last = [
        work
        for work in (working.work(work_id) for work_id in found if work_id not in inner)
        if work.status is Status.SUCCEEDED
    ]
    hashes = {work.key: work.result_hash for work in sorted(last, key=lambda work: work.key)}
    shown: dict[str, Json] = {
        "round": task.round,
        "task": f"/tasks/{task.id}",
        "results_total": len(hashes),
        "results_sha256": _hash(hashes),
        "results": [
            {"subtask": key, "sha256": sha256, "output": f"/tasks/{task.id}/subtasks/{key}/output"}
            for key, sha256 in list(hashes.items())[:RESULTS_LISTED_MAX]
        ],
        "verdict": None,
    }
    if task.verdict is not None:
        (body,) = working.bodies([task.verdict])
        verdict = json.loads(body)
        shown["verdict"] = {
            "sha256": hashlib.sha256(body).hexdigest(),
            **{name: verdict.get(name) for name in ("decision", "score", "reasons")},
        }
    return shown


def _hash(value: Json) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
