"""The client for scripts: the same calls as swarmkeeper.Client, without coroutines.

from swarmkeeper import sync

with sync.Client() as swarm:
    task = swarm.submit("Count the words", input={"text": "to be or not to be"})
    print(swarm.wait(task.id).outcome)

One client serves any number of threads; its calls run on a loop of their own (sdk/background.py).
"""

from __future__ import annotations

import os
import weakref
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from swarmkeeper.sdk import client
from swarmkeeper.sdk.background import BackgroundLoop
from swarmkeeper.sdk.calls import Answered, Calls, Json
from swarmkeeper.sdk.transport import HttpTransport, Transport
from swarmkeeper.wire.answers import (
    AuditLog,
    Bot,
    BotMessage,
    Graph,
    Health,
    KeyRecord,
    Skill,
    SubTaskDetail,
    SubTaskState,
    Task,
    TaskBatchItem,
)
from swarmkeeper.wire.events import CloudEvent
from swarmkeeper.wire.explain import Explanation
from swarmkeeper.wire.people import Approval
from swarmkeeper.wire.redaction import RedactionTested
from swarmkeeper.wire.requests import TaskDefinition

Value = TypeVar("Value")


class Client:
    """The orchestrator at `url`, with the rights of `api_key`; see swarmkeeper.Client for what each call does.

    It may be shared: any number of threads may call it at once, and a process that was forked from one with a client
    goes on with connections of its own. A call that is made where an event loop runs stops that loop until it is
    answered, which does no harm in a notebook; in a server or a bot, use swarmkeeper.Client.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        api_key_file: str | os.PathLike[str] | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._client = client.Client(url, api_key, api_key_file=api_key_file, transport=transport)
        calls = self._client.calls
        self._open: set[AsyncIterator[Any]] = set()  # lists and feeds that somebody is in the middle of
        self._loop = BackgroundLoop(
            "swarmkeeper-client",
            last=partial(_end, calls, self._open),
            forked=_nothing if transport is not None else lambda: _reconnect(calls),
        )
        self._own_transport = transport is None
        # Whoever drops a client without closing it leaves no thread behind.
        weakref.finalize(self, self._loop.abandon).atexit = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Calls that other threads wait for end with an error. A second time does nothing."""
        self._loop.close()

    def submit(
        self, task: str | TaskDefinition | Mapping[str, Json], /, *, idempotency_key: str | None = None, **fields: Json
    ) -> Task:
        return self._do(self._client.submit(task, idempotency_key=idempotency_key, **fields))

    def submit_many(
        self, tasks: Sequence[str | TaskDefinition | Mapping[str, Json]], *, idempotency_key: str | None = None
    ) -> list[TaskBatchItem]:
        return self._do(self._client.submit_many(tasks, idempotency_key=idempotency_key))

    def get(self, task_id: str, *, explain: bool = False) -> Task:
        return self._do(self._client.get(task_id, explain=explain))

    def explain(self, task_id: str) -> Explanation:
        return self._do(self._client.explain(task_id))

    def wait(self, task_id: str, timeout: float | None = None) -> Task:
        return self._do(self._client.wait(task_id, timeout))

    def watch(self, task_id: str) -> Iterator[Task]:
        return self._each(self._client.watch(task_id))

    def result(self, task_id: str) -> dict[str, Json] | None:
        return self._do(self._client.result(task_id))

    def tasks(
        self,
        *,
        status: str | Sequence[str] = (),
        outcome: str | Sequence[str] = (),
        label: str | Sequence[str] = (),
        created_after: datetime | str | None = None,
        created_before: datetime | str | None = None,
        order_by: Literal["created_at", "-created_at", "priority"] | None = None,
    ) -> Iterator[Task]:
        return self._each(
            self._client.tasks(
                status=status,
                outcome=outcome,
                label=label,
                created_after=created_after,
                created_before=created_before,
                order_by=order_by,
            )
        )

    def subtasks(self, task_id: str) -> Iterator[SubTaskState]:
        return self._each(self._client.subtasks(task_id))

    def subtask(self, task_id: str, key_or_id: str) -> SubTaskDetail:
        return self._do(self._client.subtask(task_id, key_or_id))

    def output(self, task_id: str, key_or_id: str) -> Json:
        return self._do(self._client.output(task_id, key_or_id))

    def graph(self, task_id: str) -> Graph:
        return self._do(self._client.graph(task_id))

    def events(
        self, task_id: str | None = None, *, after: str | None = None, follow: bool = False
    ) -> Iterator[CloudEvent]:
        return self._each(self._client.events(task_id, after=after, follow=follow))

    def audit(
        self,
        task_id: str | None = None,
        *,
        actor: str | None = None,
        action: str | None = None,
        after: int | None = None,
    ) -> Iterator[AuditLog]:
        return self._each(self._client.audit(task_id, actor=actor, action=action, after=after))

    def cancel(self, task_id: str, reason: str | None = None) -> Task:
        return self._do(self._client.cancel(task_id, reason))

    def pause(self, task_id: str, reason: str | None = None) -> Task:
        return self._do(self._client.pause(task_id, reason))

    def resume(self, task_id: str, reason: str | None = None) -> Task:
        return self._do(self._client.resume(task_id, reason))

    def retry(self, task_id: str, reason: str | None = None, *, deadline_seconds: float | None = None) -> Task:
        return self._do(self._client.retry(task_id, reason, deadline_seconds=deadline_seconds))

    def archive(self, task_id: str, reason: str | None = None) -> Task:
        return self._do(self._client.archive(task_id, reason))

    def tell(
        self,
        task_id: str,
        payload: Mapping[str, Json],
        *,
        to: str | None = None,
        lease_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> BotMessage:
        told = self._client.tell(task_id, payload, to=to, lease_id=lease_id, idempotency_key=idempotency_key)
        return self._do(told)

    def messages(self, task_id: str, *, after: str | None = None) -> Iterator[BotMessage]:
        return self._each(self._client.messages(task_id, after=after))

    def patch(
        self,
        task_id: str,
        *,
        priority: int | None = None,
        labels: Mapping[str, str] | None = None,
        deadline_seconds: float | None = None,
    ) -> Task:
        return self._do(
            self._client.patch(task_id, priority=priority, labels=labels, deadline_seconds=deadline_seconds)
        )

    def approvals(
        self,
        *,
        state: Literal["open", "decided", "expired", "cancelled"] | None = None,
        task_id: str | None = None,
    ) -> Iterator[Approval]:
        return self._each(self._client.approvals(state=state, task_id=task_id))

    def approval(self, approval_id: str) -> Approval:
        return self._do(self._client.approval(approval_id))

    def approve(self, approval_id: str, subject_hash: str, comment: str | None = None) -> Approval:
        return self._do(self._client.approve(approval_id, subject_hash, comment))

    def reject(self, approval_id: str, reason: str) -> Approval:
        return self._do(self._client.reject(approval_id, reason))

    def answer(self, approval_id: str, answer: Json) -> Approval:
        return self._do(self._client.answer(approval_id, answer))

    def bots(self) -> Iterator[Bot]:
        return self._each(self._client.bots())

    def bot(self, bot_id: str) -> Bot:
        return self._do(self._client.bot(bot_id))

    def drain_bot(self, bot_id: str) -> Bot:
        return self._do(self._client.drain_bot(bot_id))

    def enable_bot(self, bot_id: str) -> Bot:
        return self._do(self._client.enable_bot(bot_id))

    def delete_bot(self, bot_id: str) -> None:
        self._do(self._client.delete_bot(bot_id))

    def test_redaction(self, value: Json) -> RedactionTested:
        return self._do(self._client.test_redaction(value))

    def skills(self) -> Iterator[Skill]:
        return self._each(self._client.skills())

    def keys(self) -> Iterator[KeyRecord]:
        return self._each(self._client.keys())

    def create_key(
        self,
        role: str,
        *,
        bot: str | None = None,
        owner: str | None = None,
        skills: Sequence[str] | None = None,
        expires_days: int | None = None,
    ) -> KeyRecord:
        return self._do(self._client.create_key(role, bot=bot, owner=owner, skills=skills, expires_days=expires_days))

    def rotate_key(self, key_id: str, *, overlap_seconds: float = 0) -> KeyRecord:
        return self._do(self._client.rotate_key(key_id, overlap_seconds=overlap_seconds))

    def revoke_key(self, key_id: str) -> KeyRecord:
        return self._do(self._client.revoke_key(key_id))

    def health(self) -> Health:
        return self._do(self._client.health())

    def call(self, method: str, path: str, body: Json = None, *, query: Mapping[str, object] | None = None) -> Answered:
        return self._do(self._client.call(method, path, body, query=query))

    def _do(self, coroutine: Coroutine[Any, Any, Value]) -> Value:
        if self._loop.forks and not self._own_transport:
            coroutine.close()
            raise RuntimeError(
                "this client was made with a transport before the process was forked, and both would use it: "
                "make a client in the child"
            )
        return self._loop.run(coroutine)

    def _each(self, items: AsyncIterator[Value]) -> Iterator[Value]:
        forks = self._loop.forks
        self._open.add(items)
        try:
            # A coroutine of its own each time: the caller may take as long as it likes over an item.
            while (item := self._do(_next(items))) is not None:
                yield item[0]
                if self._loop.forks != forks:
                    raise RuntimeError("this was begun before the process was forked: ask again in the child")
        finally:
            self._open.discard(items)
            if self._loop.forks == forks:
                self._loop.finish(_close(items))


async def _next(items: AsyncIterator[Value]) -> tuple[Value] | None:
    """The next item in a tuple; None at the end."""
    try:
        return (await anext(items),)
    except StopAsyncIteration:
        return None


async def _close(items: AsyncIterator[Any]) -> None:
    close = getattr(items, "aclose", None)
    if close is not None:
        await close()


async def _end(calls: Calls, open_: set[AsyncIterator[Any]]) -> None:
    # One after the other: each closes those that it reads from.
    for items in list(open_):
        await _close(items)
    await calls.aclose()


def _reconnect(calls: Calls) -> None:
    """Leave the connections to the parent process."""
    calls.transport = HttpTransport(calls.url)


def _nothing() -> None:
    """A transport that was passed in is not ours to make anew; see `_do`."""
