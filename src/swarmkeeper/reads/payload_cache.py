"""Reads payloads (the bodies that clients, plans and bots have sent) by id. Small ones that were just written are
cached, because the next steps of the work read them soon. Callers check permissions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import msgspec

from swarmkeeper.core.erasure.records import ErasedBody
from swarmkeeper.core.errors import Erased
from swarmkeeper.core.named_reads import PAYLOADS, OutputRow, UpstreamRow, fetch
from swarmkeeper.core.ports import Reader
from swarmkeeper.reads import views
from swarmkeeper.reads.views import Inline, View

KEPT_BYTES_MAX = 4 * 1024  # of one payload
KEPT_BYTES_IN_ALL = 4 * 1024 * 1024
_ENTRY_BYTES = 250  # memory of an entry in addition to its payload

_encode = msgspec.json.encode


class PayloadCache:
    """Caches only payloads committed by this process; later commits report payloads that they replace or delete."""

    def __init__(self, store: Reader) -> None:
        self._store = store
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def committed(self, payloads: Mapping[str, tuple[str, bytes] | None], *, erased: bool = False) -> None:
        """Follow a commit.

        Args:
            erased: it has erased a tenant.
        """
        if erased:
            self.forget_all()
        for name, written in payloads.items():
            self._drop(name)
            if written is not None and len(written[1]) <= KEPT_BYTES_MAX:
                self._kept[name] = written[1]
                self._size += _ENTRY_BYTES + len(written[1])
        while self._size > KEPT_BYTES_IN_ALL:
            self._drop(next(iter(self._kept)))

    def forget_all(self) -> None:
        """Forget all of them: a tenant was erased."""
        self._kept.clear()
        self._size = 0

    def on(self, reader: Reader) -> PayloadCache:
        """Return this cache, reading from a snapshot. Sharing entries is safe: payloads never change."""
        then = object.__new__(PayloadCache)
        then.__dict__.update(self.__dict__)
        then._store = reader
        return then

    def _drop(self, name: str) -> None:
        body = self._kept.pop(name, None)
        if body is not None:
            self._size -= _ENTRY_BYTES + len(body)

    async def of(self, ids: Sequence[str | None], *, erased: bool = False) -> dict[str, bytes]:
        """Return the payloads that exist, by id; None among the ids is ignored.

        Args:
            erased: leave out those whose data key was destroyed.

        Raises:
            Erased: one of them was erased so.
        """
        found: dict[str, bytes] = {}
        missing: list[str] = []
        for name in dict.fromkeys(ids):
            if name is None:
                continue
            body = self._kept.get(name)
            if body is None:
                missing.append(name)
            else:
                found[name] = body
        if missing:
            rows = await fetch(self._store, PAYLOADS, ids=_encode(missing).decode())
            for row in rows:
                if type(row.body) is not ErasedBody:
                    found[row.id] = row.body
                elif not erased:
                    raise Erased("it was erased with the data keys of its tenant")
        return found

    async def outputs(self, found: Sequence[OutputRow | UpstreamRow], inline: Inline) -> View:
        """Return outputs by subtask key; those that do not fit into `inline` as references."""
        if not found:
            return {}
        small = {row.key: row.result for row in found if inline.fits(row.bytes)}
        bodies = await self.of(list(small.values()))
        return {
            row.key: views.json_of(bodies[row.result])
            if row.key in small
            else views.reference(row.task, row.key, row.result_hash, row.bytes)
            for row in found
        }
