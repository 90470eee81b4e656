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
        "0.fault": "no exception but a refusal ever comes out of the engine",
        "0.lost-exception": "no exception is lost",
        "0.real-world": "nothing reaches for the real clock, real chance or a thread",
        "0.held": "the engine knows how many leases each bot holds",
        "1.one-result": "at most one result is accepted for an item and round",
        "1.one-task": "one idempotency key makes one task",
        "1.one-decision": "a question to people ends once: decided, expired or cancelled",
        "1.quorum": "a round of reviews is decided as its votes come to",
        "1.vote": "no owner has two votes in a round of reviews, or one on what they made",
        "2.fence": "a result is accepted only under the lease that the item has now, from the bot that has it",
        "2.newest": "the accepted attempt was the newest granted; attempts are numbered without a gap",
        "2.closed": "of a task that is over no result is accepted; nothing of it, or of a held one, is handed out",
        "2.tenant": "nothing of a tenant is handed to, done by or told to another: to them it is not there",
        "2.early": "a lease is taken from a bot that was heard of only when its time is over",
        "3.lease": "an item has a lease exactly while it is LEASED",
        "4.pending": "`pending` is the number of edges that are not settled",
        "4.counters": "a task counts its subtasks right",
        "4.done": "of a task that is COMPLETED no subtask is open, and of one that was accepted nothing is",
        "4.upstream": "what has begun has no upstream that is open, and what is skipped has one that ended otherwise",
        "5.sequence": "events of a task are numbered 1, 2, 3 … without a gap",
        "5.time": "the time of events never goes back",
        "5.audit": "every event names an audit record that is committed with it, and no record is there twice",
        "5.cause": "what happens to a task or an item follows from its state as told so far",
        "5.told": "the state of a task or an item is what its events have told",
        "5.feed": "each follower of the feed receives each event once, in order (not at level core)",
        "6.capacity": "no bot has more leases than its capacity",
        "6.drain": "a bot that is draining, or gone, gets nothing new",
        "7.acknowledged": "what is acknowledged is stored, and stays",
        "7.durable": "what was committed is there after a restart",
        "7.liveness": "all that was acknowledged ends, once nothing goes wrong any more",
        "8.timer": "what is not final has a timer that is not late, or waits for what has one; so has each deadline",
        "8.due": "a timer that is due is looked at",
        "9.order": "of one queue and priority, what is handed out is of the task begun first, or has waited longest",
        "9.share": "while two tenants both wait for the engine, what they get of it, each by its weight, differs by no"
        " more than the dearest command, or slice of long work, of each",
        "10.secret": "no secret that redaction knows reaches an event, an audit record or the reason of a failure",
        "rows": "what rows can show holds: see checks.py",
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
