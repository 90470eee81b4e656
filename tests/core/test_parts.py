"""A large plan in parts: nothing is lost or repeated, and each part fits in a slice."""

import json

from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.model import SubtaskSpec
from swarmkeeper.core.rules import graph
from swarmkeeper.core.states import Condition


@st.composite
def plans(draw: st.DrawFn) -> list[SubtaskSpec]:
    keys = [f"k{number}" for number in range(draw(st.integers(1, 30)))]
    known = ["old0", "old1"]
    return [
        SubtaskSpec(
            key,
            "",
            depends_on=tuple(
                (parent, draw(st.sampled_from(Condition)))
                for parent in draw(st.lists(st.sampled_from(known + keys[:number]), unique=True))
            ),
        )
        for number, key in enumerate(keys)
    ]


@given(plans(), st.integers(1, 12))
def test_parts_contain_each_subtask_and_edge_once_in_order_and_within_limits(
    plan: list[SubtaskSpec], size: int
) -> None:
    known = {"old0": "sub_0", "old1": "sub_1"}

    parts = list(graph.parts(plan, known, frozenset({"k0"}), size))

    nodes = [node for part in parts for node in part]
    assert [graph.from_json(json.loads(node["body"])) for node in nodes if "spec" in node] == plan
    edges: dict[str, list[tuple[str, str]]] = {}
    more: dict[str, int] = {}
    for node in nodes:
        key = node["child"] if "child" in node else node["spec"]["key"]
        edges.setdefault(key, []).extend((parent, when) for parent, when, _ in node["parents"])
        more[key] = more.get(key, 0) + (node["more"] if "spec" in node else -len(node["parents"]))
        assert all(inside is (parent not in known.values()) for parent, _, inside in node["parents"])
    for spec in plan:
        assert sorted(edges[spec.key]) == sorted(
            (known.get(parent, parent), str(when)) for parent, when in spec.depends_on
        )
        assert more[spec.key] == 0  # the row counts the edges that follow it
    for part in parts:
        assert sum("spec" in node for node in part) <= size
        # Edges from existing items are always written with their row.
        assert sum(inside for node in part for _, _, inside in node["parents"]) <= size * graph.EDGES_A_ROW


def test_only_a_plan_longer_than_a_slice_is_written_in_advance() -> None:
    plan = [SubtaskSpec(f"k{number}", "") for number in range(11)]

    specs, written = graph.cut(plan, 10)

    assert graph.cut(plan[:10], 10) == (tuple(plan[:10]), None)
    assert written is not None
    assert not specs
    assert [len(json.loads(part)) for part in written.parts] == [1] * 11
    assert json.loads(written.body) == {"subtasks": [graph.to_json(spec) for spec in plan]}
    assert written.count == 11
