"""Redaction of whole values: the shape is kept, no secret passes, and the result can always be encoded."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.model import FieldRedaction, Principal
from swarmkeeper.core.ports import Rules
from swarmkeeper.govern import access
from swarmkeeper.govern.audit import canonical
from swarmkeeper.govern.redaction import detectors
from swarmkeeper.govern.redaction.redactor import DEPTH_MAX, Redactor
from swarmkeeper.govern.rulebook import Rulebook

REDACTOR = Redactor.default()
SECRET = "hunter2" * 3
UNSCANNED = "[redacted:unscanned]"

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=6) | st.integers() | st.none(), inner, max_size=4)
        | st.frozensets(st.text(max_size=3), max_size=2)
    ),
    max_leaves=15,
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("abc XYZ", max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=4), inner, max_size=4),
    max_leaves=15,
)


@given(ANYTHING)
def test_any_value_becomes_json_that_can_be_encoded(value: object) -> None:
    redacted = REDACTOR.redact(value)

    canonical(redacted.value)
    assert REDACTOR.redact(redacted.value).value == redacted.value


@given(PLAIN)
def test_a_value_without_secrets_is_unchanged(value: object) -> None:
    redacted = REDACTOR.redact(value)

    assert redacted.value == value
    assert redacted.fields == ()


@given(PLAIN, st.lists(st.sampled_from(["list", "dict", "pair"]), max_size=6))
def test_a_secret_is_found_at_any_depth_and_among_anything(other: object, nest: list[str]) -> None:
    value: Any = f"password={SECRET}"
    for kind in nest:
        value = {"list": [value, other], "dict": {"k": value, "o": other}, "pair": (other, {"x": value})}[kind]

    redacted = REDACTOR.redact(value)

    assert SECRET not in repr(redacted)
    assert [field.rule for field in redacted.fields] == ["password-pair"]
    assert resolve(redacted.value, redacted.fields[0].pointer) == "password=[redacted:password-pair]"


def resolve(value: Any, pointer: str) -> object:
    for segment in pointer.split("/")[1:]:
        value = value[int(segment) if isinstance(value, list) else segment.replace("~1", "/").replace("~0", "~")]
    return value


@pytest.mark.parametrize("held", ["text", 1, 1.5, None, True, [1, 2], {"a": "b"}, ["x"] * 1000])
@pytest.mark.parametrize("key", ["password", "Pass-Word", "DB_PASSWORD", "api_key", "X-Api-Key", "clientSecret"])
def test_a_key_that_names_a_secret_hides_its_value_whatever_it_is(key: str, held: object) -> None:
    redacted = REDACTOR.redact({"outer": [{key: held, "other": 1}]})

    assert redacted.value == {"outer": [{key: "[redacted:secret-field]", "other": 1}]}
    assert redacted.fields == (FieldRedaction(f"/outer/0/{key}", "secret-field"),)


def test_keys_are_searched_too_and_none_is_dropped() -> None:
    redacted = REDACTOR.redact({"a@b.example": 1, "c@d.example": 2, "[redacted:email]": 3, "plain": 4})

    assert redacted.value == {"[redacted:email]": 1, "[redacted:email]#2": 2, "[redacted:email]#3": 3, "plain": 4}
    assert redacted.fields == (
        FieldRedaction("/[redacted:email]", "email", within="key"),
        FieldRedaction("/[redacted:email]#2", "email", within="key"),
    )


def test_a_pointer_never_holds_the_secret_in_its_key() -> None:
    redacted = REDACTOR.redact({f"password={SECRET}": {"mail/to~me": "a@b.example"}})

    assert SECRET not in repr(redacted)
    assert redacted.fields[1] == FieldRedaction("/password=[redacted:password-pair]/mail~1to~0me", "email")


@pytest.mark.parametrize("number", [4111111111111111, -4111111111111111, 4111111111111111.0])
def test_a_card_written_as_a_number_is_a_card(number: float) -> None:
    assert REDACTOR.redact({"n": number, "m": 1795335000123456}).value == {
        "n": "[redacted:card]",
        "m": 1795335000123456,
    }


@pytest.mark.parametrize(
    "strange",
    [b"bytes", {1, 2}, object(), 2**53, -(2**60), float("nan"), float("inf"), "\ud800", "x" * ((1 << 20) + 1)],
)
def test_a_value_that_cannot_be_searched_is_hidden_whole(strange: object) -> None:
    redacted = REDACTOR.redact({"a": [strange], "b": "kept"})

    assert redacted.value == {"a": [UNSCANNED], "b": "kept"}
    assert redacted.fields == (FieldRedaction("/a/0", "unscanned"),)


def test_a_value_deeper_than_the_bound_is_hidden_below_it() -> None:
    value: Any = "deep"
    for _ in range(5_000):
        value = [value]

    shown = REDACTOR.redact({"top": value}).value["top"]
    depth = 1
    while isinstance(shown, list):
        shown, depth = shown[0], depth + 1

    assert shown == UNSCANNED
    assert depth == DEPTH_MAX


def test_texts_beyond_the_bound_of_a_value_are_hidden_unseen() -> None:
    value = ["y" * (1 << 20)] * 5

    assert REDACTOR.redact(value).value == [*value[:4], UNSCANNED]


def test_more_secrets_than_the_cap_hide_the_whole_text() -> None:
    assert REDACTOR.redact({"a": "x@y.example " * 2_000}).value == {"a": UNSCANNED}


def test_a_rule_that_fails_hides_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: detectors.Detectors, text: str) -> list[detectors.Span]:
        raise RuntimeError(text)

    redactor = Redactor.default()
    monkeypatch.setattr(detectors.Detectors, "find", broken)

    assert redactor.redact({"a": "mail a@b.example"}).value == {UNSCANNED: UNSCANNED}
    assert redactor.text("x") == UNSCANNED


def test_the_answer_shares_nothing_that_could_be_changed_later() -> None:
    inner = {"k": ["v"]}
    redacted = REDACTOR.redact({"inner": inner})

    inner["k"].append(f"password={SECRET}")
    inner["more"] = [SECRET]

    assert redacted.value == {"inner": {"k": ["v"]}}


def test_mappings_and_tuples_come_out_as_objects_and_lists() -> None:
    assert REDACTOR.redact(MappingProxyType({"a": (1, "b")})).value == {"a": [1, "b"]}
    assert type(REDACTOR.redact({"a": (1,)}).value["a"]) is list


def test_enumerated_words_come_out_as_plain_text() -> None:
    value = REDACTOR.redact({"role": access.Role.CLIENT}).value["role"]

    assert (value, type(value)) == ("client", str)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("name", "name"),
        ("a@b.example", "[redacted:email]"),
        ("a\x1b[31m\nb", "a?[31m?b"),
        ("x" * 64, "x" * 64),
        ("x" * 65, "x" * 63 + "…"),
        ("\ud800", UNSCANNED),
    ],
)
def test_a_callers_name_is_made_safe_for_an_error(text: str, shown: str) -> None:
    assert REDACTOR.safe_segment(text) == shown


def test_a_secret_cut_in_two_by_the_bound_is_redacted_before_it_is_cut() -> None:
    assert SECRET[:5] not in REDACTOR.safe_segment("x" * 50 + f" password={SECRET}")


def test_the_positions_of_secrets_can_be_found() -> None:
    text = "größe: mail a@b.example"

    assert REDACTOR.find(text) == [detectors.Span(12, 23, "email")]
    assert text[12:23] == "a@b.example"
    with pytest.raises(detectors.Unscanned):
        REDACTOR.find("a@b.example " * 2_000)


def test_the_same_rules_and_value_give_the_same_answer_in_any_order_of_use() -> None:
    value = {"email": "a@b.example", "x" * 70: "y", "password": 1}
    warm, cold = Redactor.default(), Redactor.default()
    for n in range(5_000):
        warm.redact({f"key {n}": n})

    assert warm.redact(value) == cold.redact(value)
    assert warm.hash == cold.hash


def test_the_rulebook_implements_the_port_of_decisions() -> None:
    rules: Rules = Rulebook(REDACTOR)
    client = Principal("acme", "key_1", "client")

    assert rules.hash == REDACTOR.hash
    assert rules.redact({"password": 1}, tenant=None).value == {"password": "[redacted:secret-field]"}
    assert rules.text("password=hunter2", tenant=None) == "password=[redacted:password-pair]"
    assert rules.may(client, "task.submit")
    assert "admin" in rules.why_not(client, "key.manage")
