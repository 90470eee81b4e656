"""The store returns every value that the wire accepts unchanged."""

import asyncio
import dataclasses
import typing
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.model import AnswerRecord, BackgroundJob, Idempotency, Json, LeaseRecord, TaskRecord, Work
from swarmkeeper.core.ports import Changes
from swarmkeeper.storage.sqlite import SqliteStore
from swarmkeeper.testing import records
from tests.examples import examples

# No U+0000 and no lone surrogates: the wire refuses them.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
WHOLE = st.integers(-(2**53), 2**53)
JSON: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
FREE = {"labels", "defaults", "failure", "error", "progress", "usage", "args", "excluded", "makers", "title", "trace"}
FREE |= {
    "subtask_labels",
    "since",
    "place",
    "wake",
    "deadline",
    "cursor",
    "refused",
    "claim_id",
    "taker",
    "result_hash",
    "updated_at",
}


def of_type(kind: Any) -> st.SearchStrategy[Any]:
    origin = typing.get_origin(kind) or kind
    if origin in (typing.Union, type(int | None)):
        return st.one_of(*(of_type(member) for member in typing.get_args(kind)))
    if origin is type(None):
        return st.none()
    if origin is tuple:
        item, *more = typing.get_args(kind)
        if more != [...]:
            return st.tuples(*map(of_type, typing.get_args(kind)))
        return st.lists(of_type(item), max_size=3).map(tuple)
    if isinstance(origin, type) and dataclasses.is_dataclass(origin):
        kinds = typing.get_type_hints(origin)
        return st.builds(origin, **{field.name: of_type(kinds[field.name]) for field in dataclasses.fields(origin)})
    if origin is int:
        return WHOLE
    if origin is str:
        return TEXT
    if isinstance(origin, type) and issubclass(origin, Enum):
        return st.sampled_from(origin)
    whole = typing.get_args(kind)[1]
    return st.dictionaries(TEXT, JSON if whole is Any else of_type(whole), max_size=3)


def free_fields(record: type[Any]) -> st.SearchStrategy[dict[str, Any]]:
    kinds = typing.get_type_hints(record)
    names = [field.name for field in dataclasses.fields(record) if field.name in FREE]
    return st.fixed_dictionaries({name: of_type(kinds[name]) for name in names})


def kept(record: Any) -> Any:
    async def through_the_store() -> Any:
        store = SqliteStore(":memory:", keep_bytes=0)
        await store.open()
        async with store.begin() as transaction:
            await transaction.save(records.changes_of(record))
            want = records.want_of(record)
            found = (await transaction.load([want]))[want]
        await store.close()
        return found

    return asyncio.run(through_the_store())


@pytest.mark.parametrize("record", [TaskRecord, Work, LeaseRecord, BackgroundJob], ids=lambda record: record.__name__)
@examples(40)
@given(data=st.data())
def test_a_record_with_anything_in_it_comes_back(record: type[Any], data: st.DataObject) -> None:
    stored = dataclasses.replace(records.bare(record, id="x_1"), **data.draw(free_fields(record)))

    assert kept(stored) == records.loaded(stored)


@examples(40)
@given(tenant=TEXT, key=TEXT, resource=TEXT, expires=WHOLE)
def test_an_idempotency_key_with_anything_in_it_comes_back(tenant: str, key: str, resource: str, expires: int) -> None:
    stored = Idempotency(tenant, key, "hash", 201, resource, expires)

    assert kept(stored) == stored


@examples(40)
@given(answer=JSON)
def test_any_json_can_be_an_answer(answer: Json) -> None:
    async def through_the_store() -> Any:
        import msgspec

        store = SqliteStore(":memory:", keep_bytes=0)
        await store.open()
        async with store.begin() as transaction:
            await transaction.save(Changes(answered=[AnswerRecord("sub_1", "tsk_1", "?", answer, 1)]))
        found = await store.read("answers_of_works", {"works": '["sub_1"]'})
        await store.close()
        return msgspec.json.decode(found[0]["answer"])

    assert asyncio.run(through_the_store()) == answer
