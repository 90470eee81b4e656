"""The edge of a store at which bodies are encrypted and opened: payloads, events and audit records.

A body is bound to its tenant, table and row: its tag does not fit anywhere else. What is stored begins in a way that no
plain body does, so both kinds can be in one table, and a store is encrypted while it is used:

    payload      MAGIC, then the sealed bytes: `EXTRA` bytes more than the body, so that its length stays known
    event        {"sealed/1": "…", "from": …, "to": …, "attempt": …, "bot": …}   what doctor compares with other rows
    audit_leaf   {"sealed/1": "…", "events": […]}                                likewise

The salt of an audit record is sealed with its body, and its column is empty: who has the salt could compare the
commitment in the leaf with what the body may have said, also after the data key was destroyed.

A body whose data key was destroyed (core/decide/erasures.py) is read as an `ErasedBody`; of an event, as one that says
so; of an audit record, in reads that do not verify it, as none, like that of an erased task.

The parts outside repeat parts of the body. Opening compares them, so they cannot be changed alone, either.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from swarmkeeper.core.erasure.records import ErasedBody
from swarmkeeper.core.model import AnswerRecord, ApprovalRecord, AuditLeaf, Event, FeedbackRecord
from swarmkeeper.core.ports import Changes, StoreDamaged, StoreUnavailable
from swarmkeeper.secrets.sealing import KeyRing, bound_data
from swarmkeeper.storage import rows
from swarmkeeper.storage.at_rest import texts
from swarmkeeper.storage.at_rest.data_keys import ID_BYTES, SALT_BYTES, DataKeys, WrappedKey
from swarmkeeper.storage.refusals import WrongMasterKey
from swarmkeeper.storage.rows import Row

MAGIC = b"\x00sk1"
_NONCE_BYTES, _TAG_BYTES = 12, 16
_HEAD = ID_BYTES + SALT_BYTES + _NONCE_BYTES
EXTRA = len(MAGIC) + _HEAD + _TAG_BYTES  # the statements know it: `{size payload}`
_FIELD = "sealed/1"
_BEGIN = b'{"sealed/1":"'
PAYLOAD, EVENT, AUDIT_LEAF = "payload", "event", "audit_leaf"
_OUTSIDE: Mapping[str, tuple[str, ...]] = {EVENT: ("from", "to", "attempt", "bot"), AUDIT_LEAF: ("events",)}
# The reads of evidence: a body that cannot be opened is returned as it is stored, which no proof fits, so that the one
# who verifies says where it is. All other reads end with StoreDamaged.
_OF_EVIDENCE = ("audit_", "doctor_")
_parts: Callable[[bytes], dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode


class UnknownDataKey(StoreDamaged):
    """The process does not know the key of a body: another one may have made it since, or the body was changed."""


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of a read that may hold an encrypted body."""

    table: str
    id: str  # the column with the id of its row
    name: str = "body"
    tenant: str = ""  # the column or parameter with the tenant, if the read has it


_EVENTS = SealedColumn(EVENT, "id", tenant="tenant")
_RECORDS = SealedColumn(AUDIT_LEAF, "id", tenant="tenant")
_SPECS = SealedColumn(PAYLOAD, "payload", "spec")
# Every read that returns bodies. tests/storage/test_at_rest.py finds those that are missing.
READS: Mapping[str, SealedColumn] = {
    "payloads": SealedColumn(PAYLOAD, "id"),
    "subtasks_page": _SPECS,
    "subtask_row": _SPECS,
    "works_by_id": _SPECS,
    "late_of_work": SealedColumn(PAYLOAD, "payload"),
    "verdict_on_subtask": SealedColumn(PAYLOAD, "payload"),
    "events_after": _EVENTS,
    "events_of_tenant": _EVENTS,
    "events_of_task": _EVENTS,
    "events_of_tenant_newest": _EVENTS,
    "events_of_task_newest": _EVENTS,
    "events_of_numbers": _EVENTS,
    "audit_records_at": _RECORDS,
    "sink_records": _RECORDS,
    "body_of_record": _RECORDS,
    "audit_records": _RECORDS,
    "audit_events": _EVENTS,
    "doctor_events": SealedColumn(EVENT, "subject"),
    "doctor_records": SealedColumn(AUDIT_LEAF, "subject"),
    "doctor_rows_payload": SealedColumn(PAYLOAD, "id"),
}
# Of the reads of audit records, those that go to callers of the API, and to sinks.
_SHOWN = frozenset({"audit_records_at", "sink_records", "body_of_record"})


