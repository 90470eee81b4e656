"""Problem details: pointers, our own texts, and never any input."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.errors import Invalid
from swarmkeeper.wire import people, requests
from swarmkeeper.wire.problems import ERRORS_MAX, SCHEMA_NAMES, FieldError, Problem, pointer
from swarmkeeper.wire.shapes import Request, read
from swarmkeeper.wire.v1 import (
    KeyRequest,
    Report,
    TaskDefinition,
    TaskPatch,
    read_plan,
    read_verdict,
)

SECRET = "hunter2-AKIA"
REQUESTS = [
    each
    for each in (*vars(requests).values(), *vars(people).values())
    if isinstance(each, type) and issubclass(each, Request) and each is not Request
]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(SECRET),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(sorted(SCHEMA_NAMES)) | st.just(SECRET), inner, max_size=5)
    ),
    max_leaves=20,
)


def refusal(model: type[Request], raw: Any) -> Invalid | None:
    try:
        read(model, raw)
    except Invalid as refused:
        return refused
    return None


def errors(model: type[Request], raw: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        read(model, raw)
    return [(pointer, code) for pointer, code, _ in caught.value.details]


@given(st.sampled_from(REQUESTS), JUNK)
def test_no_refusal_repeats_input(model: type[Request], raw: Any) -> None:
    refused = refusal(model, raw)

    assert refused is None or refused.details
    assert refused is None or SECRET not in str(refused) + str(refused.details)


@given(JUNK)
def test_no_error_of_a_plan_or_verdict_repeats_input(raw: Any) -> None:
    assert SECRET not in str(read_plan(raw)[1])
    assert SECRET not in str(read_verdict(raw)[1])


@given(st.sampled_from(REQUESTS), JUNK)
def test_every_error_has_a_text_of_its_own(model: type[Request], raw: Any) -> None:
    refused = refusal(model, raw)

    assert refused is None or "is not valid" not in {words for _, _, words in refused.details}


def test_a_pointer_shows_schema_names_and_indexes_and_redacts_the_rest() -> None:
    raw = {"title": "t", "subtasks": [{"description": ""}, {"description": 5}], "labels": {SECRET: 5}, SECRET: 1}

    with pytest.raises(Invalid) as caught:
        read(TaskDefinition, raw, safe=lambda name: "<hidden/~>", at=("tasks", 7))

    assert sorted(pointer for pointer, _, _ in caught.value.details) == [
        "/tasks/7/<hidden~1~0>",
        "/tasks/7/labels/<hidden~1~0>",
        "/tasks/7/subtasks/1/description",
    ]


def test_a_shown_name_is_at_most_64_characters_long() -> None:
    assert pointer(["x" * 65], str) == "/" + "x" * 64


def test_the_pointer_of_a_label_with_a_long_name_ends_with_the_name() -> None:
    assert errors(TaskDefinition, {"title": "t", "labels": {"n" * 129: "v"}}) == [("/labels/…", "too_long")]


@pytest.mark.parametrize(
    ("model", "raw", "expected"),
    [
        (TaskDefinition, {}, ("/title", "required")),
        (TaskDefinition, {"title": "t", "prioritty": 1}, ("/…", "unknown")),
        (TaskDefinition, {"title": "t", "priority": "5"}, ("/priority", "type")),
        (TaskDefinition, {"title": "t", "priority": 5.0}, ("/priority", "type")),
        (TaskDefinition, {"title": "t", "priority": True}, ("/priority", "type")),
        (TaskDefinition, {"title": "t", "priority": 10}, ("/priority", "out_of_range")),
        (TaskDefinition, {"title": ""}, ("/title", "too_short")),
        (TaskDefinition, {"title": "t" * 501}, ("/title", "too_long")),
        (TaskDefinition, {"title": "t", "input": []}, ("/input", "type")),
        (TaskDefinition, {"title": "t", "metadata": {"a": "x" * 16384}}, ("/metadata", "too_long")),
        (TaskDefinition, {"title": "t", "evaluation": "all"}, ("/evaluation", "not_allowed")),
        (TaskDefinition, {"title": "t", "quorum": {"accept": 2}}, ("/quorum", "out_of_range")),
        (TaskDefinition, [], ("", "type")),
        (TaskPatch, {}, ("", "required")),
        (TaskPatch, {"priority": None}, ("", "type")),
        (KeyRequest, {"role": "client", "bot": "b"}, ("", "not_allowed")),
        (Report, {"bot_id": "b", "status": "succeeded"}, ("", "required")),
        (Report, {"bot_id": "b", "status": "succeeded", "plan": {}, "verdict": {}}, ("", "not_allowed")),
        (Report, {"bot_id": "b", "status": "succeeded", "output": 1, "error": {}}, ("", "not_allowed")),
        (Report, {"bot_id": "b", "status": "failed", "output": 1}, ("", "not_allowed")),
        (Report, {"bot_id": "b", "status": "failed", "error": {"class": "x"}}, ("/error/class", "not_allowed")),
        (Report, {"bot_id": "b", "status": "failed", "error": {"retry_after_seconds": 1}}, ("/error", "not_allowed")),
    ],
)
def test_each_kind_of_error_has_its_pointer_and_code(model: type[Request], raw: Any, expected: tuple[str, str]) -> None:
    assert errors(model, raw) == [expected]


def test_the_number_of_errors_in_an_answer_is_limited() -> None:
    assert len(errors(TaskDefinition, {str(n): 1 for n in range(ERRORS_MAX + 1)})) == ERRORS_MAX


def test_an_error_of_our_own_validators_has_its_code_and_text() -> None:
    refused = refusal(KeyRequest, {"role": "client", "bot": "b"})

    assert refused is not None
    assert refused.details == (("", "not_allowed", "bot and skills are allowed only with bot roles and admin"),)


def test_a_problem_has_all_members_of_the_standard_and_ours() -> None:
    problem = Problem(
        type="https://example.org/errors/invalid", title="Invalid", status=422, detail="…", code="invalid",
        retryable=False, request_id="req_1", errors=[FieldError(pointer="/a", code="required", detail="is required")],
    )  # fmt: skip

    assert list(problem.model_dump()) == [
        "type", "title", "status", "detail", "code", "retryable", "request_id", "errors",
        "oldest_cursor",
    ]  # fmt: skip
