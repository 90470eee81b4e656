"""Write rows of work items: a plan's, part by part (loading.py decides when), and single plan or review items."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from swarmkeeper.core import ids, lookups
from swarmkeeper.core.decide import work_rates
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.model import Edge, Json, SubtaskSpec, TaskRecord, Work
from swarmkeeper.core.policies import labels
from swarmkeeper.core.rules import budgets, graph
from swarmkeeper.core.states import Condition, Kind, Status, Transition


def _subtask_ids(task: TaskRecord, at: int) -> Callable[[str], str]:
    """Return a function from key to subtask id, for a plan accepted at `at`. Ids are known before rows are written."""
    seed = hashlib.sha256(task.id.encode()).digest()
    return lambda key: ids.timed("sub", at, seed, key)


def parts_now(working: WorkingSet, names: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the parts that fit in one slice by rows, edges and bytes; at least the first."""
    left, left_bytes = working.limits.slice_rows, graph.PART_BYTES_MAX
    for number, body in enumerate(working.bodies(names)):
        nodes: list[dict[str, Any]] = json.loads(body)
        left -= max(len(nodes), sum(len(node["parents"]) for node in nodes) // graph.EDGES_A_ROW)
        left_bytes -= len(body)
        if number and (left < 0 or left_bytes < 0):
            return
        yield nodes


def write_rows(working: WorkingSet, task: TaskRecord, nodes: Sequence[Mapping[str, Json]], *, at: int) -> list[Work]:
    id_of = _subtask_ids(task, at)
    outside = sorted({parent for node in nodes for parent, _, inside in node["parents"] if not inside})
    working.get_many(lookups.WORK, outside)
    status_of = {parent: working.work(parent).status for parent in outside}
    written = []
    for node in nodes:
        work_id = id_of(node["child"] if "child" in node else node["spec"]["key"])
        edges = [
            # Ids have an underscore, keys do not. Plans stored by 0.1.0 have only ids.
            Edge(task.id, parent if "_" in parent else id_of(parent), work_id, Condition(condition))
            for parent, condition, _ in node["parents"]
        ]
        if "child" in node:
            for edge in edges:
                working.add_edge(edge)
            continue
        spec = graph.from_json(node["spec"])
        # Parents of the same plan count as open, even a skipped one: it is settled after the last row.
        pending, broken = graph.edge_state(
            edges, {edge.parent: status_of.get(edge.parent, Status.BLOCKED) for edge in edges}
        )
        body = node["body"] if "body" in node else json.dumps(node["spec"])  # parts stored by 0.3.0 have no body
        payload = working.write_payload(task, f"{work_id}/input", body.encode())
        work = _new_work(working, task, spec, work_id, payload, failure_handled=node["handled"])
        work.pending = pending + node.get("more", 0)
        work.labels = labels.labels_or_none(spec.labels.items(), tuple(map(tuple, node.get("inflow", ()))))
        work.ordinal = node.get("number", 0)  # plans stored by 0.3.0 have no number
        working.add_work(task, work)
        for edge in edges:
            working.add_edge(edge)
        if broken:
            working.move_work(task, work, Transition.SKIPPED)
        written.append(work)
    return written


def _new_work(
    working: WorkingSet, task: TaskRecord, spec: SubtaskSpec, work_id: str, payload: str, *, failure_handled: bool
) -> Work:
    limits, defaults = working.limits, task.defaults
    keys = [*spec.concurrency, *work_rates.skill_limits(working.rates, task.tenant, spec.required_skills)]
    continue_on_failure = (spec.on_failure or defaults.get("on_failure") or "fail") == "continue"
    start = spec.start or defaults.get("start") or limits.start
    return Work(
        id=work_id,
        task=task.id,
        tenant=task.tenant,
        kind=Kind.EXECUTE,
        key=spec.key,
        queue=working.queue(Kind.EXECUTE, spec.required_skills, spec.assign_to),
        status=Status.BLOCKED,
        priority=task.priority if spec.priority is None else spec.priority,
        created_at=working.now,
        start=start,
        start_left=start,
        timeout=spec.timeout or defaults.get("timeout") or limits.timeout,
        max_attempts=spec.max_attempts or defaults.get("max_attempts") or limits.max_attempts,
        give_up=spec.give_up or defaults.get("give_up") or limits.give_up,
        continue_on_failure=continue_on_failure,
        failure_handled=continue_on_failure or failure_handled,
        limits=json.dumps(keys) if keys else None,
        payload=payload,
        since=working.now,
        budget=None if spec.budget is None else budgets.from_request(spec.budget),
    )


def _seen_by(task: TaskRecord, kind: Kind, subject: Work | None) -> labels.WorkLabels | None:
    """Return what flows into a plan or review item: a review sees the results of its subtask, or of all."""
    if kind is Kind.PLAN:
        return None
    return labels.labels_or_none(
        (), task.subtask_labels if subject is None else labels.of_key(subject.labels, subject.key)
    )


def add_item(
    working: WorkingSet,
    task: TaskRecord,
    kind: Kind,
    key: str,
    *,
    excluded: tuple[str, ...] = (),
    subject: Work | None = None,
    ordinal: int = 0,
) -> Work:
    """Add a plan or review item, READY at once."""
    skills = task.planner_skills if kind is Kind.PLAN else task.evaluator_skills
    keys = work_rates.skill_limits(working.rates, task.tenant, skills)
    start = task.defaults.get("start") or working.limits.start
    work = Work(
        id=working.new_id("wrk"),
        task=task.id,
        tenant=task.tenant,
        kind=kind,
        key=key,
        queue=working.queue(kind, skills, None),
        status=Status.READY,
        priority=task.priority,
        created_at=working.now,
        position=working.next_position(),
        subject=None if subject is None else subject.id,
        start=start,
        start_left=start,
        round=task.round if subject is None else subject.round,
        timeout=task.plan_timeout if kind is Kind.PLAN else task.review_timeout,
        max_attempts=working.limits.max_attempts,
        give_up=task.defaults.get("give_up") or working.limits.give_up,
        failure_handled=True,
        excluded=tuple(sorted(excluded)),
        since=working.now,
        ordinal=ordinal if subject is None else subject.ordinal,
        limits=json.dumps(keys) if keys else None,
        labels=_seen_by(task, kind, subject),
    )
    working.add_work(task, work)
    working.make_ready(task, work)
    return work
