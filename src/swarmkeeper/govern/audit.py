"""Audit records: encodes the exact bytes that are hashed into a tenant's tree, and verifies a stored log. Storing is up
to storage/.

A record has two parts. The leaf is a small envelope (who, what, when, allowed or not) in canonical JSON (RFC 8785), and
is hashed into the tenant's tree (core/rules/tree.py). The body holds the redacted payload and the ids of the events.
The leaf contains only a salted commitment to the body: erasing body and salt leaves every proof valid and reveals
nothing about the erased text.

The commitment is made of two parts, each with a half of the salt: what may be shown (events and payload), and the rest
(hashes of rows). Whoever gets the first part with its half, and the hash of the rest, can check what is shown. They do
not get the hashes of rows, from which a short text that was redacted, or an output, could be guessed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

import msgspec
import rfc8785

from swarmkeeper.core.erasure.records import ErasedBody
from swarmkeeper.core.model import UNPLACED, AuditEntry, AuditLeaf, Event, FieldRedaction, Json
from swarmkeeper.core.rules.tree import AuditTree, Frontier, leaf_hash

LEAF_MAX = 16 << 10  # bytes
LEAF_VERSION = 1
# SHA-256 over two hashes: of the first half of the salt and what may be shown, and of the second half and the rest.
COMMITMENT = "sha256-salted-parts"
COMMITMENT_WHOLE = "sha256-salted"  # of earlier versions: SHA-256 over the salt, then the canonical body
# Actions that verifying relies on: the bodies of a task's records were erased; data keys of the tenant were destroyed,
# which the resource names; the first records of the log left.
TASK_ERASE = "task.erase"
TENANT_ERASE = "tenant.erase"
TRIM = "audit.trim"
ERASURES_SHOWN = 20

# Limits of an envelope that is too large: texts of 96 characters, each up to six bytes in JSON (\u0000), with 8 reasons
# take at most 12 KiB, which leaves a quarter for `redacted_fields`.
_WORD_MAX = 96
_REASONS_MAX = 8

_INTEGER_MAX = 2**53 - 1
_KEYS = frozenset({str})
_WORDS = frozenset({str, bool, type(None)})
_WHOLE = frozenset({str, int, bool, type(None)})
_encode = msgspec.json.Encoder(order="deterministic").encode
_encode_in_order = msgspec.json.Encoder().encode


def canonical(value: Json) -> bytes:
    """Encode the value as canonical JSON (RFC 8785).

    Raises:
        rfc8785.CanonicalizationError: the value is not JSON that every reader can represent.
    """
    # For ASCII text without floats the C encoder writes the same bytes ten times as fast. Only the order of keys beyond
    # ASCII (UTF-16) and the format of floats (ECMAScript) differ.
    try:
        if _plain(value):
            data: bytes = _encode(value)
            if data.isascii():
                return data
        return rfc8785.dumps(value)
    except UnicodeEncodeError:
        raise rfc8785.CanonicalizationError("a text holds half a character (a lone surrogate)") from None


def _plain(value: Json) -> bool:
    kind = type(value)
    if kind in _WORDS:
        return True
    if kind is int:
        return bool(-_INTEGER_MAX <= value <= _INTEGER_MAX)
    if kind is dict:
        return _KEYS.issuperset(map(type, value)) and _all_plain(value.values())
    return kind is list and _all_plain(value)


def _all_plain(values: Collection[Json]) -> bool:
    return _WORDS.issuperset(map(type, values)) or all(map(_plain, values))


def _of_evidence(content: Json, redacted: Iterable[Json]) -> bytes:
    """Encode like `canonical`, for content that can have floats only in the `redacted` parts.

    The redactor excludes everything else that would need `canonical`: numbers out of range, and keys that are not text.
    """
    if all(map(_whole, redacted)):
        data: bytes = _encode(content)
        if data.isascii():
            return data
    return canonical(content)


def _whole(value: Json) -> bool:
    """Return whether the value has no floats. Most values are flat, and need only the first check."""
    kind = type(value)
    if kind is dict:
        return _WHOLE.issuperset(map(type, value.values())) or all(map(_whole, value.values()))
    if kind is list:
        return _WHOLE.issuperset(map(type, value)) or all(map(_whole, value))
    return kind in _WHOLE


@dataclass(frozen=True, slots=True)
class Opening:
    """What proves to somebody who has the leaf what of the body may be shown, and shows nothing of the rest."""

    salt: bytes
    shown: bytes  # canonical JSON
    rest: bytes  # the salted hash of the rest

    def commitment(self) -> str:
        """Return the commitment that it opens, in hexadecimal."""
        return sha256(sha256(self.salt + self.shown).digest() + self.rest).hexdigest()


class _Rest(msgspec.Struct):
    rows: msgspec.Raw


_HALF = 16  # bytes of a salt
_BEFORE_ROWS = b',"rows":'  # the last name of a body in canonical JSON


def opening(salt: bytes, body: bytes) -> Opening:
    """Return what opens the commitment to a body.

    Raises:
        ValueError: it is no body of an audit record.
    """
    try:
        rows = bytes(msgspec.json.decode(body, type=_Rest).rows)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ValueError("this is no body of an audit record") from None
    end = _BEFORE_ROWS + rows + b"}"
    if not body.endswith(end):
        raise ValueError("this is no body of an audit record")
    return _opening(salt, body[: -len(end)] + b"}", rows)


def _opening(salt: bytes, shown: bytes, rows: bytes) -> Opening:
    return Opening(salt[:_HALF], shown, sha256(salt[_HALF:] + rows).digest())


def commitment(salt: bytes, body: bytes, alg: str = COMMITMENT) -> str:
    """Return the commitment of a leaf to its body, in hexadecimal; raises as `opening`."""
    return sha256(salt + body).hexdigest() if alg == COMMITMENT_WHOLE else opening(salt, body).commitment()


def encode_leaf(entry: AuditEntry, rules_hash: str) -> tuple[bytes, bytes, bool]:
    """Return the leaf and the body of a record, both in canonical JSON, and whether the leaf was cut to LEAF_MAX.

    The body is `{"events": [ids], "events_hash", "payload": redacted value, "rows"}`, without the hash if there are no
    events. Events of several tasks have one hash for each task in place of that, since a task may be erased before
    others: `"events_hashes": {task: [number, hash]}`. `rows` has name and hash of each row that was written, by task
    (anchors.py). In a leaf that was cut, texts and reasons are shorter, and the last entry of `redacted_fields`, with
    action `omitted`, counts the omitted ones.
    """
    content: dict[str, Json] = {"events": [event.id for event in entry.events], "payload": entry.body.value}
    by_task: dict[str, list[Event]] = {}
    for event in entry.events:
        by_task.setdefault(event.task or "", []).append(event)
    if len(by_task) > 1:
        content["events_hashes"] = {task: [len(own), _hash_of(own)] for task, own in by_task.items()}
    elif by_task:
        content["events_hash"] = _hash_of(entry.events)
    shown = _of_evidence(content, (entry.body.value,))
    # Pairs, and no objects: a hash under the name of a key would look like a secret.
    rows = _of_evidence({task: [list(row) for row in rows.items()] for task, rows in entry.rows.items()}, ())
    body = shown[:-1] + _BEFORE_ROWS + rows + b"}"
    committed = _opening(entry.salt, shown, rows).commitment()
    envelope = _envelope(entry, rules_hash, committed, entry.reasons, entry.body.fields)
    leaf = _encode_in_order(envelope)  # canonical: its keys are in order, and it has no floats
    if len(leaf) > LEAF_MAX:
        return _shortened(entry, rules_hash, committed), body, True
    return leaf, body, False


def _hash_of(events: Sequence[Event]) -> str:
    facts = _of_evidence([fact(event) for event in events], [event.body.value for event in events])
    return sha256(facts).hexdigest()


def _envelope(
    entry: AuditEntry, rules_hash: str, committed: str, reasons: Sequence[str], fields: Sequence[FieldRedaction]
) -> dict[str, Json]:
    return {
        "action": entry.action,
        "actor": _actor(entry),
        "at": entry.at,
        "body": {"alg": COMMITMENT, "commitment": committed},
        "decision": {"effect": entry.effect, "policy": "built-in", "reasons": list(reasons)},
        "id": entry.id,
        "outcome": entry.outcome,
        "redacted_fields": [
            {"action": hidden.action, "in": hidden.within, "pointer": hidden.pointer, "rule": hidden.rule}
            for hidden in fields
        ],
        "resource": entry.resource,
        "rules": rules_hash,
        "task_id": entry.task_id,
        "tenant": entry.tenant,
        "trace": entry.trace,
        "v": LEAF_VERSION,
    }


def _actor(entry: AuditEntry) -> dict[str, Json]:
    person = {} if entry.person is None else {"person": entry.person}
    return {"id": entry.actor, "key": entry.key_id, **person, "type": entry.actor_type}


def _shortened(entry: AuditEntry, rules_hash: str, committed: str) -> bytes:
    envelope = _cut(_envelope(entry, rules_hash, committed, entry.reasons[:_REASONS_MAX], ()))
    kept: list[Json] = []
    room = LEAF_MAX - len(canonical(envelope)) - 100  # the last entry needs less
    for hidden in entry.body.fields:
        shown = {"action": hidden.action, "in": hidden.within, "pointer": hidden.pointer, "rule": hidden.rule}
        room -= len(canonical(shown)) + 1
        if room < 0:
            break
        kept.append(shown)
    if left := len(entry.body.fields) - len(kept):
        kept.append({"action": "omitted", "in": "value", "pointer": "", "rule": f"{left} more"})
    return canonical(envelope | {"redacted_fields": kept})


def _cut(value: Json) -> Json:
    """Cut every text of the envelope to its limit."""
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cut(item) for item in value]
    return value[:_WORD_MAX] if isinstance(value, str) else value


def fact(event: Event) -> list[Json]:
    """Return the fields of an event, in the order in which they are hashed."""
    hidden: list[Json] = []
    if event.body.fields:  # seldom: this runs for every event
        hidden = [[field.pointer, field.rule, field.action, field.within] for field in event.body.fields]
    fields: list[Json] = [event.id, event.at, event.task, event.sequence, event.work, event.kind, event.actor]
    return [*fields, event.body.value, hidden]


def events_hash(facts: Iterable[list[Json]]) -> str:
    """Return the hash of a record's events, in hexadecimal. The body holds it, so the log covers the events, too."""
    return sha256(canonical(list(facts))).hexdigest()


