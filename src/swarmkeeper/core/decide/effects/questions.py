"""What is asked of people: the record of a question, what it shows them, and its end when nobody needs an answer.

What a decision leads to stands in oversight.py; that a task is held while it is asked about, in holding.py.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from swarmkeeper.core import events, lookups
from swarmkeeper.core.commands import Ask
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import Invalid, SwarmkeeperError
from swarmkeeper.core.model import Approval, Json, SubtaskSpec, Task, Work
from swarmkeeper.core.ports import Rules
from swarmkeeper.core.rules import graph
from swarmkeeper.core.states import Condition, Status

# So many results are named one by one in what is approved; the hash over all of them binds the others.
RESULTS_TOLD = 500


# Of a JSON Schema: what holds data. All its other texts are words of the standard, names of fields, and descriptions.
_DATA = frozenset({"const", "default", "enum", "examples"})


def readable(command: Ask, rules: Rules) -> Ask:
    """The question, its choices and the schema of its answer, as people may read them."""
    tenant = command.by.tenant

    def text(value: str) -> str:
        return rules.text(value, tenant=tenant)

    def clean(value: Json) -> Json:
        if isinstance(value, str):
            return text(value)
        if isinstance(value, list):
            return [clean(one) for one in value]
        if isinstance(value, Mapping):
            return {
                text(name): rules.redact(one, tenant=tenant).value if name in _DATA else clean(one)
                for name, one in value.items()
            }
        return value

    choices = tuple(text(choice) for choice in command.choices)
    sent: dict[str, set[str]] = {}  # by how it reads
    for choice, original in zip(choices, command.choices, strict=True):
        sent.setdefault(choice, set()).add(original)
    alike = [number for number, choice in enumerate(choices) if len(sent[choice]) > 1]
    return replace(
        command,
        question=text(command.question),
        choices=choices,
        alike=tuple(alike),
        schema=None if command.schema is None else clean(command.schema),
    )


def fault_of(working: WorkingSet, command: Ask) -> SwarmkeeperError | None:
    """What keeps a question from being put."""
    for number in command.alike:
        where = (f"/choices/{number}", "duplicate", "reads like another choice, once its secrets are hidden")
        return Invalid("two choices are the same", details=(where,))
    if command.schema is None:
        return None
    if errors := working.rules.check_schema(command.schema):
        return Invalid("the schema of the answer cannot be used", details=errors)
    for number, choice in enumerate(command.choices):
        if working.rules.check_answer(command.schema, choice):  # nobody could ever give it
            where = (f"/choices/{number}", "invalid", "not an answer that the schema allows")
            return Invalid("a choice does not match the schema", details=(where,))
    return None


def put(
    working: WorkingSet,
    task: Task,
    kind: str,
    *,
    question: str,
    subject: Mapping[str, Json],
    asked_by: str,
    choices: tuple[str, ...] = (),
    work: Work | None = None,
    schema: Mapping[str, Json] | None = None,
    expires: int | None = None,
) -> Approval:
    """Write a question down for people to decide.

    `asked_by` (a bot's name, or a key's id) may not be who does.
    """
    approval = Approval(
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
    )
    working.add_approval(approval)
    working.emit(events.ApprovalOpened(approval=approval.id, kind=kind), task=task, work=work)
    return approval


def cancel(working: WorkingSet, task: Task, work: Work | None = None) -> None:
    """End what is asked about a task, or about one item of it: it no longer matters."""
    stored = working.get(lookups.APPROVALS, task.id)
    for approval in working.get_many(lookups.APPROVAL, stored):
        assert approval is not None, "an approval that is listed is there"
        # The list is of what is stored: this very command may have decided one.
        if approval.state == "open" and (work is None or approval.work == work.id):
            working.edit_approval(approval).state = "cancelled"
            working.set_timer("answer", approval.id, None)
            cancelled = events.ApprovalCancelled(approval=approval.id, kind=approval.kind)
            working.emit(cancelled, task=task, work=work)


# ---- what people are shown -----------------------------------------------------------------------------------------


def plan(specs: Sequence[SubtaskSpec], round_: int) -> dict[str, Json]:
    """A plan that is to be carried out: its subtasks, whole."""
    return {"round": round_, "subtasks": [graph.to_json(spec) for spec in specs]}


def long_plan(written: graph.Written, round_: int) -> dict[str, Json]:
    """The same of a plan that is longer than a slice. Where nobody could look through it, it is its first subtasks, and
    the hash that binds the others."""
    first: list[Json] = json.loads(written.told)
    if len(first) == written.count:
        return {"round": round_, "subtasks": first}
    return {
        "round": round_,
        "subtasks_total": written.count,
        "subtasks_sha256": written.digest,
        "subtasks": first,
    }


def plan_again(working: WorkingSet, task: Task, works: Sequence[Work]) -> dict[str, Json]:
    """The same of a plan that has been written into rows."""
    bodies = working.bodies(work.payload for work in works)
    return plan([graph.from_json(json.loads(body)) for body in bodies], task.round)


def result(working: WorkingSet, task: Task) -> dict[str, Json]:
    """What came of a task: the hash of each last output and where it is, and the hash and gist of the verdict."""
    found, edges = working.get(lookups.GRAPH, task.id)
    inner = {edge.parent for edge in edges if edge.condition == Condition.SUCCESS}
    last = [
        work for work in (working.work(one) for one in found if one not in inner) if work.status is Status.SUCCEEDED
    ]
    hashes = {work.key: work.result_hash for work in sorted(last, key=lambda work: work.key)}
    shown: dict[str, Json] = {
        "round": task.round,
        "task": f"/tasks/{task.id}",
        "results_total": len(hashes),
        "results_sha256": _hash(hashes),
        "results": [
            {"subtask": key, "sha256": sha256, "output": f"/tasks/{task.id}/subtasks/{key}/output"}
            for key, sha256 in list(hashes.items())[:RESULTS_TOLD]
        ],
        "verdict": None,
    }
    if task.verdict is not None:
        (body,) = working.bodies([task.verdict])
        said = json.loads(body)
        shown["verdict"] = {
            "sha256": hashlib.sha256(body).hexdigest(),
            **{name: said.get(name) for name in ("decision", "score", "reasons")},
        }
    return shown


def _hash(value: Json) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
