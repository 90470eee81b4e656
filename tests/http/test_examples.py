"""The description of the API shows an example of each call and its answer, and each fits its schema."""

from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from swarmkeeper.http.insight.examples import all_examples
from tests.http.described import differences, document

LABELS = sorted(all_examples())


def calls() -> dict[str, dict[str, Any]]:
    return {f"{method.upper()} {path}": each for path, of in document()["paths"].items() for method, each in of.items()}


def in_json(part: dict[str, Any]) -> dict[str, Any] | None:
    found: dict[str, Any] | None = part.get("content", {}).get("application/json")
    return found


def lacking(call: dict[str, Any]) -> list[str]:
    """Return which of a call's request and answer is JSON and has no example."""
    body = in_json(call.get("requestBody", {}))
    answers = [in_json(answer) for status, answer in call["responses"].items() if status < "300"]
    shown = [answer for answer in answers if answer is not None]
    found = ["request"] if body is not None and "example" not in body else []
    return found + (["answer"] if shown and not any("example" in answer for answer in shown) else [])


def test_each_call_has_an_example_of_what_is_sent_and_answered() -> None:
    assert {label: found for label, call in calls().items() if (found := lacking(call))} == {}


def test_a_call_without_an_example_is_found() -> None:
    call = calls()["PATCH /tasks/{task_id}"]
    assert call["requestBody"]["content"]["application/json"].pop("example")
    assert call["responses"]["200"]["content"]["application/json"].pop("example")

    try:
        assert lacking(call) == ["request", "answer"]
    finally:
        document.cache_clear()  # what was taken out comes back


def test_each_example_is_of_a_call_that_exists() -> None:
    assert set(LABELS) <= calls().keys()


@pytest.mark.parametrize("label", LABELS)
def test_an_example_fits_the_schemas_of_its_call(label: str) -> None:
    method, path = label.split(" ")
    shown = all_examples()[label]
    sent = in_json(calls()[label].get("requestBody", {}))

    assert differences(method, path, shown.status, shown.answer) == []
    if sent is not None:
        schema = {**sent["schema"], "components": document()["components"]}
        assert [error.message for error in Draft202012Validator(schema).iter_errors(shown.request)] == []


def test_an_example_that_does_not_fit_is_found() -> None:
    wrong: Any = {**all_examples()["GET /tasks/{task_id}/timeline"].answer, "now": 5}

    assert differences("GET", "/tasks/{task_id}/timeline", 200, wrong)