def decode_body(body: bytes) -> tuple[tuple[str, ...], Json]:
    """Return the ids of a record's events, and its redacted payload."""
    content = msgspec.json.decode(body)
    return tuple(content["events"]), content["payload"]


@dataclass(frozen=True, slots=True)
class EventHashes:
    """What the body of a record says about its events."""

    ids: tuple[str, ...]
    whole: str | None  # hash of all events; None if they have several tasks, or an earlier version wrote the record
    by_task: Mapping[str, tuple[int, str]]  # number and hash of each task's events; "" stands for no task


def hashes_of_events(body: bytes) -> EventHashes:
    content = msgspec.json.decode(body)
    by_task = {task: (number, said) for task, (number, said) in content.get("events_hashes", {}).items()}
    return EventHashes(tuple(content["events"]), content.get("events_hash"), by_task)


def rows_of(body: bytes) -> dict[str, dict[str, str | None]] | None:
    """Return the hashes of written rows in a body, by task; None if an earlier version wrote it. See anchors.py."""
    try:
        found = msgspec.json.decode(body, type=_Anchors)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}  # altered: verifying the log finds that
    return None if found.rows is None else {task: dict(rows) for task, rows in found.rows.items()}


class Trim(msgspec.Struct):
    """What a record says about the first records, which have left."""

    to: int  # index of the first record that stayed
    at: int  # time of the last one that left
    rows: Literal["anchored"]  # the record has the hashes of all rows of the tenant that belong to no task


