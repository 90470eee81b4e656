"""The client for scripts: the same calls as swarmkeeper.Client, without coroutines.

from swarmkeeper import sync

with sync.Client() as swarm:
    task = swarm.submit("Count the words", input={"text": "to be or not to be"})
    print(swarm.wait(task.id).outcome)

Any number of threads may share a client; its calls run on a loop of their own (sdk/connection/background.py).
"""

from __future__ import annotations

import functools
import inspect
import os
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from swarmkeeper.sdk import client
from swarmkeeper.sdk.connection.background import BackgroundLoop
from swarmkeeper.sdk.connection.calls import Calls
from swarmkeeper.sdk.connection.transport import HttpTransport, Transport

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")


def _blocking(
    method: Callable[Concatenate[client.Client, Arguments], Coroutine[Any, Any, Value]],
) -> Callable[Concatenate[Client, Arguments], Value]:
    """Make a method that waits for the coroutine and returns its result."""

    @functools.wraps(method)
    def call(self: Client, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Value:
        return self._do(method(self._client, *args, **kwargs))

    return call


def _iterating(
    method: Callable[Concatenate[client.Client, Arguments], AsyncIterator[Value]],
) -> Callable[Concatenate[Client, Arguments], Iterator[Value]]:
    """Make a method that returns a plain iterator over the same items."""

    @functools.wraps(method)
    def call(self: Client, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Iterator[Value]:
        return self._each(method(self._client, *args, **kwargs))

    # help() and editors that inspect the running program must show Iterator, not AsyncIterator.
    signature = inspect.signature(method)
    returned = str(signature.return_annotation).removeprefix("Async")
    call.__signature__ = signature.replace(return_annotation=returned)  # type: ignore[attr-defined]  # PEP 362 allows it
    return call


class Client:
    """Calls the orchestrator at `url` with the rights of `api_key`; swarmkeeper.Client describes each call.

    Any number of threads may call it at once. A forked child process continues with its own connections. A call on a
    running event loop blocks that loop until the answer comes: this is fine in a notebook; in a server or a bot, use
    swarmkeeper.Client.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        api_key_file: str | os.PathLike[str] | None = None,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._client = client.Client(
            url, api_key, api_key_file=api_key_file, token=token, token_file=token_file, transport=transport
        )
        calls = self._client.calls
        self._open: set[AsyncIterator[Any]] = set()  # lists and feeds that are being iterated over
        self._loop = BackgroundLoop(
            "swarmkeeper-client",
            last=functools.partial(_end, calls, self._open),
            # A transport that was passed in cannot be made anew: `_do` refuses calls after a fork.
            forked=lambda: _reconnect(calls) if transport is None else None,
        )
        self._own_transport = transport is None
        # A client that is dropped without being closed must leave no thread behind.
        weakref.finalize(self, self._loop.abandon).atexit = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Running calls of other threads end with an error. A second call does nothing."""
        self._loop.close()

    # The calls of swarmkeeper.Client, each with the same arguments.
    submit = _blocking(client.Client.submit)
    submit_many = _blocking(client.Client.submit_many)
    get = _blocking(client.Client.get)
    explain = _blocking(client.Client.explain)
    wait = _blocking(client.Client.wait)
    watch = _iterating(client.Client.watch)
    result = _blocking(client.Client.result)
    tasks = _iterating(client.Client.tasks)
    task_rows = _iterating(client.Client.task_rows)
    count_tasks = _blocking(client.Client.count_tasks)
    task_labels = _iterating(client.Client.task_labels)
    costs = _blocking(client.Client.costs)
    subtasks = _iterating(client.Client.subtasks)
    subtask = _blocking(client.Client.subtask)
    output = _blocking(client.Client.output)
    graph = _blocking(client.Client.graph)
    timeline = _iterating(client.Client.timeline)
    verdicts = _iterating(client.Client.verdicts)
    queues = _iterating(client.Client.queues)
    bot_leases = _iterating(client.Client.bot_leases)
    changes = _iterating(client.Client.changes)
    bulk = _blocking(client.Client.bulk)
    operations = _iterating(client.Client.operations)
    operation = _blocking(client.Client.operation)
    operation_items = _iterating(client.Client.operation_items)
    events = _iterating(client.Client.events)
    audit = _iterating(client.Client.audit)
    audit_file = _blocking(client.Client.audit_file)
    audit_body = _blocking(client.Client.audit_body)
    cancel = _blocking(client.Client.cancel)
    pause = _blocking(client.Client.pause)
    resume = _blocking(client.Client.resume)
    retry = _blocking(client.Client.retry)
    archive = _blocking(client.Client.archive)
    tell = _blocking(client.Client.tell)
    messages = _iterating(client.Client.messages)
    patch = _blocking(client.Client.patch)
    approvals = _iterating(client.Client.approvals)
    approval = _blocking(client.Client.approval)
    approve = _blocking(client.Client.approve)
    reject = _blocking(client.Client.reject)
    answer = _blocking(client.Client.answer)
    bots = _iterating(client.Client.bots)
    bot = _blocking(client.Client.bot)
    drain_bot = _blocking(client.Client.drain_bot)
    enable_bot = _blocking(client.Client.enable_bot)
    delete_bot = _blocking(client.Client.delete_bot)
    test_redaction = _blocking(client.Client.test_redaction)
    skills = _iterating(client.Client.skills)
    keys = _iterating(client.Client.keys)
    create_key = _blocking(client.Client.create_key)
    rotate_key = _blocking(client.Client.rotate_key)
    revoke_key = _blocking(client.Client.revoke_key)
    secrets = _iterating(client.Client.secrets)
    put_secret = _blocking(client.Client.put_secret)
    retire_secret = _blocking(client.Client.retire_secret)
    delete_secret = _blocking(client.Client.delete_secret)
    legal_holds = _iterating(client.Client.legal_holds)
    place_legal_hold = _blocking(client.Client.place_legal_hold)
    release_legal_hold = _blocking(client.Client.release_legal_hold)
    make_token = _blocking(client.Client.make_token)
    erase_task = _blocking(client.Client.erase_task)
    erase_tenant = _blocking(client.Client.erase_tenant)
    persons = _iterating(client.Client.persons)
    create_person = _blocking(client.Client.create_person)
    rename_person = _blocking(client.Client.rename_person)
    disable_person = _blocking(client.Client.disable_person)
    enable_person = _blocking(client.Client.enable_person)
    kills = _iterating(client.Client.kills)
    place_kill = _blocking(client.Client.place_kill)
    lift_kill = _blocking(client.Client.lift_kill)
    health = _blocking(client.Client.health)
    call = _blocking(client.Client.call)

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
            # One coroutine for each item: the caller may take any time between items.
            while (item := self._do(_next(items))) is not None:
                yield item[0]
                if self._loop.forks != forks:
                    raise RuntimeError("this iteration began before the process was forked: start anew in the child")
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
    # One after the other: closing an iterator closes those that it reads from.
    for items in list(open_):
        await _close(items)
    await calls.aclose()


def _reconnect(calls: Calls) -> None:
    """Open new connections in a forked child; the old ones are the parent's."""
    calls.transport = HttpTransport(calls.url)
