"""How labels flow along a plan: what arrives where, by which way, and within which bounds."""

from __future__ import annotations

import json
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.model import SubtaskSpec
from swarmkeeper.core.policies import labels
from swarmkeeper.core.policies.labels import Flow, LabelledNode, WorkLabels
from swarmkeeper.core.rules import graph
from swarmkeeper.core.states import Condition

NAMES = ("private", "untrusted", "egress")


@st.composite
def plans(draw: st.DrawFn) -> list[LabelledNode]:
    keys = [f"k{number}" for number in range(draw(st.integers(1, 12)))]
    nodes = [
        LabelledNode(
            key,
            dict.fromkeys(draw(st.sets(st.sampled_from(NAMES), max_size=2)), ""),
            draw(st.lists(st.sampled_from(["old", *keys[:number]]), unique=True, max_size=4)),
        )
        for number, key in enumerate(keys)
    ]
    return draw(st.permutations(nodes))


@given(plans(), st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES)))
def test_into_each_subtask_flows_what_all_before_it_have_and_nothing_else(
    nodes: list[LabelledNode], old: set[str], base: set[str]
) -> None:
    by_key = {node.key: node for node in nodes}

    found = labels.inflows(nodes, {"old": tuple((name, "", "older") for name in sorted(old))}, _flow(base, "seen"))

    for node in nodes:
        before: set[str] = set()
        stack = list(node.parents)
        while stack:
            key = stack.pop()
            if key not in before:
                before.add(key)
                stack += by_key[key].parents if key in by_key else []
        wanted = {name for key in before if key in by_key for name in by_key[key].own} | base
        wanted |= old if "old" in before else set()
        flow = found.get(node.key, ())
        assert [name for name, _, _ in flow] == sorted(wanted)
        for name, _, source in flow:
            assert source in {"older", "seen"} or (source in before and name in by_key[source].own)


@given(plans())
def test_the_order_in_which_subtasks_are_listed_changes_nothing(nodes: list[LabelledNode]) -> None:
    again = sorted(nodes, key=lambda node: node.key)

    assert labels.inflows(nodes, {"old": ()}) == labels.inflows(again, {"old": ()})


def test_of_several_sources_the_first_dependency_counts() -> None:
    nodes = [
        LabelledNode("b", {"private": ""}, ()),
        LabelledNode("a", {"private": ""}, ()),
        LabelledNode("c", {}, ("b", "a")),
    ]

    assert labels.inflows(nodes, {}) == {"c": (("private", "", "a"),)}


def test_a_label_with_two_values_keeps_both() -> None:
    nodes = [
        LabelledNode("a", {"data": "private"}, ()),
        LabelledNode("b", {"data": "public"}, ("a",)),
        LabelledNode("c", {}, ("b",)),
    ]

    assert labels.inflows(nodes, {})["c"] == (("data", "private", "a"), ("data", "public", "b"))


def test_what_counts_for_an_item_is_named_once_with_its_nearest_source() -> None:
    item = WorkLabels((("own", ""),), (("far", "1", "a"), ("own", "", "b"), ("task", "", "c")))

    assert list(labels.effective({"task": "", "own": ""}, item, "me")) == [
        ("own", "", "me"),
        ("task", "", None),
        ("far", "1", "a"),
    ]
    assert labels.in_words(labels.effective({"t": ""}, item, "me"), "me") == (
        "own (of itself), t (of its task), far=1 (of subtask a), task (of subtask c)"
    )


def test_a_plan_without_labels_has_no_flow_and_stores_none() -> None:
    specs = [SubtaskSpec("a", ""), SubtaskSpec("b", "", depends_on=(("a", Condition.SUCCESS),))]

    nodes = [node for part in graph.parts(specs, {}, frozenset(), 10) for node in part]

    assert not any("inflow" in node for node in nodes)
    assert labels.labels_or_none((), ()) is None


def _flow(names: set[str], source: str) -> Flow:
    return tuple((name, "", source) for name in sorted(names))


def labelled(key: str, number: int, length: int = 1) -> SubtaskSpec:
    return SubtaskSpec(key, "", labels={f"{n:0{length}d}": "" for n in range(number)})


@pytest.mark.parametrize(
    ("specs", "valid"),
    [
        ([labelled("a", 32)], True),
        ([labelled("a", 32), labelled("b", 32)], True),
        ([labelled("a", 32), SubtaskSpec("b", "", labels={"one": "more"})], False),
        ([labelled("a", 16, 128)], True),
        ([labelled("a", 17, 128)], False),
    ],
)
def test_the_subtasks_of_a_task_have_a_bounded_number_of_different_labels(
    specs: list[SubtaskSpec], valid: bool
) -> None:
    errors = graph.check_plan(specs)

    assert [code for _, code, _ in errors] == ([] if valid else ["too_many_labels"])


def test_labels_that_exist_already_count() -> None:
    known = tuple((f"x{number}", "", "old") for number in range(32))

    assert graph.check_plan([SubtaskSpec("a", "", labels={"x1": ""})], existing=["old"], labelled=known) == []
    (error,) = graph.check_plan([SubtaskSpec("a", "", labels={"new": ""})], existing=["old"], labelled=known)
    assert error[:2] == ("/subtasks", "too_many_labels")


def test_the_largest_plan_with_the_most_labels_and_edges_is_cut_in_bounded_time_and_size() -> None:
    specs = []
    for number in range(graph.SUBTASKS_MAX):
        parents = range(max(0, number - 1_000), number, 101)  # ten each; a chain would be too deep
        before = tuple((f"k{parent}", Condition.SUCCESS) for parent in parents)
        specs.append(SubtaskSpec(f"k{number}", "", depends_on=before, labels={f"l{number % 32}": "v" * 30}))
    assert graph.check_plan(specs) == []
    bare = [SubtaskSpec(spec.key, "", depends_on=spec.depends_on) for spec in specs]
    begun = process_time()
    graph.cut(bare, 500)
    without = process_time() - begun

    begun = process_time()
    _, written = graph.cut(specs, 500)
    took = process_time() - begun

    assert written is not None
    assert took < 8 * without + 0.5
    assert len(written.labels) == 32
    assert max(map(len, written.parts)) < 4 * graph.PART_BYTES_MAX
    last = json.loads(written.parts[-1])[-1]
    assert len(last["inflow"]) == 32