class _OfTrim(msgspec.Struct):
    payload: Trim


def trim_of(body: bytes) -> Trim | None:
    """Return what the record of a trim says; None if an earlier version wrote it."""
    try:
        return msgspec.json.decode(body, type=_OfTrim).payload
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class _Anchors(msgspec.Struct):
    rows: dict[str, list[tuple[str, str | None]]] | None = None


def leaves_of(entries: Iterable[AuditEntry], rules_hash: str) -> list[AuditLeaf]:
    """Return records to store. They have no index: a leaf does not contain it, and the store places them."""
    leaves = []
    for entry in entries:
        leaf, body, cut = encode_leaf(entry, rules_hash)
        made = AuditLeaf(
            tenant=entry.tenant,
            index=UNPLACED,
            id=entry.id,
            task=entry.task_id,
            actor=entry.actor,
            action=entry.action,
            at=entry.at,
            leaf=leaf,
            salt=entry.salt,
            body=body,
            hash=leaf_hash(leaf),
        )
        if cut:  # the columns repeat the leaf, also where it was cut
            said = msgspec.json.decode(leaf, type=_Leaf)
            made.id, made.task, made.actor, made.action = said.id, said.task_id, said.actor.id, said.action
        leaves.append(made)
    return leaves


def is_gone(body: bytes | None) -> bool:
    """Whether a body was erased, with its task or with its data key."""
    return body is None or type(body) is ErasedBody


