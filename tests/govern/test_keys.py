"""API keys: created, parsed, mistyped, stored."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.govern.keys import digest, is_weak, new_key, parse, same

SHAPE = re.compile(r"swk_[0-9A-Za-z]{10}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}")


@given(st.binary(min_size=32, max_size=64))
def test_a_key_has_the_documented_shape_and_can_be_parsed(entropy: bytes) -> None:
    key = new_key(entropy)

    assert SHAPE.fullmatch(key.text)
    assert parse(key.text) == (key.public_id, key.secret)
    assert new_key(entropy) == key


@given(st.integers(0, 64), st.sampled_from("0Zz_-é \n"))
def test_a_key_with_one_wrong_letter_is_refused_before_anyone_looks_it_up(place: int, letter: str) -> None:
    text = new_key(bytes(range(32))).text
    wrong = text[:place] + letter + text[place + 1 :]

    assert (parse(wrong) is None) == (wrong != text)


@pytest.mark.parametrize("text", ["", "swk_", "swk___", "swk_" + "0" * 61, "_" * 65, "0" * 65, "swk_a_b_c", "é" * 65])
def test_what_is_no_key_is_refused(text: str) -> None:
    assert parse(text) is None


def test_a_key_made_of_too_little_chance_is_refused() -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        new_key(bytes(31))


def test_different_chance_makes_keys_that_share_nothing() -> None:
    keys = [new_key(n.to_bytes(32)) for n in range(300)]

    assert len({key.public_id for key in keys}) == len({key.secret for key in keys}) == 300


def test_a_secret_of_few_different_letters_is_weak_and_a_random_one_is_not() -> None:
    assert is_weak("abcdefghijk" * 4)
    assert not is_weak("abcdefghijkl" * 4)
    assert [n for n in range(300) if is_weak(new_key(n.to_bytes(32)).secret)] == []


def test_a_digest_needs_the_pepper_and_the_secret() -> None:
    kept = digest(b"pepper", "secret")

    assert len(kept) == 32
    assert same(kept, digest(b"pepper", "secret"))
    assert not same(kept, digest(b"salt", "secret"))
    assert not same(kept, digest(b"pepper", "secret "))


def test_a_key_does_not_show_its_secret_when_printed() -> None:
    key = new_key(bytes(32))

    assert key.secret not in repr(key)
    assert key.public_id in repr(key)
