"""Goes over all bodies of a store: encrypts those that are plain, counts and checks them, wraps data keys anew.

Each slice is a transaction, and what is encrypted already is left alone. So a pass that was interrupted is simply begun
again, and servers go on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from swarmkeeper.core.erasure.records import ErasedBody
from swarmkeeper.core.ports import StoreDamaged
from swarmkeeper.storage.at_rest.bodies import PAYLOAD, BodyCodec, is_sealed, is_sealed_text
from swarmkeeper.storage.at_rest.data_keys import DataKey, DataKeys
from swarmkeeper.storage.at_rest.raw import FIRST, TABLES, TEXT_FIRST, RawBodies, StoredBody, StoredTexts
from swarmkeeper.storage.at_rest.texts import TEXTS

SHOWN = 20  # bodies that are named; there may be many
SECONDS_BETWEEN = 0.02  # in which servers get their turn


@dataclass(slots=True)
class Counted:
    """The bodies of one table."""

    plain: int = 0
    encrypted: int = 0
    erased: int = 0  # their data key was destroyed, as `audit verify` compares with the log


@dataclass(slots=True)
class Survey:
    tables: dict[str, Counted] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)  # bodies that cannot be opened, or are marked wrongly

    def add(self, trouble: str) -> None:
        if len(self.wrong) < SHOWN:
            self.wrong.append(trouble)


async def encrypt(raw: RawBodies, bodies: BodyCodec, *, seconds_between: float = SECONDS_BETWEEN) -> dict[str, int]:
    """Encrypt all plain bodies; return how many, by table.

    Raises:
        WrongMasterKey: the data keys of the store cannot be unwrapped.
    """
    assert bodies.keys is not None, "there is a master key"
    keys = bodies.keys
    bodies.learn(await raw.keys(), writing=True, erased=await raw.erased())
    await raw.begin(bodies)
    done: dict[str, int] = {}
    left = 0  # plain bodies that stay: of a task that is gone, or altered
    for table in TABLES:
        done[table] = 0
        after: Any = FIRST[table]
        while after is not None:
            changed: dict[Any, bytes] = {}
            stay: set[Any] = set()

            def change(
                found: Sequence[StoredBody],
                table: str = table,
                changed: dict[Any, bytes] = changed,
                stay: set[Any] = stay,
            ) -> Mapping[Any, bytes]:
                bodies.roll_back()  # of a try before that did not commit
                changed.clear()
                stay.clear()
                for row in found:
                    if is_sealed(table, row.stored):
                        continue
                    if row.tenant is not None and _can_be_read(row.stored):
                        changed[row.key] = bodies.seal(table, row.tenant, row.id, row.stored, row.salt)
                    else:
                        stay.add(row.key)
                return changed

            try:
                after = await raw.slice(table, after, change, lambda: _new_rows(keys))
            except BaseException:
                bodies.roll_back()
                raise
            bodies.commit()
            done[table] += len(changed)
            left += len(stay)
            await asyncio.sleep(seconds_between)
    for table in TEXTS:
        number, stay_plain = await _encrypt_texts(raw, bodies, table, seconds_between)
        left += stay_plain
        if number:
            done[table] = number
    if not left:
        await raw.note_whole()
    return done


async def _encrypt_texts(raw: RawBodies, bodies: BodyCodec, table: str, seconds_between: float) -> tuple[int, int]:
    """Encrypt the texts of a table; return how many rows were changed, and how many stay plain."""
    keys, number, left = bodies.keys, 0, 0
    assert keys is not None, "there is a master key"
    after: Any = TEXT_FIRST[table]
    while after is not None:
        changed: dict[Any, Mapping[str, str | None]] = {}
        stay: set[Any] = set()

        def change(
            found: Sequence[StoredTexts],
            changed: dict[Any, Mapping[str, str | None]] = changed,
            stay: set[Any] = stay,
        ) -> Mapping[Any, Mapping[str, str | None]]:
            bodies.roll_back()  # of a try before that did not commit
            changed.clear()
            stay.clear()
            for row in found:
                if all(is_sealed_text(text) for text in row.texts.values()):
                    continue
                if row.tenant is None:
                    stay.add(row.key)
                    continue
                changed[row.key] = {
                    name: text if is_sealed_text(text) else bodies.seal_text(table, name, row.tenant, row.id, text)
                    for name, text in row.texts.items()
                }
            return changed

        try:
            after = await raw.text_slice(table, after, change, lambda: _new_rows(keys))
        except BaseException:
            bodies.roll_back()
            raise
        bodies.commit()
        number += len(changed)
        left += len(stay)
        await asyncio.sleep(seconds_between)
    return number, left


def _new_rows(keys: DataKeys) -> list[Any]:
    return [(key.id, key.tenant, key.key_id, key.nonce, key.wrapped) for key in keys.take_new()]


def _can_be_read(body: bytes) -> bool:
    """Whether a body is JSON, as each is that was written. One that was altered stays as it is for those who look."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except msgspec.MsgspecError:
        return False
    return True


async def survey(raw: RawBodies, bodies: BodyCodec) -> Survey:
    """Count all bodies, and open those that are encrypted."""
    bodies.learn(await raw.keys(), writing=False, erased=await raw.erased())
    found = Survey({table: Counted() for table in TABLES})
    for table in TABLES:
        after: Any = FIRST[table]
        while page := await raw.page(table, after):
            for row in page:
                _look(found, bodies, table, row)
            after = page[-1].key
    for table in TEXTS:
        after = TEXT_FIRST[table]
        while rows := await raw.text_page(table, after):
            for each in rows:
                _look_at_texts(found, bodies, table, each)
            after = rows[-1].key
    return found


def _look_at_texts(found: Survey, bodies: BodyCodec, table: str, row: StoredTexts) -> None:
    counted = found.tables.setdefault(table, Counted())
    for name, text in row.texts.items():
        if text is None:
            continue
        if not is_sealed_text(text):
            counted.plain += 1
            continue
        counted.encrypted += 1
        try:
            bodies.open_text(table, name, row.id, text)
        except StoreDamaged as error:
            found.add(str(error))


def _look(found: Survey, bodies: BodyCodec, table: str, row: StoredBody) -> None:
    counted = found.tables[table]
    is_encrypted = is_sealed(table, row.stored)
    if table == PAYLOAD and bool(row.flag) != is_encrypted:
        found.add(f"payload {row.id}: whether it is encrypted is marked wrongly")
    if not is_encrypted:
        counted.plain += 1
        return
    try:
        if type(bodies.open(table, row.id, row.stored, row.tenant)) is ErasedBody:
            counted.erased += 1
        else:
            counted.encrypted += 1
    except StoreDamaged as error:
        counted.encrypted += 1
        found.add(str(error))


async def rotate(raw: RawBodies, keys: DataKeys) -> int:
    """Wrap all data keys under the current master key; return how many had another one.

    Raises:
        WrongMasterKey: one is wrapped under a master key that is not given.
    """
    number = 0
    stored = await raw.keys()
    keys.load(stored)
    for row in stored:
        if row.key_id != keys.ring.current:
            key = keys.get(row.id)
            assert key is not None, "all were loaded"
            await raw.rewrap(row, keys.wrap(DataKey(row.id, row.tenant, key.secret)))
            number += 1
    return number