ENCRYPTED = READS.keys() | texts.READS.keys()  # all reads with something that may be encrypted


class BodyCodec:
    """Seals what is written, if there are keys, and opens what is read. Without keys, bodies are written unchanged."""

    def __init__(self, keys: DataKeys | None = None, random: Callable[[int], bytes] | None = None) -> None:
        assert (keys is None) == (random is None), "keys and random bytes belong together"
        self.keys = keys
        self._random = random

    def learn(self, stored: Sequence[WrappedKey], *, writing: bool, erased: Iterable[str] = ()) -> None:
        """Learn the data keys of a store.

        Args:
            erased: ids of those that were destroyed.

        Raises:
            WrongMasterKey: they cannot be unwrapped; or there are some, no master key is given, and rows are to be
                written, which would not be encrypted.
        """
        if self.keys is not None:
            self.keys.bury(erased)
            self.keys.load(stored)
        elif writing and stored:
            raise WrongMasterKey(
                "bodies in this store are encrypted: set `encryption_key` to where the master key is "
                "(SWARMKEEPER_ENCRYPTION_KEY=file:/…)"
            )

    def first_key(self) -> list[Row]:
        """Return the row of a first key, if the store has none: it shows others that bodies are encrypted from now."""
        if self.keys is None or self.keys.are_any:
            return []
        self.keys.for_tenant("")
        made = [(key.id, key.tenant, key.key_id, key.nonce, key.wrapped) for key in self.keys.take_new()]
        self.keys.commit()
        return made

    def erase(self, keys: Iterable[str]) -> None:
        """Forget data keys that the open transaction destroys; what is sealed from now on gets new ones."""
        if self.keys is not None:
            self.keys.erase(keys)

    def commit(self) -> None:
        if self.keys is not None:
            self.keys.commit()

    def roll_back(self) -> None:
        if self.keys is not None:
            self.keys.roll_back()

    # ---- writing -----------------------------------------------------------------------------------------------------

    def of(self, changes: Changes) -> BodyRows:
        """Return the rows of the changes that have bodies."""
        return BodyRows(changes) if self.keys is None else SealedRows(self, self.keys, changes)

    def seal(self, table: str, tenant: str, row_id: str, body: bytes, salt: bytes = b"") -> bytes:
        """Return what is stored for a body. The key is the tenant's; it may be one that is still to be stored.

        Args:
            salt: of an audit record.
        """
        plain = bytes([len(salt)]) + salt + body if table == AUDIT_LEAF else body
        sealed = self._sealed(table, tenant, row_id, plain)
        return MAGIC + sealed if table == PAYLOAD else _wrapped(table, base64.b64encode(sealed), body)

    def seal_text(self, table: str, column: str, tenant: str, row_id: str, text: str | None) -> str | None:
        """Return what is stored for a text of a column in `TEXTS`."""
        if text is None:
            return None
        return texts.wrapped(self._sealed(f"{table}.{column}", tenant, row_id, text.encode("utf-8", "surrogatepass")))

    def _sealed(self, what: str, tenant: str, row_id: str, plain: bytes) -> bytes:
        assert self.keys is not None, "without keys nothing is encrypted"
        assert self._random is not None, "keys come with random bytes"
        key = self.keys.for_tenant(tenant)
        drawn = self._random(SALT_BYTES + _NONCE_BYTES)
        cipher = AESGCM(key.derived(drawn[:SALT_BYTES]))
        sealed = cipher.encrypt(drawn[SALT_BYTES:], plain, bound_data((tenant, what, row_id)))
        return bytes.fromhex(key.id) + drawn + sealed

    # ---- reading -----------------------------------------------------------------------------------------------------

    def open(self, table: str, row_id: str, stored: bytes, tenant: str | None = None) -> bytes:
        """Return the body that is stored so, which may be plain; an `ErasedBody` if its key was destroyed.

        Args:
            tenant: of the row, if it is known.

        Raises:
            UnknownDataKey: another process may have made its key.
            StoreDamaged: it was changed, or moved from another row.
            StoreUnavailable: there is no key to open it with.
        """
        return self._opened(table, row_id, stored, tenant)[0]

    def _opened(self, table: str, row_id: str, stored: bytes, tenant: str | None) -> tuple[bytes, bytes]:
        """Return the body, and the salt of an audit record that is sealed with it; raises as `open`."""
        if not is_sealed(table, stored):
            return stored, b""
        sealed = None if self.keys is None else _unwrapped(table, stored)
        body, of = self._plain(table, row_id, sealed or b"")
        if type(body) is ErasedBody:
            return body, b""
        salt = b""
        if table == AUDIT_LEAF:
            end = 1 + body[0] if body else 0
            salt, body = body[1:end], body[end:]
        is_whole = table == PAYLOAD or _wrapped(table, base64.b64encode(sealed or b""), body) == stored
        if not is_whole or (tenant is not None and tenant != of):
            raise _altered(table, row_id)
        return body, salt

    def _plain(self, what: str, row_id: str, sealed: bytes) -> tuple[bytes, str]:
        """Return what was sealed, and the tenant of its key."""
        if self.keys is None:
            raise StoreUnavailable(
                "bodies in this store are encrypted, and this process has no key: set `encryption_key`, and start again"
            )
        key_id = sealed[:ID_BYTES].hex()
        if self.keys.is_erased(key_id):
            return ErasedBody.under(key_id), ""
        key = self.keys.get(key_id)
        if key is None:
            raise UnknownDataKey(f"the body of {what} {row_id} is encrypted under a key that the store does not have")
        salt, nonce = sealed[ID_BYTES : ID_BYTES + SALT_BYTES], sealed[ID_BYTES + SALT_BYTES : _HEAD]
        try:
            cipher = AESGCM(key.derived(salt))
            return cipher.decrypt(nonce, sealed[_HEAD:], bound_data((key.tenant, what, row_id))), key.tenant
        except (InvalidTag, ValueError):
            raise _altered(what, row_id) from None

    def open_text(self, table: str, column: str, row_id: str, stored: str | None) -> str | None:
        """Return the text that is stored so in a column of `TEXTS`; raises as `open`."""
        sealed = texts.unwrapped(stored, _HEAD + _TAG_BYTES)
        if sealed is None:
            return stored
        plain, _ = self._plain(f"{table}.{column}", row_id, sealed)
        if type(plain) is ErasedBody:
            return texts.TEXTS[table].columns[column]
        return plain.decode("utf-8", "surrogatepass")

    def texts_opened(
        self, table: str, columns: Sequence[str], found: Iterable[Row], *, evidence: bool = False, again: bool = False
    ) -> list[Row]:
        """Return the rows of a table, with their texts opened; raises as `opened`.

        Args:
            evidence: return a text that cannot be opened as it is stored.
        """
        declared = texts.TEXTS[table]
        id_at = columns.index(declared.id)
        places = [(columns.index(name), name) for name in declared.columns if name in columns]
        result = []
        for row in found:
            opened = list(row)
            for at, name in places:
                if opened[at] is None or not opened[at].startswith(texts.PREFIX):
                    continue
                try:
                    opened[at] = self.open_text(table, name, row[id_at], opened[at])
                except StoreDamaged as error:
                    if not evidence or (isinstance(error, UnknownDataKey) and not again):
                        raise
            result.append(tuple(opened))
        return result

    def payloads(self, found: Iterable[Row]) -> Iterator[tuple[str, bytes]]:
        """Yield id and body of rows with both."""
        for payload_id, body in found:
            yield payload_id, self.open(PAYLOAD, payload_id, body) if body.startswith(MAGIC) else body

    def opened(
        self,
        name: str,
        columns: Sequence[str],
        found: Iterable[Row],
        asked: Mapping[str, Any],
        *,
        again: bool = False,
    ) -> list[Row]:
        """Return the rows of a named read, with their bodies opened.

        Args:
            asked: the parameters of the read.
            again: the keys were loaded since UnknownDataKey.

        Raises:
            UnknownDataKey: ask again when the keys were loaded.
            StoreDamaged, StoreUnavailable: as for `open`.
        """
        if name in texts.READS:
            evidence = name.startswith(_OF_EVIDENCE)
            return self.texts_opened(texts.READS[name], columns, found, evidence=evidence, again=again)
        what = READS[name]
        at, id_at = columns.index(what.name), columns.index(what.id)
        tenant_at = columns.index(what.tenant) if what.tenant in columns else None
        tenant = asked.get(what.tenant) if what.tenant else None
        salt_at = columns.index("salt") if "salt" in columns else None
        is_evidence = name.startswith(_OF_EVIDENCE)
        result = []
        for row in found:
            stored = row[at]
            raw = stored.encode("utf-8", "surrogateescape") if isinstance(stored, str) else stored
            if raw is None or not is_sealed(what.table, raw):
                result.append(row)
                continue
            of = _text(row[tenant_at]) if tenant_at is not None else _text(tenant)
            try:
                body, salt = self._opened(what.table, _text(row[id_at]) or "", raw, of)
            except StoreDamaged as error:
                if not is_evidence or (isinstance(error, UnknownDataKey) and not again):
                    raise
                body, salt = raw, b""
            given: Any = body.decode() if isinstance(stored, str) else body
            if type(body) is ErasedBody:
                given = _instead(what.table, name, stored, body)
            opened = [*row[:at], given, *row[at + 1 :]]
            if salt_at is not None and not row[salt_at]:  # one that is there was put there by others
                opened[salt_at] = salt
            result.append(tuple(opened))
        return result


