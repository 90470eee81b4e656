"""Sessions of PostgreSQL that one test after another uses.

A session plans each statement once, and a new one would plan all of them again, which takes longer than most tests.
A session belongs to an event loop. So tests share one: `real_loop`, in a thread; or that of a module which has
`from tests.support.kept_sessions import _function_scoped_runner`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, ClassVar

import asyncpg
import pytest

from swarmkeeper.storage.postgres import connections

RESTING = "resting"  # the name of a session that nobody uses now, and that is used again once its store is emptied
RESTING_MAX = (
    15  # in a loop: the server has room for 60 sessions, and replicas of a test need more than one server does
)
Kind = tuple[asyncio.AbstractEventLoop, str, bool]
_connect = connections.connect


class RealLoop:
    """A usual event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True, name="postgres").start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


_loop: RealLoop | None = None


def real_loop() -> RealLoop:
    global _loop
    _loop = _loop or RealLoop()
    return _loop


class KeptSession:
    """A connection that is not closed, but left to the next store that asks for one like it.

    Whoever gets it finds it as a new one: no locks, settings as at the start, no open transaction.
    """

    resting: ClassVar[dict[Kind, list[asyncpg.Connection]]] = {}

    def __init__(self, inner: asyncpg.Connection, kind: Kind) -> None:
        self._inner, self._kind, self._is_closed = inner, kind, False
        # What is used all the time.
        self.execute, self.fetch, self.fetchrow, self.fetchval = (
            *(inner.execute, inner.fetch),
            *(inner.fetchrow, inner.fetchval),
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def is_closed(self) -> bool:
        return self._is_closed or self._inner.is_closed()

    async def close(self, *, timeout: float | None = None) -> None:
        if self._inner.is_in_transaction():
            await self._inner.close(timeout=timeout)
            return
        await self._inner.execute(_TO_REST, timeout=timeout)
        self._is_closed = True
        self.resting.setdefault(self._kind, []).append(self._inner)
        of_loop = [each for kind, each in self.resting.items() if kind[0] is self._kind[0] and each]
        if sum(map(len, of_loop)) > RESTING_MAX:
            await of_loop[0].pop(0).close(timeout=timeout)

    @classmethod
    async def of(cls, url: str, *, writing: bool, again: bool = False) -> KeptSession:
        kind = asyncio.get_running_loop(), url, writing
        resting = cls.resting.get(kind, [])
        while resting:
            inner = resting.pop()
            if not inner.is_closed():
                await inner.execute("RESET application_name")
                await connections._check(inner, writing=writing)
                return cls(inner, kind)
        return cls(await _connect(url, writing=writing, again=again), kind)


_TO_REST = f"SELECT pg_advisory_unlock_all(); UNLISTEN *; RESET ALL; SET application_name = '{RESTING}'"


_runner: asyncio.Runner | None = None


@pytest.fixture
def _function_scoped_runner(event_loop_policy: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.Runner]:
    """In place of pytest-asyncio's: one test after another runs in the same loop, and has the same sessions."""
    global _runner
    _runner = _runner or asyncio.Runner()
    loop = _runner.get_loop()
    asyncio.set_event_loop(loop)
    monkeypatch.setattr(connections, "connect", KeptSession.of)
    yield _runner
    _runner.run(_end())
    asyncio.set_event_loop(None)


async def _end() -> None:
    """End what a test has left behind, as at the end of a loop."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    ended = await asyncio.gather(*left, return_exceptions=True)
    assert not [each for each in ended if isinstance(each, Exception)], ended
    await asyncio.get_running_loop().shutdown_asyncgens()
