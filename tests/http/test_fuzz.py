"""Schemathesis against the real application: whatever is sent, each call keeps to its own description, and never fails.

The engine lives in a loop of its own in a thread; each request is carried there and back.
"""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from starlette.types import Message, Receive, Scope, Send

from swarmkeeper.app import Orchestrator
from swarmkeeper.http.api import ALL_CALLS
from swarmkeeper.http.openapi import document
from swarmkeeper.settings import Settings
from tests.counts import write_count

ADMIN = "X-API-KEY"
# A parked poll or a stream would hold the run up: these are tested by themselves, in test_waiting.py.
QUICK = Settings(store="sqlite://:memory:", wait_seconds_max=0.05)

EXAMPLES = 12
CALLED: set[tuple[str, str]] = set()


class Elsewhere:
    """An ASGI application whose real one runs in the loop of another thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.swarm = Orchestrator(QUICK)

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def start(self) -> str:
        self.thread.start()
        self.run(self.swarm.__aenter__())
        key = self.run(self.swarm.make_key("admin"))
        assert isinstance(key, str)
        return key

    def stop(self) -> None:
        self.run(self.swarm.__aexit__(None, None, None))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        for told in await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(self._call(dict(scope), body), self.loop)
        ):
            await send(told)

    async def _call(self, scope: Scope, body: bytes) -> list[Message]:
        told: list[Message] = []
        waiting = [body]
        forever = asyncio.Event()

        async def receive() -> Message:
            if waiting:
                return {"type": "http.request", "body": waiting.pop(), "more_body": False}
            await forever.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            told.append(message)

        scope.pop("app", None)
        await self.swarm.app(scope, receive, send)
        return told


THERE = Elsewhere()
CONFIG = SchemathesisConfig.from_dict({"seed": 7, "generation": {"deterministic": True, "max-examples": EXAMPLES}})
schema = schemathesis.openapi.from_dict(document(ALL_CALLS, "0.0.0"), config=CONFIG)
schema.app = THERE


@pytest.fixture(scope="module", autouse=True)
def key() -> Iterator[str]:
    yield THERE.start()
    THERE.stop()


@schema.parametrize()
@hypothesis.settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
def test_every_call_keeps_to_its_description(case: Any, key: str) -> None:
    CALLED.add((case.operation.method.upper(), case.operation.path))
    case.call_and_validate(headers={ADMIN: key})


def test_no_route_was_left_out() -> None:
    declared = {(call.method, call.path) for call in ALL_CALLS}

    write_count("routes_left_out", len(declared - CALLED))
    assert declared - CALLED == set()
