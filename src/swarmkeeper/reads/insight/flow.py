"""How much work came into each queue in the last minute, and how much was leased: counted from what was committed.

Nothing of it is stored. Servers of a shared store tell each other every ten seconds (access/others.py), so that each
knows the sum; what it knows of the others may be ten seconds old. A server that has just started knows nothing yet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

from swarmkeeper.core.ports import Changes
from swarmkeeper.core.states import Status

SECOND = 1_000_000
BUCKET = 5 * SECOND
BUCKETS = 12  # a minute
TOLD_MAX = 1_000  # queues that a server tells the others of, those with most work

Counts = dict[tuple[str, int], list[int]]  # by tenant and queue: came, leased


class Flow:
    """Counts of the last minute.

    Args:
        monotonic: microseconds.
    """

    def __init__(self, monotonic: Callable[[], int]) -> None:
        self.others: Callable[[], Iterable[str]] = tuple  # what other servers told
        self._monotonic = monotonic
        self._buckets: dict[int, Counts] = {}  # by when each began

    def committed(self, changes: Changes) -> None:
        """Count what a batch put into queues, and leased: an item that is leased at once counts as both."""
        if not changes.events or not (changes.leases or changes.ready):
            return
        at = changes.events[0].at  # the time of the whole batch
        counts: Counts | None = None
        for lease in changes.leases.values():
            work = changes.works.get(lease.work)
            if work is None or lease.granted_at != at or lease.work in changes.leases_gone:
                continue  # a heartbeat
            counts = self._now() if counts is None else counts
            found = counts.setdefault((work.tenant, work.queue), [0, 0])
            found[1] += 1
            if lease.work not in changes.ready:
                found[0] += 1
        for work_id, entry in changes.ready.items():
            work = changes.works.get(work_id)
            # An entry that was there before has another place in its queue now.
            if entry is not None and work is not None and work.status is Status.READY and work.since == at:
                counts = self._now() if counts is None else counts
                counts.setdefault((entry.tenant, entry.queue), [0, 0])[0] += 1

    def _now(self) -> Counts:
        began = self._monotonic() // BUCKET
        found = self._buckets.get(began)
        if found is None:
            found = self._buckets[began] = {}
            for old in [each for each in self._buckets if each <= began - BUCKETS]:
                del self._buckets[old]
        return found

    def _own(self) -> Counts:
        now, sums = self._monotonic() // BUCKET, Counts()
        for began, counts in self._buckets.items():
            if began > now - BUCKETS:
                for key, (came, leased) in counts.items():
                    found = sums.setdefault(key, [0, 0])
                    found[0] += came
                    found[1] += leased
        return sums

    def told(self) -> str:
        """Return what this server tells the others, as JSON; empty if there is nothing to tell."""
        most = sorted(self._own().items(), key=lambda each: -max(each[1]))[:TOLD_MAX]
        return json.dumps([[tenant, queue, *counts] for (tenant, queue), counts in most]) if most else ""

    def of(self, tenant: str) -> Mapping[int, tuple[int, int]]:
        """Return by queue how many items of the tenant came and were leased in the last minute."""
        sums = {queue: tuple(counts) for (whose, queue), counts in self._own().items() if whose == tenant}
        for text in self.others():
            for whose, queue, came, leased in json.loads(text):
                if whose == tenant:
                    before = sums.get(queue, (0, 0))
                    sums[queue] = (before[0] + came, before[1] + leased)
        return {queue: (counts[0], counts[1]) for queue, counts in sums.items()}
