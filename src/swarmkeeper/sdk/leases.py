"""A lease in the hands of a bot: what it is for, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from swarmkeeper.sdk.answers import Answer
from swarmkeeper.sdk.context import Candidate, Context, Outbox
from swarmkeeper.sdk.errors import ApiError
from swarmkeeper.wire.answers import BotMessage, Feedback, Lease
from swarmkeeper.wire.requests import SubTask, TaskDefinition
from swarmkeeper.wire.shapes import read_answer

Json = Any

# How often code is called again in one attempt, with what was wrong with its plan or verdict. The orchestrator takes so
# many bad ones under one lease.
MENDS_MAX = 3

Work = TaskDefinition | SubTask | Candidate


class HeldLease:
    """A lease in hand: the right to one attempt at one work."""

    def __init__(self, lease: Lease, wake: Callable[[], None]) -> None:
        self.lease_id = lease.lease_id
        self.kind = lease.kind
        self.task_id = lease.task_id
        self.work_id = lease.work_id
        self.heartbeat_after_seconds = lease.heartbeat_after_seconds
        self.traceparent = lease.traceparent
        self.context = Context(
            task_id=lease.task_id,
            work_id=lease.work_id,
            lease_id=lease.lease_id,
            attempt=lease.attempt,
            feedback=lease.feedback,
            answers=lease.answers,
            resumed_from=lease.checkpoint,
            traceparent=lease.traceparent,
            wake=wake,
        )
        self.outbox = Outbox(self.context)
        self.beaten = False  # its id has come back to the orchestrator
        self.reporting = False  # from here on the answer to the report decides, whatever a heartbeat says
        self.ended: str | None = None  # lost or cancelled: whatever comes out of it is dropped
        self.on_end: Callable[[], object] | None = None  # the runner's, which has code at work for it
        self.said: tuple[Answer, dict[str, Json]] | None = None  # the answer, and how it is reported
        self.size = 0  # bytes of that
        self.refused_message: ApiError | None = None
        self.unread: deque[BotMessage] = deque()  # for the author's hook
        self.reading: asyncio.Task[None] | None = None
        self._lease = lease
        self._work: Work | None = None
        self._mended = 0

    @property
    def work(self) -> Work:
        """The task to plan, the subtask to do, or the candidate to review."""
        assert self._work is not None, "opened before it is handed to an author's code"
        return self._work

    async def open(self, fetched: Callable[[Json], Awaitable[Json]]) -> Work:
        """What to work on, with everything that was too large to come along put in its place by `fetched`."""
        lease = self._lease
        self.context.upstream = {key: await fetched(value) for key, value in lease.upstream.items()}
        if lease.previous is not None:
            output = await fetched(lease.previous.output)
            self.context.previous = lease.previous.model_copy(update={"output": output})
        about = {**lease.task.model_dump(), "id": lease.task_id, "input": await fetched(lease.task.input)}
        task = read_answer(TaskDefinition, about)
        subtask = lease.subtask
        if subtask is not None:
            subtask = subtask.model_copy(update={"input": await fetched(subtask.input)})
        if lease.review is not None:
            results = {key: await fetched(value) for key, value in lease.review.results.items()}
            self._work = Candidate(lease.review.of, task, results, lease.task.round, subtask)
        elif subtask is not None:
            self._work = subtask
        else:
            self._work = task
        return self._work

    def mend(self, wrong: str) -> bool:
        """Tell the author's code what is wrong with its answer, and go on; False: it was told often enough."""
        if self._mended >= MENDS_MAX:
            return False
        self._mended += 1
        self.reporting = False
        self.context.feedback += (Feedback(round=self._lease.task.round, text=wrong),)
        return True

    def end(self, why: str) -> None:
        if self.ended is None:
            self.ended = why
            self.outbox.cancel()
            if self.on_end is not None:
                self.on_end()
