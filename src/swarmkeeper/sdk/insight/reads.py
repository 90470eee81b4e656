"""What a dashboard reads: a task over time, what was said of it, and what waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from swarmkeeper.sdk.connection import chance as chances
from swarmkeeper.sdk.connection.calls import Json
from swarmkeeper.sdk.connection.typed import RecordCalls, given, segment, task_path
from swarmkeeper.sdk.errors import ApiError, Unreachable
from swarmkeeper.wire.events import SseReader
from swarmkeeper.wire.insight.bulk import OperationItem, OperationPage, OperationState, OperationSummary
from swarmkeeper.wire.insight.changes import ChangesTold
from swarmkeeper.wire.insight.history import Timeline, TimelineLane, VerdictOfReview, VerdictPage
from swarmkeeper.wire.insight.load import LeaseHeld, LeaseHeldPage, QueuePage, QueueState


class Insight(RecordCalls):
    """A part of `Client`."""

    def timeline(self, task_id: str) -> AsyncIterator[TimelineLane]:
        """Iterate over a task's subtasks, plans and reviews, each with its attempts and waits."""
        return self._items(f"{task_path(task_id)}/timeline", Timeline)

    def verdicts(self, task_id: str, *, subtask: str | None = None) -> AsyncIterator[VerdictOfReview]:
        """Iterate over what evaluators said of a task, or of one subtask, in all rounds; the oldest first."""
        return self._items(f"{task_path(task_id)}/verdicts", VerdictPage, {"subtask": subtask})

    def queues(self) -> AsyncIterator[QueueState]:
        """Iterate over the queues in which work waits, is leased, or was within the last minute."""
        return self._items("/queues", QueuePage)

    def bot_leases(self, bot_id: str) -> AsyncIterator[LeaseHeld]:
        """Iterate over what a bot works on."""
        return self._items(f"/bots/{segment(bot_id)}/leases", LeaseHeldPage)

    async def changes(self, *, after: str | None = None) -> AsyncIterator[ChangesTold]:
        """Tell what changes in the tenant, at most twice a second, and reconnect when the connection breaks.

        Args:
            after: the cursor of the last message; None: begin with how things are.
        """
        attempt = 0
        while True:
            came = False
            try:
                async with self.calls.stream("/changes", after) as streamed:
                    reader = SseReader()
                    async for chunk in streamed.chunks:
                        for framed in reader.feed(chunk):
                            told = ChangesTold.model_validate_json(framed.data)
                            yield told
                            came, attempt, after = True, 0, told.cursor
            except ApiError as error:
                if not (isinstance(error, Unreachable) or error.retryable):
                    raise
            if not came:
                attempt += 1
                await asyncio.sleep(chances.pause(self.calls.chance, attempt))

    async def bulk(
        self,
        action: str,
        *,
        ids: Sequence[str] | None = None,
        filter: Mapping[str, Json] | None = None,  # noqa: A002  the field's name
        reason: str | None = None,
        deadline_seconds: float | None = None,
        budget: Mapping[str, Json] | None = None,
        dry_run: bool = False,
        idempotency_key: str | None = None,
    ) -> OperationState:
        """Begin to cancel, pause, resume, retry or archive many tasks; `operation` says how far it is.

        Args:
            ids: of the tasks.
            filter: in place of ids, as in the list of tasks: `{"outcome": ["failed"]}`.
            dry_run: only find out what would happen to each task.
        """
        body = {
            "action": action,
            "ids": None if ids is None else list(ids),
            "filter": filter and dict(filter),
            "reason": reason,
            "deadline_seconds": deadline_seconds,
            "budget": budget and dict(budget),
            "dry_run": dry_run or None,
        }
        return await self._command("POST", "/tasks:bulk", given(body), OperationState, idempotency_key)

    def operations(self) -> AsyncIterator[OperationSummary]:
        """Iterate over the operations of the last days, the newest first."""
        return self._items("/operations", OperationPage)

    async def operation(self, operation_id: str) -> OperationState:
        """Return how far an operation is, with its first tasks."""
        return await self._read(f"/operations/{segment(operation_id)}", OperationState)

    def operation_items(self, operation_id: str, *, outcome: str | None = None) -> AsyncIterator[OperationItem]:
        """Iterate over the tasks of an operation, or over those that were `done` or `refused`."""
        return self._items(f"/operations/{segment(operation_id)}", OperationState, {"outcome": outcome})
