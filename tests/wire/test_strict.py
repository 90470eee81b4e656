"""Strict JSON: what is accepted, what is refused with its position, and that hostile input is refused quickly."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarmkeeper.core.errors import Invalid, Malformed, SwarmkeeperError, TooLarge
from swarmkeeper.wire.parsing import strict
from swarmkeeper.wire.parsing.strict import DEPTH_MAX, INTEGER_MAX, parse_json
from swarmkeeper.wire.problems import SCHEMA_NAMES

LIMIT = 1024 * 1024
MEGABYTE = 1_000_000

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-INTEGER_MAX, INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=30,
)


def parse(body: bytes | str) -> Any:
    return parse_json(body.encode() if isinstance(body, str) else body, limit=LIMIT)


def refusal(body: bytes | str) -> SwarmkeeperError:
    with pytest.raises(SwarmkeeperError) as caught:
        parse_json(body.encode() if isinstance(body, str) else body, limit=LIMIT, safe=lambda name: f"<{len(name)}>")
    return caught.value


@given(DOCUMENTS, st.booleans(), st.sampled_from([(",", ":"), (", ", ": ")]))
def test_every_json_document_is_parsed_unchanged(document: Any, escaped: bool, separators: tuple[str, str]) -> None:
    assert parse(json.dumps(document, ensure_ascii=escaped, separators=separators)) == document


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        b'{"a": 1, "a": 1}',
        b'["0000000000000000000",{"b":9007199254740993}]',
        b'["e000",1e400]',
        b'{"a":"' + b"\xed\xa0\x80" + b'"}',
        b"[NaN]",
        b'["\\u0000"]',
        b'["\\ud800"]',
        b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1),
    ],
)
def test_the_fast_parser_refuses_the_same_documents(body: bytes) -> None:
    refusal(body)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (",\n", " : ")])
def test_what_usual_encoders_write_never_reaches_the_slower_parser(
    separators: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slower(text: str, safe: object, *, plain: bool) -> Any:
        raise AssertionError("it was parsed a second time")

    monkeypatch.setattr(strict, "_parse", slower)
    document = {"lease_id": "les_0", "output": [1, 2.5, None, True, "a, b: c"], "claim": {"max": 1}}

    assert parse(json.dumps(document, separators=separators)) == document


def test_strings_that_look_like_large_numbers_do_not_matter() -> None:
    body = b'{"hash":"ae000123456789012345678901234567","n":9007199254740992,"f":1.5}'

    assert parse(body) == json.loads(body)


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:\\u0dDeE+-1.9 NaIfty\n\0', max_size=200).map(str.encode))
def test_any_bytes_are_parsed_as_the_standard_library_does_or_refused(body: bytes) -> None:
    try:
        mine = parse(body)
    except (Malformed, Invalid):
        return
    assert mine == json.loads(body)


@given(DOCUMENTS, TEXTS, DOCUMENTS, DOCUMENTS)
@example(None, "title", None, None)  # a name of ours is shown as it is
def test_a_repeated_key_is_refused_at_any_depth(around: Any, key: str, first: Any, second: Any) -> None:
    name = json.dumps(key)
    body = f"[{json.dumps(around)},{{{name}:{json.dumps(first)},{name}:{json.dumps(second)}}}]"

    refused = refusal(body)

    assert isinstance(refused, Malformed)
    shown = key if key in SCHEMA_NAMES else f"<{len(key)}>"
    assert refused.details[0][:2] == (f"/1/{shown}", "duplicate_key")


def test_the_same_key_written_in_two_ways_is_the_same_key() -> None:
    assert refusal(r'{"a": 1, "\u0061": 2}').code == "malformed"


def test_a_repeated_key_inside_an_overwritten_value_is_found() -> None:
    assert refusal('{"a": {"b": 1, "b": 2}, "a": 1}').details == (
        ("/<1>", "duplicate_key", "appears more than once in its object"),
    )


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "{",
        '{"a":}',
        "[1,]",
        "01",
        "1.",
        "+1",
        "'a'",
        '"a',
        '"\x01"',
        "nul",
        "1 2",
        "\ufeff1",
        r'"\x41"',
        "undefined",
    ],
)
def test_invalid_json_is_malformed(body: str) -> None:
    assert refusal(body).code == "malformed"


@pytest.mark.parametrize("body", ["NaN", "[Infinity]", '{"a": -Infinity}'])
def test_json_has_no_nan_and_no_infinity(body: str) -> None:
    refused = refusal(body)

    assert refused.code == "malformed"
    assert "NaN" in refused.detail


@pytest.mark.parametrize(
    "body", [b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', '"é"'.encode("latin-1"), '{"a":1}'.encode("utf-16")]
)
def test_a_body_that_is_not_utf8_is_malformed(body: bytes) -> None:
    assert refusal(body).code == "malformed"


@pytest.mark.parametrize("text", [r"\ud800", r"\udfff", r"a\uD834", r"\udd1e\ud834"])
def test_half_a_surrogate_pair_is_malformed(text: str) -> None:
    refused = refusal(f'{{"name?": "{text}"}}')

    assert refused.code == "malformed"
    assert refused.details == (("/<5>", "character", "contains half of a surrogate pair"),)


def test_half_a_surrogate_pair_in_a_name_never_reaches_the_answer() -> None:
    refused = refusal(r'{"\ud800": 1}')

    assert refused.details[0][0].encode() == b"/<1>"
    with pytest.raises(Malformed) as caught:
        parse_json(rb'{"\ud800": 1}', limit=LIMIT, safe=str)
    assert caught.value.details[0][0] == "/?"


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert parse(r'"\ud834\udd1e"') == "\U0001d11e"


def test_the_null_character_is_invalid_with_its_position() -> None:
    refused = refusal(r'{"a": ["x", "y\u0000z"], "b\u0000": 1}')

    assert refused.code == "invalid"
    assert [pointer for pointer, _, _ in refused.details] == ["/<2>", "/<1>/1"]


def test_an_escaped_backslash_before_u0000_is_plain_text() -> None:
    assert parse(r'"\\u0000 \\ud800"') == r"\u0000 \ud800"


@pytest.mark.parametrize("number", [INTEGER_MAX, -INTEGER_MAX])
def test_integers_are_accepted_up_to_two_to_the_53rd(number: int) -> None:
    beyond = number + 1 if number > 0 else number - 1

    assert parse(f'{{"a": [{number}]}}') == {"a": [number]}
    assert refusal(f'{{"a": [{beyond}]}}').details == (("/<1>/0", "out_of_range", "is an integer beyond ±2^53"),)


@given(st.integers())
def test_an_integer_is_kept_exactly_or_refused(number: int) -> None:
    if abs(number) <= INTEGER_MAX:
        assert parse(str(number)) == number
    else:
        assert refusal(str(number)).code == "invalid"


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,320})\.[0-9]{1,5}([eE][+-]?[0-9]{1,4})?", fullmatch=True))
def test_a_number_with_a_fraction_is_finite_or_refused(digits: str) -> None:
    if math.isfinite(float(digits)):
        assert parse(digits) == float(digits)
    else:
        assert refusal(digits).code == "invalid"


@pytest.mark.parametrize("digits", ["1e999", "1E999", "-1e+0999", "1.5E+400", "9" * 400 + ".0"])
def test_a_number_too_large_for_a_float_is_invalid(digits: str) -> None:
    assert refusal(f"[{digits}]").details == (("/0", "out_of_range", "is a number that is too large"),)


@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}"), ('[{"[":', "}]")])
def test_nesting_is_accepted_up_to_depth_64(start: str, end: str) -> None:
    levels = start.count("[{") + 1
    times = DEPTH_MAX // levels

    assert parse(start * times + "0" + end * times) is not None
    assert "deeper" in refusal(start * (times + 1) + "0" + end * (times + 1)).detail


def test_brackets_in_texts_and_side_by_side_are_not_depth() -> None:
    body = json.dumps({"text": "[" * 500 + '\\"{{', "lists": [[]] * 500})

    assert parse(body) == json.loads(body)


def test_a_body_longer_than_its_limit_is_too_large() -> None:
    assert parse_json(b"[1]", limit=3) == [1]
    with pytest.raises(TooLarge):
        parse_json(b"[1]", limit=2)


def test_the_bounds_are_those_of_the_contract() -> None:
    assert (DEPTH_MAX, INTEGER_MAX) == (64, 9_007_199_254_740_992)


def test_more_errors_than_are_listed_end_the_parsing() -> None:
    assert len(refusal(b"[" + b"1e999," * 999 + b"1e999]").details) == 1000
    assert "more than 1000" in refusal(b"[" + b"1e999," * 1000 + b"1e999]").detail


def test_every_error_has_its_position_and_no_input() -> None:
    refused = refusal(r'{"hunter2": 1, "hunter2": 99999999999999999, "x": ["hunter2\u0000"], "title": 1e999}')

    assert [code for _, code, _ in refused.details] == [
        "duplicate_key", "out_of_range", "character", "out_of_range",
    ]  # fmt: skip
    assert "hunter2" not in str(refused) + str(refused.details)


HOSTILE = {
    "open lists": b"[" * MEGABYTE,
    "open objects": b'{"a":' * (MEGABYTE // 5),
    "closed lists": b"[" * (MEGABYTE // 2) + b"]" * (MEGABYTE // 2),
    "a very long integer": b"1" * MEGABYTE,
    "very many large integers": b"[" + b"99999999999999999," * (MEGABYTE // 18) + b"1]",
    "very many large floats": b"[" + b"1e999," * (MEGABYTE // 6) + b"1]",
    "an open text of escaped quotes": b'"' + rb"\"" * (MEGABYTE // 2),
    "open texts": b'["' * (MEGABYTE // 2),
    "open lists and escapes": b'["\\' * (MEGABYTE // 3),
    "one key very often": b"{" + b'"a":1,' * (MEGABYTE // 6) + b'"a":1}',
    "very many repeated keys": b"[" + b'{"a":1,"a":1},' * (MEGABYTE // 14) + b"1]",
    "very many null characters": b"[" + rb'"\u0000",' * (MEGABYTE // 9) + b"1]",
    "blanks": b" " * MEGABYTE,
}


@pytest.mark.timeout(20)  # the slowest takes a fifth of a second; anything quadratic would take minutes
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies_are_refused_in_linear_time_with_a_bounded_answer(name: str) -> None:
    refused = refusal(HOSTILE[name])

    assert refused.code in {"malformed", "invalid"}
    assert len(refused.details) <= 1000