@dataclass(frozen=True, slots=True)
class AuditVerification:
    """The result of verifying a log. `incomplete`: all records present are right, but some are missing."""

    status: Literal["whole", "tampered", "incomplete"]
    records: int  # read
    erased: int = 0  # records without a body
    index: int | None = None  # of the first bad record; None if unknown
    reason: str = ""
    begin: int = 0  # index of the first record: those before it have left
    erasures: int = 0  # records that say that bodies were erased
    erased_by: tuple[int, ...] = ()  # the indexes of the first of these, at most ERASURES_SHOWN
    kept: KeptRoot | None = None  # of all records, to keep elsewhere; None if the log is not whole


@dataclass(frozen=True, slots=True)
class KeptRoot:
    """How many records a log had, and the root of their tree. Kept elsewhere, it shows a log that was rewritten."""

    size: int
    root: bytes


class _RecordMismatch(Exception):
    """A record differs from what was written; the message says how."""


def verify(
    rows: Iterable[AuditLeaf], tree: AuditTree | None, start: bytes = b"", *, since: KeptRoot | None = None
) -> AuditVerification:
    """Verify one tenant's log: its records in order of index, against the head of its tree.

    Checks every stored column: the hash against the leaf, body and salt against the commitment, the others against the
    leaf; then size, frontier and root. This proves that the records are those of this tree. It cannot detect that the
    whole tree was replaced; only a root that was kept elsewhere can.

    A body may be missing only if a later record says that the bodies of its task were erased, and unreadable only if
    one says so of its data key. The first records may be missing only if a record names their number and the root
    of their tree.

    Args:
        start: the frontier of the records that have left, from which the log goes on; empty for a log that is complete.
        since: what an earlier verification gave as `kept`: the log must begin with the same records.
    """
    try:
        frontier = Frontier.from_bytes(start)
    except ValueError:
        return AuditVerification("tampered", 0, index=0, reason="the log's beginning is not that of a tree")
    begin, told = frontier.size, f"{frontier.size}:{frontier.root().hex()}"
    seen = _Erasures(is_told=begin == 0)
    size = 0 if tree is None else tree.size

    def verdict(
        status: Literal["whole", "tampered", "incomplete"], records: int, index: int | None = None, reason: str = ""
    ) -> AuditVerification:
        kept = KeptRoot(frontier.size, frontier.root()) if status == "whole" else None
        return AuditVerification(
            status, records - begin, seen.erased, index, reason, begin, seen.count, tuple(seen.indexes), kept
        )

    if since is not None and since.size < begin:
        return verdict("incomplete", begin, begin, f"the kept root is of {since.size} records, which have all left")
    for index, row in enumerate(rows, begin):
        try:
            if index >= size:
                raise _RecordMismatch(f"there are more records than the {size} in the tree")
            leaf = _check(row, index, None if tree is None else tree.tenant)
        except _RecordMismatch as bad:
            return verdict("tampered", index + 1, index, str(bad))
        seen.add(index, leaf, row.body, told=told)
        if not _goes_on(frontier, since):
            break
        frontier.append(row.hash)
    if (wrong := _wrong_end(frontier, tree, since)) is not None:
        return verdict(wrong[0], frontier.size, *wrong[1:])
    if not seen.is_told:
        reason = f"the log begins with record {begin}, and no record says that those before it were removed"
        return verdict("tampered", size, begin, reason)
    if seen.untold:
        reason = "the body is missing, and no later record says that it was erased"
        return verdict("tampered", size, min(seen.untold.values()), reason)
    return verdict("whole", size)


