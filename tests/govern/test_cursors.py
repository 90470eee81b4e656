"""Cursors: they come back as the numbers they hide, for the tenant that was given them, and tell nothing else."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from swarmkeeper.govern.cursors import LENGTH, PATTERN, CursorOfAnotherStore, Cursors, NotACursor

KEYS = st.binary(min_size=32, max_size=32)
NUMBERS = st.integers(0, 2**62)
TENANTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
STORE = Cursors(bytes(range(32)))
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(KEYS, TENANTS, NUMBERS)
def test_a_cursor_comes_back_as_its_number(key: bytes, tenant: str, number: int) -> None:
    cursor = Cursors(key).encode(tenant, number)

    assert Cursors(key).decode(tenant, cursor) == number
    assert re.fullmatch(PATTERN, cursor)
    assert len(cursor) == LENGTH
    assert cursor[0].isalpha(), "a command line would take it for an option"


@given(KEYS, TENANTS, TENANTS, NUMBERS)
def test_a_cursor_of_one_tenant_is_none_of_another(key: bytes, one: str, other: str, number: int) -> None:
    assume(one != other)
    cursors = Cursors(key)

    with pytest.raises(NotACursor):
        cursors.decode(other, cursors.encode(one, number))
    assert cursors.encode(one, number) != cursors.encode(other, number)


@given(TENANTS, NUMBERS)
def test_a_place_in_a_list_of_subtasks_is_no_cursor_of_the_feed(tenant: str, number: int) -> None:
    places = STORE.of_subtasks()

    assert places.decode(tenant, places.encode(tenant, number)) == number
    for one, other in ((places, STORE), (STORE, places)):
        with pytest.raises((NotACursor, CursorOfAnotherStore)):
            other.decode(tenant, one.encode(tenant, number))


@given(KEYS, TENANTS, NUMBERS)
def test_a_cursor_of_another_store_is_told_from_none(key: bytes, tenant: str, number: int) -> None:
    cursor = Cursors(key).encode(tenant, number)
    assume(cursor[:2] != STORE.encode(tenant, number)[:2])  # the marks of a few stores are equal: it is then none

    with pytest.raises(CursorOfAnotherStore):
        STORE.decode(tenant, cursor)


@given(st.one_of(st.text(max_size=40), st.text(ALPHABET, min_size=LENGTH, max_size=LENGTH)))
def test_a_text_that_nobody_was_given_is_no_cursor(text: str) -> None:
    assume(not (text.isascii() and text.isdecimal()))

    with pytest.raises((NotACursor, CursorOfAnotherStore)):
        STORE.decode("acme", text)


@given(NUMBERS, st.integers(3, LENGTH - 1), st.sampled_from(ALPHABET))
def test_a_cursor_that_was_changed_anywhere_is_none(number: int, place: int, letter: str) -> None:
    cursor = STORE.encode("acme", number)
    assume(cursor[place] != letter)

    with pytest.raises(NotACursor):
        STORE.decode("acme", cursor[:place] + letter + cursor[place + 1 :])


@given(st.integers(0, 2**62), st.integers(0, 10**19 - 1))
def test_numbers_that_were_shown_before_are_taken_and_no_others(shown_until: int, number: int) -> None:
    cursors = Cursors(bytes(32), shown_until)

    if number <= shown_until:
        assert cursors.decode("acme", str(number)) == number
    else:
        with pytest.raises(CursorOfAnotherStore):
            cursors.decode("acme", str(number))


@pytest.mark.parametrize("text", ["x" * 24, "-" * 24, "1" * 20, "-1", "+1", "1.0", "1_0", "\u0661", " 1", "\uff11", ""])
def test_what_no_store_has_ever_shown_is_no_cursor(text: str) -> None:
    with pytest.raises(NotACursor):
        Cursors(bytes(32), 2**62).decode("acme", text)


def test_cursors_of_numbers_that_follow_each_other_are_as_different_as_any() -> None:
    cursors = [STORE.encode("acme", number) for number in range(1, 1001)]
    same = [sum(a == b for a, b in zip(one[3:], two[3:], strict=True)) for one, two in pairwise(cursors)]
    grows = sum(one < two for one, two in pairwise(cursors))

    assert len(set(cursors)) == 1000
    assert sum(same) < 1000 * (LENGTH - 3) * 2 / 64, "of equal letters there are as many as by chance"
    assert 400 < grows < 600, "their order is by chance"


def test_cursors_that_clients_keep_stay_valid_in_later_versions() -> None:
    """They are kept outside for as long as clients like: a change of this form needs a way to read the old one."""
    assert STORE.encode("default", 1) == "Qu90LjkX0-sES-qydqvkdFvJ"
    assert STORE.encode("default", 2**40 + 7) == "Qu9T9lHXpcW1UDe7aCkkHON7"