def bodies_under(ring: KeyRing | None, random: Callable[[int], bytes]) -> BodyCodec:
    """Return what encrypts bodies under these master keys; without any, they are written unchanged."""
    return BodyCodec() if ring is None else BodyCodec(DataKeys(ring, random), random)


class BodyRows:
    """The rows of some changes, with their bodies as they are."""

    sealed = False  # whether they are encrypted
    tasks_wanted: Sequence[str] = ()  # tasks whose tenant has to be told to `learn`

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def learn(self, tenants: Mapping[str, str]) -> None:
        """Learn the tenants of `tasks_wanted`."""

    def payload(self, payload_id: str, payload: tuple[str, bytes]) -> Row:
        return (payload_id, *payload, 0)

    # Without a call in between: this is the hot path of those who do not encrypt.
    event: Callable[[Event], Row] = staticmethod(rows.EVENT.to_row)
    leaf: Callable[[AuditLeaf], Row] = staticmethod(rows.AUDIT_LEAF.to_row)
    feedback: Callable[[FeedbackRecord], Row] = staticmethod(rows.FEEDBACK.to_row)
    answered: Callable[[AnswerRecord], Row] = staticmethod(rows.ANSWERED.to_row)
    approval: Callable[[ApprovalRecord], Row] = staticmethod(rows.APPROVAL.to_row)

    def new_keys(self) -> list[Row]:
        """Return the data keys that these rows need and that are not stored yet. Call it after all others."""
        return []


