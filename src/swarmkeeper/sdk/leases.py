"""A lease that a bot holds: its work, its context, and its state on the way to a report."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from swarmkeeper.sdk.answers import Answer
from swarmkeeper.sdk.attempts.secrets import AskForSecrets, cannot_ask
from swarmkeeper.sdk.connection.calls import is_reference
from swarmkeeper.sdk.context import Candidate, Context, Outbox
from swarmkeeper.sdk.errors import ApiError
from swarmkeeper.wire.answers import BotMessage, Feedback, Lease
from swarmkeeper.wire.requests import SubTask, TaskDefinition
from swarmkeeper.wire.shapes import Json, read_answer

# How often the author's code may correct its plan or verdict within one attempt. The orchestrator accepts as many bad
# ones under one lease.
CORRECTIONS_MAX = 3

Work = TaskDefinition | SubTask | Candidate


class HeldLease:
    """A lease that this bot holds: the right to one attempt at one piece of work."""

    def __init__(self, lease: Lease, wake: Callable[[], None], ask_for_secrets: AskForSecrets = cannot_ask) -> None:
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
            allowance=lease.allowance,
            wake=wake,
            ask_for_secrets=ask_for_secrets,
        )
        self.outbox = Outbox(self.context)
        self.confirmed = False  # a heartbeat has confirmed that the lease arrived
        self.reporting = False  # True: the answer to the report decides, and heartbeat directives are ignored
        self.ended: str | None = None  # "lost" or "cancelled": its result is dropped
        self.on_end: Callable[[], object] | None = None  # set by the runner: cancels the code that works on it
        self.prepared: tuple[Answer, dict[str, Json]] | None = None  # set by preparing.py; see `body_of`
        self.size = 0  # bytes of that body
        self.refused_message: ApiError | None = None
        self.unread: deque[BotMessage] = deque()  # waiting for `on_message`
        self.reading: asyncio.Task[None] | None = None  # calls `on_message`
        self._lease = lease
        self._work: Work | None = None
        self._corrections = 0

    @property
    def work(self) -> Work:
        """The task to plan, the subtask to execute, or the candidate to review."""
        assert self._work is not None, "the lease is opened"
        return self._work

    async def open(self, fetched: Callable[[Json], Awaitable[Json]]) -> Work:
        """Return the work. `fetched` replaces each reference to a large value by the value."""
        lease = self._lease
        upstream = dict(lease.upstream)
        for key, value in lease.upstream.items():
            if is_reference(value):
                upstream[key] = await fetched(value)
        self.context.upstream = upstream
        if lease.previous is not None:
            output = await fetched(lease.previous.output)
            self.context.previous = lease.previous.model_copy(update={"output": output})
        subtask = lease.subtask
        if subtask is not None and is_reference(subtask.input):
            subtask = subtask.model_copy(update={"input": await fetched(subtask.input)})
        if lease.review is not None:
            results = {key: await fetched(value) for key, value in lease.review.results.items()}
            self._work = Candidate(lease.review.of, await self._task(fetched), results, lease.task.round, subtask)
        elif subtask is not None:
            self._work = subtask
        else:
            self._work = await self._task(fetched)
        return self._work

    async def _task(self, fetched: Callable[[Json], Awaitable[Json]]) -> TaskDefinition:
        task = self._lease.task
        return read_answer(
            TaskDefinition, {**task.model_dump(), "id": self.task_id, "input": await fetched(task.input)}
        )

    def body_of(self, answer: Answer) -> dict[str, Json] | None:
        """Return the body that reports this answer; None if this very answer has not been prepared."""
        return self.prepared[1] if self.prepared is not None and self.prepared[0] is answer else None

    def request_correction(self, wrong: str) -> bool:
        """Put what is wrong with the answer into `context.feedback` for another call of the author's code.

        Returns False when the code has had all its corrections.
        """
        if self._corrections >= CORRECTIONS_MAX:
            return False
        self._corrections += 1
        self.reporting = False
        self.context.feedback += (Feedback(round=self._lease.task.round, text=wrong),)
        return True

    def end(self, why: str) -> None:
        """Cancel the attempt because the lease is "lost" or "cancelled"."""
        if self.ended is None:
            self.ended = why
            self.outbox.cancel()
            if self.on_end is not None:
                self.on_end()
