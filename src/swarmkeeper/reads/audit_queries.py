"""Looking at the audit log: pages of one tenant's records, in the order in which they were made, for whoever may; and
whether the events of the feed are those that the log says. Verifying the log itself is doctor.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from swarmkeeper.core import named_reads
from swarmkeeper.core.errors import Forbidden, NotFound
from swarmkeeper.core.model import Principal
from swarmkeeper.core.named_reads import AuditRecordRow, fetch
from swarmkeeper.core.ports import ReadsOnly, Rules
from swarmkeeper.govern import audit
from swarmkeeper.govern.tree import leaf_hash
from swarmkeeper.reads import views
from swarmkeeper.reads.views import View

Row = Mapping[str, Any]  # of the reads of doctor.py, which hold bytes that may be no text

# One filter is found by an index; what a second one leaves of that is looked through so far, and no further: such a
# page may be short, or empty, and still tell where to go on.
LOOKED_AT_MAX = 2_000


_PLACES_OF = {
    "task": named_reads.AUDIT_PLACES_OF_TASK,
    "actor": named_reads.AUDIT_PLACES_OF_ACTOR,
    "action": named_reads.AUDIT_PLACES_OF_ACTION,
}


class AuditQueries:
    def __init__(self, store: ReadsOnly, rules: Rules) -> None:
        self._store = store
        self._rules = rules

    async def audit(
        self,
        principal: Principal,
        *,
        task_id: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        after: int = -1,
        page_size: int,
        page_token: str = "",
    ) -> View:
        """The tenant's records after an index, with any of the filters.

        Raises:
            Forbidden: the role does not read the log.
        """
        if not self._rules.may(principal, "audit.read"):
            raise Forbidden(self._rules.why_not(principal, "audit.read"))
        if page_token:
            after = max(after, views.read_token(page_token, int)[0])
        read, by = named_reads.AUDIT_PLACES, {}
        for filter_, value in (("task", task_id), ("actor", actor), ("action", action)):
            if value is not None:
                read, by = _PLACES_OF[filter_], {filter_: value}
                break
        further = {
            filter_: value
            for filter_, value in (("actor", actor), ("action", action))
            if value is not None and filter_ not in by
        }
        limit = LOOKED_AT_MAX if further else page_size + 1
        found = await fetch(self._store, read, tenant=principal.tenant, after=after, limit=limit, **by)
        fitting = [row.place for row in found if all(getattr(row, each) == value for each, value in further.items())]
        places = fitting[:page_size]
        following = ""
        if len(fitting) > page_size:
            following = views.token(places[-1])
        elif len(found) == limit:
            following = views.token(found[-1].place)
        if not places:
            return views.page([], following)
        wanted = msgspec.json.encode(places).decode()
        rows = await fetch(self._store, named_reads.AUDIT_RECORDS_AT, tenant=principal.tenant, places=wanted)
        return views.page([_record(row) for row in rows], following)

    async def audit_of_task(self, principal: Principal, task_id: str, **filters: Any) -> View:
        """The same of one task.

        Raises:
            NotFound: there is none in the tenant.
        """
        page = await self.audit(principal, task_id=task_id, **filters)
        if page["items"]:
            return page
        if not await fetch(self._store, named_reads.TASK_ROW, tenant=principal.tenant, task=task_id):
            raise NotFound("no such task")
        return page


def _record(row: AuditRecordRow) -> View:
    """The leaf and its body as the public record."""
    leaf: Mapping[str, Any] = msgspec.json.decode(row.leaf)
    events, payload = audit.decode_body(row.body) if row.body is not None else ((), None)
    return {
        "id": leaf["id"],
        "index": row.place,
        "task_id": leaf["task_id"],
        "event": leaf["action"],
        "action": leaf["action"],
        "actor": leaf["actor"],
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


# ---- events, which the log covers ------------------------------------------------------------------------------------

_PAGE = 500
# Events of one record stand close together in the feed. Where so many others came first, they are not there.
_APART_MAX = 50_000


def text_of(kept: bytes) -> str:
    """A text that is read to be verified: what is no UTF-8 is no crash, and equals no text that was written."""
    return kept.decode("utf-8", "surrogateescape")


async def untold(store: ReadsOnly, tenant: bytes, size: int) -> tuple[int, str, bool] | None:
    """The first of the tenant's first `size` records whose events are not as it says: its index, what is wrong, and
    whether something is altered rather than missing. None where all are.

    Records without a body, and those of versions that hashed no events, tell nothing.
    """
    feed = _Told(store, tenant)
    place = 0
    while place < size:
        asked = {"tenant": tenant, "place": place, "size": size, "n": _PAGE}
        records = await store.read("audit_records", asked)
        if not records:
            return None
        for record in records:
            place = record["place"] + 1
            ids: tuple[str, ...] = ()
            said: str | None = None
            if record["body"] is not None:
                ids, _ = audit.decode_body(record["body"])
                said = audit.hash_of_events(record["body"])
            rows = await feed.of_record(record["id"], len(ids))
            if said is None:
                continue
            if len(rows) < len(ids):
                return record["place"], "an event that the record caused is not there", False
            if not _are(rows, said):
                return record["place"], "the events that the record caused are not as it says", True
    return None


class _Told:
    """A tenant's feed, read once from its start, by the records that its events name."""

    def __init__(self, store: ReadsOnly, tenant: bytes) -> None:
        self._store, self._tenant = store, tenant
        self._after = 0
        self._ended = False
        self._waiting: dict[bytes, list[Row]] = {}
        self._held = 0

    async def of_record(self, record: bytes, count: int) -> list[Row]:
        while len(self._waiting.get(record, ())) < count and not self._ended and self._held < _APART_MAX:
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


def _are(rows: Iterable[Row], said: str) -> bool:
    try:
        return audit.events_hash(map(_fact, rows)) == said
    except (ValueError, msgspec.DecodeError):  # no text, or no JSON, or none that could have been hashed
        return False


def _fact(row: Row) -> list[Any]:
    """A stored event as it was hashed; see govern/audit.py."""
    names = ("id", "at", "task", "sequence", "work", "kind", "actor")
    told = [row[name].decode() if isinstance(row[name], bytes) else row[name] for name in names]
    return [*told, views.json_of(row["body"]), views.json_of(row["redacted"])]