class SealedRows(BodyRows):
    """The rows of some changes, with their bodies encrypted."""

    sealed = True

    def __init__(self, bodies: BodyCodec, keys: DataKeys, changes: Changes) -> None:
        super().__init__(changes)
        self._bodies, self._keys = bodies, keys
        self._tenants: dict[str, str] = {}
        wanted = {payload[0] for payload in changes.payloads.values() if payload is not None}
        if changes.feedback or changes.answered:
            wanted |= {it.task for many in (changes.feedback, changes.answered) for it in many}
        if wanted:
            others = (changes.works.values(), changes.leases.values(), changes.messages, changes.late_results)
            self._tenants = {task.id: task.tenant for task in changes.tasks.values()}
            self._tenants |= {it.task: it.tenant for many in others for it in many}
        self.tasks_wanted = sorted(wanted - self._tenants.keys())

    def learn(self, tenants: Mapping[str, str]) -> None:
        self._tenants |= tenants

    def payload(self, payload_id: str, payload: tuple[str, bytes]) -> Row:
        task, body = payload
        tenant = self._tenants.get(task, "")  # a task that is nowhere: its bodies are encrypted all the same
        return (payload_id, task, self._bodies.seal(PAYLOAD, tenant, payload_id, body), 1)

    def event(self, event: Event) -> Row:
        row = rows.EVENT.to_row(event)
        sealed = self._bodies.seal(EVENT, event.tenant, event.id, row[_EVENT_BODY].encode())
        return (*row[:_EVENT_BODY], sealed.decode(), *row[_EVENT_BODY + 1 :])

    def leaf(self, leaf: AuditLeaf) -> Row:
        row = rows.AUDIT_LEAF.to_row(leaf)
        if leaf.body is None:
            return row
        stored = list(row)
        stored[_LEAF_BODY] = self._bodies.seal(AUDIT_LEAF, leaf.tenant, leaf.id, leaf.body, leaf.salt)
        stored[_LEAF_SALT] = b""
        return tuple(stored)

    def feedback(self, record: FeedbackRecord) -> Row:
        return self._texts(rows.FEEDBACK, record, self._tenants.get(record.task, ""))

    def answered(self, record: AnswerRecord) -> Row:
        return self._texts(rows.ANSWERED, record, self._tenants.get(record.task, ""))

    def approval(self, record: ApprovalRecord) -> Row:
        return self._texts(rows.APPROVAL, record, record.tenant)

    def _texts(self, kind: rows.RecordTable[Any], record: Any, tenant: str) -> Row:
        table, row = kind.table, list(kind.to_row(record))
        declared = texts.TEXTS[table.name]
        row_id = row[table.columns.index(declared.id)]
        for name in declared.columns:
            at = table.columns.index(name)
            row[at] = self._bodies.seal_text(table.name, name, tenant, row_id, row[at])
        return tuple(row)

    def new_keys(self) -> list[Row]:
        return [(key.id, key.tenant, key.key_id, key.nonce, key.wrapped) for key in self._keys.take_new()]


