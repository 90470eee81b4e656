"""What happened: the feed of events; and what comes later, audit lists and approvals."""

from __future__ import annotations

from typing import Any

from swarmkeeper.core import errors
from swarmkeeper.http import sse
from swarmkeeper.http.calls import Calls, Exchange, Reply, not_yet
from swarmkeeper.http.query import EventsQuery
from swarmkeeper.http.routes.tasks import events_of
from swarmkeeper.wire import v1

calls = Calls("evidence")


@calls.add(
    "GET",
    "/events",
    query=EventsQuery,
    answers={200: v1.EventPage},
    media_types=("application/json", sse.EVENT_STREAM),
    refusals=(errors.Forbidden, errors.CursorTooOld),
    headers=("Last-Event-ID",),
)
async def all_events(x: Exchange[Any, EventsQuery]) -> Reply | None:
    """Read what happened in the tenant, or follow it as a stream."""
    return await events_of(x, None)


_LATER = "comes with a later release"
_APPROVALS = "approvals come with a later release"
not_yet(calls, "GET", "/audit", "list_audit", f"The audit records ({_LATER})", f"audit lists {_LATER}")
not_yet(calls, "POST", "/redaction:test", "test_redaction", f"Try the redaction ({_LATER})", f"this {_LATER}")
not_yet(calls, "GET", "/approvals", "list_approvals", f"What people are asked ({_LATER})", _APPROVALS)
for _verb in ("approve", "reject", "answer"):
    not_yet(
        calls,
        "POST",
        f"/approvals/{{approval_id}}:{_verb}",
        f"{_verb}_approval",
        f"{_verb.capitalize()} what is asked ({_LATER})",
        _APPROVALS,
    )
