"""Reads pages of a tenant's audit records in order, and checks that the feed's events match the log. doctor.py verifies
the log itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from swarmkeeper.core import named_reads
from swarmkeeper.core.decide import policies
from swarmkeeper.core.errors import PermissionDenied, ResourceNotFound
from swarmkeeper.core.model import Principal
from swarmkeeper.core.named_reads import AuditRecordRow, fetch
from swarmkeeper.core.ports import Reader, ReadsOnly, Rules, StoreDamaged
from swarmkeeper.core.rules.tree import leaf_hash
from swarmkeeper.govern import audit
from swarmkeeper.reads import views
from swarmkeeper.reads.insight.audit_times import place_at
from swarmkeeper.reads.insight.insight_reads import AUDIT_NEWEST, AUDIT_PLACES_ABOUT, TASK_OF_RESOURCE
from swarmkeeper.reads.views import View

Row = Mapping[str, Any]  # a row of doctor.py's reads; its bytes may not be valid text

# One filter uses an index. Further filters scan at most this many of its rows, so such a page may be short, or empty,
# although it has a next page.
LOOKED_AT_MAX = 2_000
_END = 2**62  # after every record


_POSITIONS_BY = {
    "task": named_reads.AUDIT_POSITIONS_OF_TASK,
    "actor": named_reads.AUDIT_POSITIONS_OF_ACTOR,
    "action": named_reads.AUDIT_POSITIONS_OF_ACTION,
}


class AuditQueries:
    def __init__(
        self,
        store: ReadsOnly,
        rules: Rules,
        *,
        on_read: Callable[[Principal, str, str | None], None] = lambda principal, action, task: None,
    ) -> None:
        """
        Args:
            on_read: called when the body of a record is read, with the record's task, for the audit log.
        """
        self._store = store
        self._rules = rules
        self._on_read = on_read

    async def audit(
        self,
        principal: Principal,
        *,
        task_id: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        resource: str | None = None,
        after: int = -1,
        since: int | None = None,
        until: int | None = None,
        newest_first: bool = False,
        page_size: int,
        page_token: str = "",
    ) -> View:
        """Return the tenant's records after the index `after` that match all filters.

        Args:
            resource: what the record is about: the id of an item, an approval, a task, a bot …
            since, until: at this time or later; before this time.

        Raises:
            PermissionDenied: the role may not read the audit log.
        """
        self._allow(principal)
        if resource is not None and task_id is None:
            owners = await fetch(self._store, TASK_OF_RESOURCE, tenant=principal.tenant, resource=resource)
            task_id = owners[0].id if owners else None
        before = _END
        if since is not None:
            after = max(after, await place_at(self._store, principal.tenant, since) - 1)
        if until is not None:
            before = await place_at(self._store, principal.tenant, until)
        if page_token and newest_first:
            before = min(before, views.read_token(page_token, int)[0])
        elif page_token:
            after = max(after, views.read_token(page_token, int)[0])
        read, by, page = named_reads.AUDIT_POSITIONS, {}, {"before": before} if newest_first else {}
        for filter_, value in (("task", task_id), ("actor", actor), ("action", action)):
            if value is not None:
                read, by = _POSITIONS_BY[filter_], {filter_: value}
                break
        further = {
            filter_: value
            for filter_, value in (("actor", actor), ("action", action))
            if value is not None and filter_ not in by
        }
        limit = LOOKED_AT_MAX if further else page_size + 1
        if resource is not None:
            limit = max(1, LOOKED_AT_MAX // 2)  # each is looked at twice
        if newest_first:
            read = AUDIT_NEWEST["".join(by)]
        found = await fetch(self._store, read, tenant=principal.tenant, after=after, limit=limit, **by, **page)
        ended = bool(found) and found[-1].place >= before  # in order: what follows is too late
        found = [row for row in found if row.place < before]
        fitting = [row.place for row in found if all(getattr(row, each) == value for each, value in further.items())]
        if resource is not None and fitting:
            fitting = await self._about(principal.tenant, resource, fitting)
        places = fitting[:page_size]
        following = ""
        if len(fitting) > page_size:
            following = views.token(places[-1])
        elif len(found) == limit and not ended:
            following = views.token(found[-1].place)
        if not places:
            return views.page([], following)
        wanted = msgspec.json.encode(places).decode()
        rows = await fetch(self._store, named_reads.AUDIT_RECORDS_AT, tenant=principal.tenant, places=wanted)
        shown = [public_record(row) for row in rows]
        return views.page(shown[::-1] if newest_first else shown, following)

    async def _about(self, tenant: str, resource: str, places: list[int]) -> list[int]:
        """Return those of the records at these places that are about a resource, in the same order."""
        # A quote within a text of JSON has a backslash before it: only the member itself is written so.
        said = f'"resource":{msgspec.json.encode(resource).decode()}'
        wanted = msgspec.json.encode(places).decode()
        rows = await fetch(self._store, AUDIT_PLACES_ABOUT, tenant=tenant, places=wanted, said=said)
        about = {row.place for row in rows}
        return [place for place in places if place in about]

    async def audit_of_task(self, principal: Principal, task_id: str, **filters: Any) -> View:
        """Return the audit records of one task; see `audit`.

        Raises:
            ResourceNotFound: the tenant has no such task.
        """
        page = await self.audit(principal, task_id=task_id, **filters)
        if page["items"]:
            return page
        if not await fetch(self._store, named_reads.TASK_ROW, tenant=principal.tenant, task=task_id):
            raise ResourceNotFound("no such task")
        return page

    async def body(self, principal: Principal, index: int) -> View:
        """Return the body of a record with what opens the commitment in its leaf; see govern/audit.py.

        The log need not be signed. Of an erased body nothing is left, nor its salt.

        Raises:
            PermissionDenied, ResourceNotFound: the role may not read the audit log; there is no such record, or no
                more.
            StoreDamaged: the store has something else in place of the body.
        """
        self._allow(principal)
        found = await fetch(self._store, named_reads.BODY_OF_RECORD, tenant=principal.tenant, place=index)
        if not found:
            raise ResourceNotFound("the log has no such record")
        row = found[0]
        try:
            said = msgspec.json.decode(row.leaf)
            alg, task = said["body"]["alg"], said["task_id"]
            opened = None if row.body is None or alg != audit.COMMITMENT else audit.opening(row.salt, row.body)
        except (ValueError, LookupError, TypeError):
            raise StoreDamaged(f"audit record {index} is not what was written: see `audit verify`") from None
        if row.body is not None:
            self._on_read(principal, "audit.read", task)
        return {
            "index": index,
            "erased": row.body is None,
            "alg": alg,
            "salt": None if opened is None else opened.salt.hex(),
            "body": None if opened is None else opened.shown.decode(),
            "rest": None if opened is None else opened.rest.hex(),
        }

    def _allow(self, principal: Principal) -> None:
        if not self._rules.may(principal, "audit.read"):
            raise PermissionDenied(self._rules.why_not(principal, "audit.read"))
        policies.audit(self._rules, principal)


def public_record(row: AuditRecordRow) -> View:
    """Return the leaf and its body as a public record."""
    return public_record_and_time(row)[0]


def public_record_and_time(row: AuditRecordRow) -> tuple[View, int]:
    """Return the leaf and its body as a public record, and its time in microseconds."""
    leaf: Mapping[str, Any] = msgspec.json.decode(row.leaf)
    events, payload = audit.decode_body(row.body) if row.body is not None else ((), None)
    record = {
        "id": leaf["id"],
        "index": row.place,
        "task_id": leaf["task_id"],
        "event": leaf["action"],
        "action": leaf["action"],
        "actor": {"person": None, **leaf["actor"]},
        "resource": leaf["resource"],
        "outcome": leaf["outcome"],
        "decision": leaf["decision"],
        "events": list(events),
        "trace": leaf["trace"] or None,
        "rules": leaf["rules"],
        "hash": leaf_hash(row.leaf).hex(),
        "erased": row.body is None,
        "payload": payload,
        "redacted_fields": leaf["redacted_fields"],
        "timestamp": views.time(leaf["at"]),
    }
    return record, leaf["at"]


# ---- events, whose hashes the log contains ---------------------------------------------------------------------------

_PAGE = 500
# Events of one record are close together in the feed. If this many others come first, they count as missing.
_HELD_MAX = 50_000


def text_of(kept: bytes) -> str:
    """Decode text for verification. Invalid UTF-8 does not raise, and does not equal any text that was written."""
    return kept.decode("utf-8", "surrogateescape")


async def first_mismatch(store: Reader, tenant: bytes, size: int, *, begin: int = 0) -> tuple[int, str, bool] | None:
    """Compare the tenant's first `size` records, from the index `begin` on, with their events.

    Records without a body, or whose body was erased with its data key, and records of versions that did not hash
    events, are skipped. Events of a task that was erased, as a record says, may be missing. If an earlier version wrote
    the record, the others are only counted then.

    Returns:
        For the first record that does not match: its index, the reason, and True if an event was altered, False if one
        is missing. None if all match.
    """
    feed = _EventsByRecord(store, tenant)
    cuts = {row["audit"]: row["events"] for row in await store.read("audit_cuts", {"task_erase": audit.TASK_ERASE})}
    erased = {row["task"] for row in await store.read("audit_erased", {"task_erase": audit.TASK_ERASE})} if cuts else ()
    place, last = begin, 0
    while place < size:
        asked = {"tenant": tenant, "place": place, "size": size, "n": _PAGE}
        records = await store.read("audit_records", asked)
        if not records:
            break
        for record in records:
            place = record["place"] + 1
            if audit.is_gone(record["body"]):
                feed.skip(record["id"])
                continue
            said = audit.hashes_of_events(record["body"])
            lost = [task for task in said.by_task if task in erased]
            left = cuts.get(record["id"], 0)
            rows = await feed.of_record(record["id"], len(said.ids) - left)
            if said.whole is None and not said.by_task:
                if rows and not said.ids:
                    return record["place"], "an event names this record, which does not list it", True
                continue
            if len(rows) < len(said.ids) - left:
                return record["place"], "an event of the record is missing", False
            if not _fits(rows, said, lost, left):
                return record["place"], "the events of the record differ from its hash", True
            if rows and rows[0]["seq"] <= last:
                return record["place"], "the events of the record have another place in the feed", True
            last = max([last, *(row["seq"] for row in rows)])
    return None


def _fits(rows: list[Row], said: audit.EventHashes, lost: list[str], left: int) -> bool:
    if said.whole is not None:
        return left > 0 or _match(rows, said.whole)
    by_task: dict[str, list[Row]] = {}
    for row in rows:
        by_task.setdefault("" if row["task"] is None else text_of(row["task"]), []).append(row)
    hashes = {task: hashed for task, (_, hashed) in said.by_task.items() if task not in lost}
    kept = {task: own for task, own in by_task.items() if task not in lost}  # an erasure may be in progress
    return kept.keys() == hashes.keys() and all(_match(own, hashes[task]) for task, own in kept.items())


class _EventsByRecord:
    """Groups a tenant's events by the audit record they name, in one pass over the feed."""

    def __init__(self, store: Reader, tenant: bytes) -> None:
        self._store, self._tenant = store, tenant
        self._after = 0
        self._ended = False
        self._waiting: dict[bytes, list[Row]] = {}
        self._held = 0

    def skip(self, record: bytes) -> None:
        """Drop what was read of a record that says nothing any more."""
        self._held -= len(self._waiting.pop(record, ()))

    async def of_record(self, record: bytes, count: int) -> list[Row]:
        while len(self._waiting.get(record, ())) < count and not self._ended and self._held < _HELD_MAX:
            asked = {"tenant": self._tenant, "after": self._after, "n": _PAGE}
            rows = await self._store.read("audit_events", asked)
            self._ended = len(rows) < _PAGE
            for row in rows:
                self._after = row["seq"]
                self._waiting.setdefault(row["audit"], []).append(row)
            self._held += len(rows)
        found = self._waiting.pop(record, [])
        self._held -= len(found)
        return found


def _match(rows: Iterable[Row], said: str) -> bool:
    try:
        return audit.events_hash(map(_fact, rows)) == said
    except (ValueError, msgspec.DecodeError):  # not text, not JSON, or JSON that cannot have been hashed
        return False


def _fact(row: Row) -> list[Any]:
    """Return a stored event in the form that was hashed; see govern/audit.py."""
    names = ("id", "at", "task", "sequence", "work", "kind", "actor")
    fields = [row[name].decode() if isinstance(row[name], bytes) else row[name] for name in names]
    return [*fields, views.json_of(row["body"]), views.json_of(row["redacted"])]