_EVENT_BODY = rows.EVENT.table.columns.index("body")
_LEAF_BODY = rows.AUDIT_LEAF.table.columns.index("body")
_LEAF_SALT = rows.AUDIT_LEAF.table.columns.index("salt")


def is_sealed(table: str, stored: bytes) -> bool:
    """Return whether a body is stored encrypted. No plain one begins so."""
    return stored.startswith(MAGIC if table == PAYLOAD else _BEGIN)


def is_sealed_text(stored: str | None) -> bool:
    """Return whether there is nothing to encrypt in a text any more."""
    return stored is None or texts.unwrapped(stored, _HEAD + _TAG_BYTES) is not None


def _wrapped(table: str, sealed: bytes, body: bytes) -> bytes:
    try:
        parts = _parts(body)
    except msgspec.MsgspecError:
        parts = {}  # it was altered before it was encrypted: the checks find that it says nothing
    outside = {name: parts[name] for name in _OUTSIDE[table] if name in parts}
    return _encode({_FIELD: sealed.decode(), **outside})


def _unwrapped(table: str, stored: bytes) -> bytes:
    if table == PAYLOAD:
        return stored[len(MAGIC) :]
    try:
        return base64.b64decode(stored[len(_BEGIN) : stored.index(b'"', len(_BEGIN))], validate=True)
    except (binascii.Error, ValueError):
        raise StoreDamaged(f"a body of {table} was changed: it is not as it was encrypted") from None


def _instead(table: str, name: str, stored: Any, body: ErasedBody) -> Any:
    """Return what a read gives for a body whose key was destroyed."""
    if table == EVENT:
        try:
            outside = msgspec.json.decode(stored)
            del outside[_FIELD]
        except (msgspec.MsgspecError, KeyError, TypeError):
            outside = {}
        said = _encode({"erased": True, **outside})
        return said.decode() if isinstance(stored, str) else said
    return None if table == AUDIT_LEAF and name in _SHOWN else body


def _altered(table: str, row_id: str) -> StoreDamaged:
    return StoreDamaged(f"the body of {table} {row_id} was changed, or moved from another row")


def _text(value: Any) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
