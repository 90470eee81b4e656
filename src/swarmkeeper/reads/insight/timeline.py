"""The timeline of a task: a lane for each of its items, with a bar for each attempt and the waits between them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

from swarmkeeper.core.model import Principal
from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.states import FINAL, Kind, Status, TaskStatus, effective
from swarmkeeper.reads import views
from swarmkeeper.reads.insight.insight_reads import TIMELINE_BARS, TIMELINE_LANES, BarRow, LaneRow
from swarmkeeper.reads.queries import Queries
from swarmkeeper.reads.views import View

BARS_MAX = 20  # of a lane, the newest: a page of 500 lanes stays below a few megabytes
HEAD = 200  # characters of an error: one line of a chart
_IN_SHORT = 160


async def timeline(queries: Queries, principal: Principal, task_id: str, *, page_size: int, page_token: str) -> View:
    """Return a page of a task's lanes, in the order in which its items were made.

    Raises:
        ResourceNotFound, PermissionDenied: the caller may not read the task.
    """
    queries.check_size(page_size)
    async with queries.moment() as then:
        task = await then.visible_task(principal, task_id)
        after = then.position(principal, page_token)
        found = await fetch(then.reader, TIMELINE_LANES, task=task_id, after=after, limit=page_size + 1)
        lanes = found[:page_size]
        bars: dict[str, list[BarRow]] = {lane.id: [] for lane in lanes}
        if lanes:
            works = json.dumps([lane.id for lane in lanes if lane.attempt])
            for bar in await fetch(then.reader, TIMELINE_BARS, works=works, newest=BARS_MAX, head=HEAD):
                bars[bar.work].append(bar)
    status = TaskStatus(task.status)
    shown = [_lane(lane, bars[lane.id], status) for lane in lanes]
    following = then.token_at(principal, lanes[-1].seq) if len(found) > page_size else ""
    return {
        **views.page(shown, following),
        "task_id": task.id,
        "status": task.status,
        "created_at": views.time(task.created_at),
        "updated_at": views.time(task.updated_at),
        "now": views.time(then.now()),
    }


def _lane(lane: LaneRow, ended: Sequence[BarRow], status: TaskStatus) -> View:
    now = effective(status, Status(lane.status))
    bars = [_ended(bar) for bar in ended]
    held = lane.lease_id is not None and now is Status.LEASED
    if held:
        bars.append(
            {
                "attempt": lane.held_attempt,
                "bot": lane.holder,
                "lease_id": lane.lease_id,
                "start": views.time(lane.granted_at),
                "end": None,
                "ending": None,
                "round": lane.round,
                "error": None,
                "expires_at": views.time(lane.expires_at),
            }
        )
    first = bars[0]["attempt"] if bars else lane.attempt + 1
    created = views.time(lane.created_at)
    return {
        "work_id": lane.id,
        "kind": lane.kind,
        "key": lane.key,
        "subject": lane.subject,
        "status": str(now),
        "round": lane.round if Kind(lane.kind) is not Kind.REVIEW else round_of(lane.key),
        "created_at": created,
        "since": created if lane.since == lane.created_at else views.time(lane.since),
        "wake_at": views.time(lane.wake) if now is Status.WAITING else None,
        "fails_at": views.time(lane.start_due) if now is Status.READY else None,
        "bars": bars,
        "bars_left_out": max(0, first - 1),
        "waits": _waits(created, bars, waiting=not held and now not in FINAL),
    }


def _ended(bar: BarRow) -> View:
    said = bar.message or bar.reason
    return {
        "attempt": bar.attempt,
        "bot": bar.bot,
        "lease_id": bar.lease_id,
        "start": views.time(bar.started),
        "end": views.time(bar.ended),
        "ending": bar.ending,
        "round": bar.round,
        "error": None if not said and bar.error_class is None else {"class": bar.error_class, "message": _head(said)},
        "expires_at": None,
    }


def _head(said: str | None) -> str:
    """Return the first line of what a bot said, cut to the width of a chart."""
    line = (said or "").strip().partition("\n")[0]
    return line if len(line) <= _IN_SHORT else f"{line[: _IN_SHORT - 1]}…"


def _waits(created: str | None, bars: Sequence[View], *, waiting: bool) -> list[View]:
    """Return the times in which no bot worked on the item, each with the ending of the attempt before it."""
    waits: list[View] = []
    if not bars:
        return [{"start": created, "end": None, "after": None}] if waiting else []
    if bars[0]["attempt"] == 1 and created != bars[0]["start"]:
        waits.append({"start": created, "end": bars[0]["start"], "after": None})
    for before, after in pairwise(bars):
        if before["end"] != after["start"]:
            waits.append({"start": before["end"], "end": after["start"], "after": before["ending"]})
    if waiting:
        waits.append({"start": bars[-1]["end"], "end": None, "after": bars[-1]["ending"]})
    return waits


def round_of(key: str) -> int:
    """Return the round of a review: its key is review/<round>/<number> or review-of/<subtask>/<round>."""
    parts = key.split("/")
    text = parts[-1] if parts[0] == "review-of" else parts[1] if len(parts) > 1 else ""
    return int(text) if text.isdecimal() else 1
