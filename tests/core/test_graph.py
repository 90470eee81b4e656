"""Laws of plans and their graphs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.model import Edge, SubtaskSpec
from swarmkeeper.core.rules import graph
from swarmkeeper.core.states import EDGE_MET, FINAL, Condition, Status
from tests.examples import examples

SECOND = 1_000_000


def plan(**parents: list[str]) -> list[SubtaskSpec]:
    return [
        SubtaskSpec(key, "", depends_on=tuple((parent, Condition.SUCCESS) for parent in needed))
        for key, needed in parents.items()
    ]


def codes(specs: list[SubtaskSpec], **options: Any) -> list[tuple[str, str]]:
    return [(pointer, code) for pointer, code, _ in graph.check_plan(specs, **options)]


@st.composite
def sound_plans(draw: st.DrawFn) -> list[SubtaskSpec]:
    keys = draw(
        st.lists(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,5}", fullmatch=True), unique=True, min_size=1, max_size=8)
    )
    specs = []
    for number, key in enumerate(keys):
        parents = draw(st.lists(st.sampled_from(keys[:number]), unique=True)) if number else []
        conditions = [draw(st.sampled_from(Condition)) for _ in parents]
        specs.append(SubtaskSpec(key, "", depends_on=tuple(zip(parents, conditions, strict=True))))
    return draw(st.permutations(specs))


@examples(40)
@given(sound_plans())
def test_a_plan_whose_edges_all_point_back_is_valid_in_any_order(specs: list[SubtaskSpec]) -> None:
    assert graph.check_plan(specs) == []


@examples(40)
@given(sound_plans(), st.data())
def test_any_cycle_is_found(specs: list[SubtaskSpec], data: st.DataObject) -> None:
    known = {spec.key: spec for spec in specs}
    start = data.draw(st.sampled_from(specs))
    reached = start
    for step in data.draw(st.lists(st.integers(0, 7), max_size=8)):
        if not reached.depends_on:
            break
        number = step % len(reached.depends_on)
        reached = known[reached.depends_on[number][0]]
    # `start` now depends on `reached`; let that depend on it, too.
    closed = SubtaskSpec(reached.key, "", depends_on=(*reached.depends_on, (start.key, Condition.DONE)))

    found = codes([closed if spec.key == reached.key else spec for spec in specs])

    assert found
    assert {code for _, code in found} <= {"cycle", "duplicate"}


@examples(40)
@given(sound_plans())
def test_a_subtask_survives_being_written_and_read(specs: list[SubtaskSpec]) -> None:
    assert [graph.from_json(graph.to_json(spec)) for spec in specs] == specs


def test_every_field_of_a_subtask_survives_being_written_and_read() -> None:
    spec = SubtaskSpec(
        "a",
        "do it",
        required_skills=("x", "y"),
        depends_on=(("b", Condition.FAILURE),),
        input={"n": [1]},
        timeout=90 * SECOND + 1,
        max_attempts=2,
        start=10 * SECOND,
        on_failure="continue",
        assign_to="bob",
        priority=0,
    )

    assert graph.from_json(graph.to_json(spec)) == spec


@pytest.mark.parametrize(
    ("specs", "found"),
    [
        ([], [("/subtasks", "empty")]),
        (plan(A=[]), [("/subtasks/0/key", "pattern")]),
        (plan(**{"x" * 65: []}), [("/subtasks/0/key", "pattern")]),
        (plan(**{"-a": []}), [("/subtasks/0/key", "pattern")]),
        (plan(a=[]) * 2, [("/subtasks/1/key", "duplicate")]),
        (plan(a=["a"]), [("/subtasks/0/depends_on/0", "cycle")]),
        (plan(a=[], b=["a", "zz"]), [("/subtasks/1/depends_on/1", "unknown_key")]),
        (plan(a=[], b=["a", "a"]), [("/subtasks/1/depends_on/1", "duplicate")]),
        (plan(a=["c"], b=["a"], c=["b"]), [(f"/subtasks/{n}/depends_on", "cycle") for n in range(3)]),
    ],
)
def test_each_error_of_a_plan_has_its_pointer(specs: list[SubtaskSpec], found: list[tuple[str, str]]) -> None:
    assert codes(specs) == found


def test_all_errors_of_a_plan_come_in_one_answer() -> None:
    specs = [*plan(A=["nowhere"], b=["b"]), *plan(b=[])]

    assert [code for _, code in codes(specs)] == ["pattern", "duplicate", "unknown_key", "cycle"]


def test_pointers_refer_to_the_list_as_sent() -> None:
    assert codes(plan(A=[]), at="/plan", indexes=[7]) == [("/plan/subtasks/7/key", "pattern")]


def test_new_subtasks_may_depend_on_existing_ones_but_not_replace_them() -> None:
    assert codes(plan(b=["a"]), existing=["a"]) == []
    assert codes(plan(a=[]), existing=["a"]) == [("/subtasks/0/key", "duplicate")]


def test_a_plan_may_have_at_most_ten_thousand_subtasks() -> None:
    many: dict[str, list[str]] = {f"k{number}": [] for number in range(graph.SUBTASKS_MAX)}

    assert codes(plan(**many)) == []
    assert codes(plan(**many, over=[])) == [("/subtasks", "too_many")]
    assert codes(plan(over=[]), existing=many) == [("/subtasks", "too_many")]


def test_a_plan_may_have_at_most_a_hundred_thousand_edges() -> None:
    layer = [f"a{number}" for number in range(1_000)]
    full: dict[str, list[str]] = {key: [] for key in layer} | {f"b{number}": layer for number in range(100)}

    assert codes(plan(**full)) == []
    assert codes(plan(**full, c=["a0"])) == [("/subtasks", "too_many")]


def test_a_chain_may_have_at_most_a_thousand_subtasks() -> None:
    chain = {f"k{number}": [f"k{number - 1}"] if number else [] for number in range(graph.DEPTH_MAX)}

    assert codes(plan(**chain)) == []
    assert codes(plan(**chain, over=[f"k{graph.DEPTH_MAX - 1}"])) == [("/subtasks", "too_deep")]


def test_an_invalid_plan_is_answered_with_at_most_a_hundred_errors() -> None:
    assert len(codes([SubtaskSpec("A", "")] * 500)) == graph.ERRORS_MAX


@examples(40)
@given(sound_plans(), st.data())
def test_downstream_lists_everything_reachable_parents_first(specs: list[SubtaskSpec], data: st.DataObject) -> None:
    edges = [Edge("t", parent, spec.key, condition) for spec in specs for parent, condition in spec.depends_on]
    roots = data.draw(st.lists(st.sampled_from([spec.key for spec in specs]), unique=True))

    order = graph.downstream(roots, edges)

    assert len(order) == len(set(order))
    assert set(roots) <= set(order)
    position = {key: number for number, key in enumerate(order)}
    for edge in edges:
        if edge.parent in position:
            assert position[edge.parent] < position[edge.child]
    entered = {edge.child for edge in edges if edge.parent in position}
    assert set(order) == set(roots) | entered
    assert graph.downstream(reversed(roots), list(reversed(edges))) == order


@given(st.lists(st.tuples(st.sampled_from(Condition), st.sampled_from(sorted(set(Status) - {Status.CANCELLED})))))
def test_the_state_of_an_item_follows_from_its_edges_only(found: list[tuple[Condition, Status]]) -> None:
    edges = [Edge("t", f"up{number}", "down", condition) for number, (condition, _) in enumerate(found)]
    status_of = {f"up{number}": status for number, (_, status) in enumerate(found)}

    pending, broken = graph.edge_state(edges, status_of)

    assert pending == sum(status not in FINAL for _, status in found)
    assert broken == any(status in FINAL and not EDGE_MET[condition, status] for condition, status in found)


def test_edges_for_done_and_failure_handle_a_failure_and_edges_for_success_do_not() -> None:
    specs = [
        SubtaskSpec("b", "", depends_on=(("a", Condition.SUCCESS), ("x", Condition.DONE), ("y", Condition.FAILURE)))
    ]

    assert graph.handled_keys(specs) == {"x", "y"}
