"""Reported plans and verdicts: parsed as far as possible, with every schema error."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.rules.graph import check_plan
from swarmkeeper.wire.v1 import read_plan, read_verdict, specs

JUNK = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["subtasks", "key", "description", "depends_on", "x"]), inner, max_size=4)
    ),
    max_leaves=20,
)


def test_a_good_plan_has_its_subtasks_and_no_errors() -> None:
    subtasks, errors = read_plan(
        {"subtasks": [{"description": "a"}, {"key": "b", "description": "", "depends_on": ["s1"]}]}
    )

    assert errors == []
    assert [spec.key for spec in specs(subtasks)] == ["s1", "b"]


def test_all_errors_of_a_plan_are_reported_at_once_with_their_pointers() -> None:
    _, errors = read_plan(
        {
            "subtasks": [{"description": 1, "priority": 11}, 7, {"description": "", "depends_on": [{"when": "done"}]}],
            "why": 1,
        }
    )

    assert [(pointer, code) for pointer, code, _ in errors] == [
        ("/plan/subtasks/0/description", "type"),
        ("/plan/subtasks/0/priority", "out_of_range"),
        ("/plan/subtasks/1", "type"),
        ("/plan/subtasks/2/depends_on/0/key", "required"),
        ("/plan/…", "unknown"),
    ]


def test_an_edge_to_an_invalid_subtask_is_not_a_second_error() -> None:
    subtasks, errors = read_plan(
        {
            "subtasks": [
                {"key": "a", "description": 5, "depends_on": [{"no": 1}, "c"]},
                {"key": "b", "description": "", "depends_on": ["a"]},
                {"key": "c", "description": ""},
            ]
        }
    )

    assert len(errors) == 3
    assert check_plan(specs(subtasks), at="/plan") == []
    assert [edge.key for edge in subtasks[0].edges] == ["c"]


def test_schema_and_graph_errors_can_be_reported_together() -> None:
    subtasks, errors = read_plan({"subtasks": [{"key": "a", "description": 5}, {"key": "A!", "description": ""}]})

    places = [pointer for pointer, _, _ in [*errors, *check_plan(specs(subtasks), at="/plan")]]
    assert places == ["/plan/subtasks/0/description", "/plan/subtasks/1/key"]


def test_a_value_that_is_not_a_plan_is_an_error() -> None:
    assert [error[:2] for error in read_plan(5)[1]] == [("/plan", "type")]
    assert [error[:2] for error in read_plan({})[1]] == [("/plan/subtasks", "required")]
    assert [error[:2] for error in read_plan({"subtasks": {}})[1]] == [("/plan/subtasks", "type")]


def test_parsing_stops_after_one_subtask_more_than_allowed() -> None:
    subtasks, errors = read_plan({"subtasks": [{"description": ""}] * 20_000})

    assert (len(subtasks), errors) == (10_001, [])
    assert [code for _, code, _ in check_plan(specs(subtasks), at="/plan")] == ["too_many"]


@given(JUNK)
def test_invalid_subtasks_keep_their_index(raw: Any) -> None:
    subtasks, errors = read_plan(raw)

    sent = raw["subtasks"] if isinstance(raw, dict) and isinstance(raw.get("subtasks"), list) else []
    assert len(subtasks) == len(sent)
    assert errors or sent == [] or raw.keys() == {"subtasks"}


def test_a_verdict_is_read_or_its_errors_are_reported() -> None:
    verdict, none = read_verdict({"decision": "accept", "score": 1})
    nothing, errors = read_verdict({"decision": "maybe", "score": 2, "subtasks": [{"key": 1}]})

    assert verdict is not None
    assert (verdict.decision, none) == ("accept", [])
    assert nothing is None
    assert [(pointer, code) for pointer, code, _ in errors] == [
        ("/verdict/decision", "not_allowed"),
        ("/verdict/score", "out_of_range"),
        ("/verdict/subtasks/0/key", "type"),
        ("/verdict/subtasks/0/description", "required"),
    ]
