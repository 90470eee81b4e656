"""The list of invariants: each has an id and a sentence. The numbers are those of the list in the docs.

Invariants on rows are SQL statements in checks.py. The others are checked by the shadow model (model.py) on commits and
answers. Users add their own with `user_invariants.invariant`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

WORDS: Mapping[str, str] = MappingProxyType(
    {
        "0.engine": "the engine's loop never ends by itself",
        "0.fault": "the engine raises no exception other than a refusal",
        "0.lost-exception": "no exception is lost",
        "0.real-world": "the run uses no real clock, real randomness or thread",
        "1.one-result": "at most one result is accepted for each item and round",
        "1.one-task": "one idempotency key creates one task",
        "1.one-decision": "an approval ends once: decided, expired or cancelled",
        "1.quorum": "the decision of a review round follows from its votes",
        "1.vote": "no owner votes twice in a review round, or reviews its own work",
        "2.fence": "a result is accepted only under the item's current lease, from the bot that holds it",
        "2.newest": "the accepted attempt was the newest one granted; attempts are numbered without a gap",
        "2.closed": "no result is accepted for a closed task; no item of a closed or held task is handed out",
        "2.tenant": "no tenant sees, gets or changes anything of another tenant",
        "2.policy": "no work with a way out is handed out if private data and untrusted text have flowed into it",
        "2.early": "a lease is taken from a bot that uses it only after it has expired",
        "3.lease": "an item has a lease exactly while it is LEASED",
        "4.pending": "`pending` is the number of unsettled edges",
        "4.counters": "a task's counts of its subtasks are correct",
        "4.done": "a COMPLETED task has no open subtask, and an accepted task has no open item",
        "4.upstream": "a started item has no open upstream item; a skipped item has an edge with an unmet condition",
        "5.sequence": "a task's events are numbered 1, 2, 3 … without a gap",
        "5.time": "the time of events never goes back",
        "5.audit": "every event names an audit record of its own commit, and no audit record exists twice",
        "5.cause": "each event is allowed in the state that the earlier events led to",
        "5.told": "the state of a task or an item is the one that its events led to",
        "5.feed": "each follower of the feed receives each event once, in order (not at level core)",
        "6.capacity": "no bot holds more leases than its capacity",
        "6.concurrency": "no more items of a key run at once than it allows",
        "6.drain": "a draining or deleted bot gets no new work",
        "7.acknowledged": "what was acknowledged is stored, and stays stored",
        "7.durable": "what was committed is still stored after a restart",
        "7.kept": "a row that the store keeps in memory is the stored one",
        "7.liveness": "every acknowledged task ends once faults have stopped",
        "7.operation": "every operation on many tasks ends once faults have stopped (level http)",
        "8.timer": "every open item has a timer, or waits for something that has one; every deadline has a timer",
        "8.due": "every timer is processed when it is due",
        "9.order": "within a queue and priority, the item handed out has the oldest task or has waited longest",
        "9.share": "while two tenants both wait for the engine, their received costs, divided by weight, differ by no"
        " more than the most expensive item of each",
        "10.secret": "no secret known to redaction reaches an event, an audit record or a failure reason",
        "rows": "the stored rows are consistent: see checks.py",
    }
)


@dataclass(frozen=True, slots=True)
class Violation:
    """The first invariant that a run broke."""

    invariant: str  # its id
    entity: str
    why: str
    at: int  # microseconds since the run began
    own_words: str = ""  # the sentence of a user's invariant

    @property
    def words(self) -> str:
        return WORDS.get(self.invariant) or self.own_words or self.invariant
