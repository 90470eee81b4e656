"""Schemas of answers: which may be used, what they refuse, and that none can keep the engine busy."""

import time
from typing import Any

import pytest

from swarmkeeper.govern import schemas
from swarmkeeper.govern.schemas import BYTES_MAX, PARTS_MAX, REFERENCES_DEEP_MAX

Json = Any


def wrong(schema: Json) -> str | None:
    """Return the place of the first error in it."""
    found = schemas.check_schema(schema, lambda name: name)
    return found[0][0] if found else None


def chain(length: int) -> Json:
    """Return a schema with this many references, each after the one before."""
    links = {f"n{place}": {"$ref": f"#/$defs/n{place + 1}"} for place in range(length)}
    return {"$ref": "#/$defs/n0", "$defs": {**links, f"n{length}": {"type": "null"}}}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "string", "pattern": "^a+$"},
        {"$schema": schemas.DIALECT, "type": "object", "properties": {"$ref": {"type": "string"}}},
        {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"enum": [1]}}},
        chain(REFERENCES_DEEP_MAX - 1),
        {"allOf": [{}] * (PARTS_MAX - 1)},
        {"title": "x" * (BYTES_MAX - 13)},
    ],
)
def test_a_sound_schema_may_be_used(schema: Json) -> None:
    assert wrong(schema) is None


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "text"}, "/schema/type"),
        ({"properties": {"a": 1}}, "/schema/properties/a"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/schema/$schema"),
        ({"pattern": "(?<!a)b"}, "/schema/pattern"),
        ({"pattern": "((a{1000}){1000}){1000}"}, "/schema/pattern"),
        ({"$ref": "https://example.com/schema"}, "/schema/$ref"),
        ({"$ref": "#"}, "/schema/$ref"),
        ({"$ref": "#/$defs/none"}, "/schema/$ref"),
        ({"$id": "https://example.com/", "$ref": "#/$defs/a"}, "/schema/$id"),
        ({"$dynamicRef": "#a"}, "/schema/$dynamicRef"),
        ({"allOf": [{"unevaluatedProperties": False}]}, "/schema/allOf/0/unevaluatedProperties"),
        ({"unevaluatedItems": {}}, "/schema/unevaluatedItems"),
        ({"pattern": r"\pL{90}"}, "/schema/pattern"),
        ({"allOf": [{"pattern": "a"}] * 60}, "/schema"),
        ({"patternProperties": {f"^{n}": {} for n in range(60)}}, "/schema"),
        ({"allOf": [{}] * PARTS_MAX}, "/schema"),
        ({"title": "x" * (BYTES_MAX - 12)}, "/schema"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_place(schema: Json, place: str) -> None:
    assert wrong(schema) == place


def test_references_may_not_lead_too_far() -> None:
    assert wrong(chain(REFERENCES_DEEP_MAX + 1)) is not None
    assert wrong(chain(500)) is not None


def test_nothing_is_fetched_even_if_a_reference_got_through() -> None:
    with pytest.raises(ValueError, match="Retrieval is disabled"):
        schemas._validator({"$ref": "http://127.0.0.1:1/schema"})


def test_a_schema_may_not_contain_itself() -> None:
    endless = {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"not": {"$ref": "#/$defs/a"}}},
    }

    assert [found[:2] for found in schemas.check_schema(endless, str)] == [("/schema/$defs/b/not/$ref", "recursive")]


def test_neither_a_schema_nor_a_pattern_can_keep_the_engine_busy() -> None:
    twice = {f"n{n}": {"allOf": [{"$ref": f"#/$defs/n{n - 1}"}] * 2} for n in range(1, 60)}
    began = time.perf_counter()

    unfolding = wrong({"$ref": "#/$defs/n59", "$defs": {"n0": {}, **twice}})
    answered = schemas.check_answer({"pattern": "^(a+)+$"}, "a" * 60_000 + "b", lambda name: name)

    assert unfolding is not None
    assert [place for place, _, _ in answered] == ["/answer"]
    assert time.perf_counter() - began < 2


def test_no_answer_can_keep_the_engine_busy() -> None:
    level: Json = {"type": "string"}
    for _ in range(3):
        level = {"anyOf": [{"items": level}] * 7}
    many = {"allOf": [{"items": {"minLength": 30}}] * 200}
    began = time.perf_counter()

    nested = schemas.check_answer(level, [[[1] * 20] * 20] * 8, lambda name: name)
    wrong_everywhere = schemas.check_answer(many, ["a" * 20] * 400, lambda name: name)
    too_much = schemas.check_answer(many, ["a" * 40] * 1400, lambda name: name)

    assert [found[:2] for found in (*nested, *wrong_everywhere)] == [("/answer", "schema")] * 2
    assert [found[:2] for found in too_much] == [("/answer", "too_long")]
    assert time.perf_counter() - began < 2


def test_a_wrong_answer_is_told_by_place_and_rule_and_never_repeated() -> None:
    schema = {"type": "object", "properties": {"when": {"format": "date"}}, "additionalProperties": False}

    errors = schemas.check_answer(schema, {"when": "swordfish", "hunter2": 1}, lambda name: name)

    assert [(place, words) for place, _, words in errors] == [
        ("/answer/when", "violates `format` of the question's schema"),
        ("/answer", "violates `additionalProperties` of the question's schema"),
    ]
    assert schemas.check_answer(schema, {"when": "2026-01-31"}, lambda name: name) == ()
    assert len(schemas.check_answer({"items": {"type": "null"}}, [1] * 100, lambda name: name)) == schemas.ERRORS_MAX


def test_names_that_came_with_the_answer_are_shown_as_the_redactor_lets_them() -> None:
    schema = {"additionalProperties": {"type": "null"}}

    assert schemas.check_answer(schema, {"hunter2": 1}, lambda name: "***")[0][0] == "/answer/***"
