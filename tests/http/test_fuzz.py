"""Schemathesis against the real application: whatever is sent, each call keeps to its own description, and never fails.

The engine lives in a loop of its own in a thread; each request is carried there and back.
"""

import asyncio
import re
import threading
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from starlette.types import Message, Receive, Scope, Send

from swarmkeeper.app import Orchestrator
from swarmkeeper.http.app import ROUTES, openapi_document
from swarmkeeper.settings import Settings
from tests.counts import write_count
from tests.examples import examples, exploring

ADMIN = "X-API-KEY"
# A parked poll or a stream would hold the run up: these are tested by themselves, in test_waiting.py.
QUICK = Settings(store="sqlite://:memory:", wait_seconds_max=0.05, log_level="error")  # a find is to be seen

CALLS = examples(6, suppress_health_check=list(hypothesis.HealthCheck))  # for each route
# Calls that follow from each other's answers: a task is made, then asked for, paused, retried.
SEQUENCES = examples(8, suppress_health_check=list(hypothesis.HealthCheck), stateful_step_count=8)
# U+0000 and lone surrogates have tests of their own: no schema can say that a text must not hold them.
GENERATION = {
    "deterministic": not exploring(),
    "max-examples": CALLS.max_examples,
    "allow-x00": False,
    "codec": "utf-8",
}


class Elsewhere:
    """An ASGI application whose real one runs in the loop of another thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.swarm = Orchestrator(QUICK)
        self.calls = 0
        self.keys_used = 0
        self.key = ""

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def start(self) -> None:
        self.thread.start()
        self.run(self.swarm.__aenter__())
        self.key = self.run(self.swarm.make_key("admin"))

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
        # Each from elsewhere: what limits guesses at keys has tests of its own.
        self.calls += 1
        scope["client"] = (f"10.{self.calls >> 16}.{self.calls >> 8 & 255}.{self.calls & 255}", 4711)
        await self.swarm.app(scope, receive, send)
        return told


THERE = Elsewhere()
CONFIG = SchemathesisConfig.from_dict({"generation": GENERATION} | ({} if exploring() else {"seed": 7}))
schema = schemathesis.openapi.from_dict(openapi_document("0.0.0"), config=CONFIG)
schema.app = THERE


@pytest.fixture(scope="module", autouse=True)
def there() -> Iterator[None]:
    THERE.start()
    yield
    THERE.stop()


def as_written(value: Any) -> Any:
    """An integer is written without a fraction here, though a schema takes 5.0 for one."""
    if isinstance(value, float) and value.is_integer():
        return as_written(int(value))
    if isinstance(value, int) and abs(value) > 2**53:
        return 0.5
    if isinstance(value, list):
        return [as_written(each) for each in value]
    if isinstance(value, dict):
        return {name: as_written(each) for name, each in value.items()}
    return value


def use_each_key_once(case: Any) -> None:
    """Another body under the same Idempotency-Key is refused, and rightly so."""
    key = (case.headers or {}).get("Idempotency-Key")
    if key is not None and re.fullmatch(r"[\x21-\x7e]{1,255}", key):
        THERE.keys_used += 1
        case.headers["Idempotency-Key"] = f"key-{THERE.keys_used}"


# What no schema can say: how fields go together, whether a plan is sound, what another release will have.
BEYOND_SCHEMAS = {"not_supported", "invalid_plan", "cycle", "unknown_key", "duplicate"}
TOGETHER = {
    "accept must be at most the value of `of`",
    "bot and skills are allowed only with bot roles and admin",
    "retry_after_seconds is allowed only with class rate_limited",
    "targets and subtasks are allowed only with decision rework",
    "must not have a plan, output or verdict when status is failed",
    "must not have an error when status is succeeded",
    "must have only one of plan, output and verdict",
    "one of plan, output and verdict is required when status is succeeded",
    "one of lease_id and task_id is required",
    "must contain the last ETag",  # of a header, where the query waits for a change
}


def answered_otherwise(response: Any) -> list[Any]:
    """Checks that an answer meets in a way of its own."""
    if response.status_code == 422:
        told = response.json()
        codes = {each["code"] for each in told["errors"] if each["detail"] not in TOGETHER} | {told["code"]}
        if codes - {"invalid"} <= BEYOND_SCHEMAS:
            return [positive_data_acceptance]
    if response.status_code == 412:
        # An ETag of the right shape that is not the last one: only who has read it last can know.
        return [positive_data_acceptance]
    if response.status_code == 200 and response.request.url.endswith(("/results", "/tasks:batch")):
        # Each item of a batch is taken or refused by itself.
        results = response.json()["results"]
        if any(not each.get("accepted", True) or "error" in each for each in results):
            return [negative_data_rejection]
    return []


@schema.parametrize()
@CALLS
def test_every_call_conforms_to_the_document(case: Any) -> None:
    case.body = as_written(case.body)
    use_each_key_once(case)

    response = case.call(headers={ADMIN: THERE.key})

    case.validate_response(response, headers={ADMIN: THERE.key}, excluded_checks=answered_otherwise(response))


class Sequences(schema.as_state_machine()):  # type: ignore[misc]  # made from the description when this is imported
    """Runs of calls, each with what an earlier answer gave: ids, mostly."""

    def before_call(self, case: Any) -> None:
        case.body = as_written(case.body)
        use_each_key_once(case)

    def get_call_kwargs(self, case: Any) -> dict[str, Any]:
        return {"headers": {ADMIN: THERE.key}}

    def validate_response(self, response: Any, case: Any, **_: Any) -> None:
        case.validate_response(response, headers={ADMIN: THERE.key}, excluded_checks=answered_otherwise(response))


Sequences.TestCase.settings = SEQUENCES
TestSequences = Sequences.TestCase


def test_every_route_is_tested() -> None:
    declared = {(route.method, route.path_format) for route in ROUTES}
    tried = {
        (found.ok().method.upper(), found.ok().path) for found in schema.get_all_operations() if isinstance(found, Ok)
    }

    write_count("routes_left_out", len(declared - tried))
    assert declared - tried == set()