def _wrong_end(
    frontier: Frontier, tree: AuditTree | None, since: KeptRoot | None
) -> tuple[Literal["tampered", "incomplete"], int | None, str] | None:
    """Compare what the records give with the head of the log, and with the kept root."""
    found = frontier.size
    if not _goes_on(frontier, since):
        return "tampered", None, f"the first {found} records are not those of the kept root"
    if since is not None and found < since.size:
        return "incomplete", found, f"the kept root is of {since.size} records, and the log has {found}"
    if tree is None:
        return None
    if not _is_sound(tree):
        return "tampered", None, "the head of the log contradicts itself"
    if found < tree.size:
        return "incomplete", found, f"the tree has {tree.size} records, and the last {tree.size - found} are missing"
    if frontier.root() != tree.root:
        return "tampered", None, "the records do not give the stored root"
    if frontier.to_bytes() != tree.frontier and (tree.size or tree.frontier):
        return "tampered", None, "the records do not give the stored frontier"
    return None


def _goes_on(frontier: Frontier, since: KeptRoot | None) -> bool:
    """Return False at the size of the kept root, if the root is another."""
    return since is None or frontier.size != since.size or frontier.root() == since.root


class _Erasures:
    """Finds the records that say what was erased, and the erased bodies without such a record."""

    def __init__(self, *, is_told: bool) -> None:
        self.is_told = is_told  # whether a record says that the first ones left, if they did
        self.erased = self.count = 0
        self.indexes: list[int] = []
        self.untold: dict[str | None, int] = {}  # by task, or data key: the first record without a body

    def add(self, index: int, leaf: _Leaf, body: bytes | None, *, told: str) -> None:
        if body is None:
            self.erased += 1
            self.untold.setdefault(leaf.task_id, index)
            return
        # What it tells is in its leaf, so it tells that also when its own body was erased with its data key.
        told_of: list[str] = []
        if leaf.action == TASK_ERASE and leaf.task_id is not None:
            told_of = [leaf.task_id]
        elif leaf.action == TENANT_ERASE:
            told_of = leaf.resource.split(",")
        elif leaf.action == TRIM and leaf.resource == told:
            self.is_told = True
        explained = [self.untold.pop(name, None) for name in told_of]
        if any(first is not None for first in explained):
            self.count += 1
            if len(self.indexes) < ERASURES_SHOWN:
                self.indexes.append(index)
        if type(body) is ErasedBody:
            self.erased += 1
            self.untold.setdefault(body.key, index)


def _is_sound(tree: AuditTree) -> bool:
    try:
        frontier = Frontier.from_bytes(tree.frontier)
    except ValueError:
        return False
    return (frontier.size, frontier.root()) == (tree.size, tree.root)


def _check(row: AuditLeaf, index: int, tenant: str | None) -> _Leaf:
    if row.index != index:
        raise _RecordMismatch(f"record {index} is missing, or its index was changed")
    if leaf_hash(row.leaf) != row.hash:
        raise _RecordMismatch("the leaf does not match its stored hash")
    try:
        leaf = msgspec.json.decode(row.leaf, type=_Leaf)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _RecordMismatch("the leaf is not an audit record") from None
    if leaf.v != LEAF_VERSION or leaf.body.alg not in (COMMITMENT, COMMITMENT_WHOLE):
        raise _RecordMismatch("the leaf has a version that this program does not know")
    if row.body is None:
        if row.salt:
            raise _RecordMismatch("the body is missing, but its salt is not: an erasure removes both")
    elif type(row.body) is ErasedBody:
        if row.salt:
            raise _RecordMismatch("the body cannot be read any more, but its salt is there: both are encrypted")
    elif not _opens(leaf.body, row.salt, row.body):
        raise _RecordMismatch("the body and its salt do not match the commitment in the leaf")
    for column, kept, said in (
        ("tenant", row.tenant, leaf.tenant),
        ("id", row.id, leaf.id),
        ("task", row.task, leaf.task_id),
        ("actor", row.actor, leaf.actor.id),
        ("action", row.action, leaf.action),
        ("at", row.at, leaf.at),
    ):
        if kept != said:
            raise _RecordMismatch(f"the column {column} differs from the leaf")
    if tenant is not None and leaf.tenant != tenant:
        raise _RecordMismatch("the record belongs to another tenant")
    return leaf


def _opens(said: _LeafBody, salt: bytes, body: bytes) -> bool:
    try:
        return commitment(salt, body, said.alg) == said.commitment
    except ValueError:
        return False


class _LeafActor(msgspec.Struct):
    id: str


class _LeafBody(msgspec.Struct):
    alg: str
    commitment: str


class _Leaf(msgspec.Struct):
    """The fields of a leaf that verifying reads."""

    v: int
    id: str
    at: int
    tenant: str
    task_id: str | None
    action: str
    resource: str
    actor: _LeafActor
    body: _LeafBody
