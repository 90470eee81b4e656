"""Schemathesis against the real application: for any input, each call conforms to the document and never fails.

The application runs in the event loop of Schemathesis, which is in another thread.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, cast

import hypothesis
import pytest
import schemathesis
from hypothesis.errors import FlakyStrategyDefinition
from schemathesis.config import SchemathesisConfig
from schemathesis.core import NotSet
from schemathesis.core.result import Ok
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.generation.hypothesis.builder import (
    InvalidHeadersExampleMark,
    InvalidRegexMark,
    MissingPathParameters,
    NonSerializableMark,
    UnsatisfiableExampleMark,
)
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.python._constants.orchestrator import make_constants_value_source
from schemathesis.python.asgi import get_client, shutdown_lifespans
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from starlette.types import Receive, Scope, Send

from swarmkeeper.app import Orchestrator
from swarmkeeper.http.app import ROUTES
from swarmkeeper.settings import Settings
from tests.counts import write_count
from tests.examples import examples, exploring
from tests.http.described import document

ADMIN = "X-API-KEY"
# A parked poll or a stream would delay the run; test_waiting.py tests them.
QUICK = Settings(store="sqlite://:memory:", wait_seconds_max=0.05, log_level="error")  # failures must be visible

CALLS = examples(6, suppress_health_check=list(hypothesis.HealthCheck))  # for each route
# Calls that use each other's answers: a task is submitted, then read, paused, retried.
SEQUENCES = examples(8, suppress_health_check=list(hypothesis.HealthCheck), stateful_step_count=8)
# U+0000 and lone surrogates have tests of their own: no schema can exclude them.
GENERATION = {
    "deterministic": not exploring(),
    "max-examples": CALLS.max_examples,
    "allow-x00": False,
    "codec": "utf-8",
}


class Elsewhere:
    """An ASGI application that is the real one, from the start of its lifespan to the end."""

    swarm: Orchestrator

    def __init__(self) -> None:
        self.calls = 0
        self.keys_used = 0
        self.key = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        # Each from another address: the limit on guessing keys has tests of its own.
        self.calls += 1
        scope["client"] = (f"10.{self.calls >> 16}.{self.calls >> 8 & 255}.{self.calls & 255}", 4711)
        await self.swarm.app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Start anew: a test process may begin this module again after it had ended it."""
        await receive()
        async with Orchestrator(QUICK) as self.swarm:
            self.key = await self.swarm.make_key("admin")
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


THERE = Elsewhere()
CONFIG = SchemathesisConfig.from_dict({"generation": GENERATION} | ({} if exploring() else {"seed": 7}))
schema = schemathesis.openapi.from_dict(deepcopy(document()), config=CONFIG)
schema.app = THERE

CLIENT = get_client(cast("Any", THERE))  # for all calls: each would make one of its own
CLIENT.trust_env = False


@pytest.fixture(scope="module", autouse=True)
def there() -> Iterator[None]:
    with CLIENT:
        yield
    shutdown_lifespans()


# What JSON text with a number that `as_written` changes has in it. Most bodies have none, and some are very long.
CHANGED = re.compile(r"\d\.0|\de|\d{16}")


def as_written(value: Any) -> Any:
    """Write integers without a fraction: the server refuses 5.0, which a schema accepts as an integer."""
    with contextlib.suppress(TypeError):  # it has bytes, which are no JSON
        if not CHANGED.search(json.dumps(value)):
            return value
    return _as_written(value)


def _as_written(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return _as_written(int(value))
    if isinstance(value, int) and abs(value) > 2**53:
        return 0.5
    if isinstance(value, list):
        return [_as_written(each) for each in value]
    if isinstance(value, dict):
        return {name: _as_written(each) for name, each in value.items()}
    return value


def write_body(case: Any) -> None:
    # A body set to "none" would be checked anew against the schema, which an optional body's absence does not match.
    if not isinstance(case.body, NotSet):
        case.body = as_written(case.body)


def use_each_key_once(case: Any) -> None:
    """Make each Idempotency-Key unique: another body with the same key is refused."""
    key = (case.headers or {}).get("Idempotency-Key")
    if key is not None and re.fullmatch(r"[\x21-\x7e]{1,255}", key):
        THERE.keys_used += 1
        case.headers["Idempotency-Key"] = f"key-{THERE.keys_used}"


# Rules that no schema can express: between fields, and for a whole plan.
BEYOND_SCHEMAS = {"not_supported", "invalid_plan", "cycle", "unknown_key", "duplicate", "too_many_labels"}
TOGETHER = {
    "accept must be at most the value of `of`",
    "bot and skills are allowed only with bot roles and admin",
    "retry_after_seconds is allowed only with class rate_limited",
    "scope is allowed only with class rate_limited",
    "remind_after_seconds must be less than expires_in_seconds",
    "escalate_after_seconds must be less than expires_in_seconds",
    "targets and subtasks are allowed only with decision rework",
    "must not have a plan, output or verdict when status is failed",
    "must not have an error when status is succeeded",
    "must have only one of plan, output and verdict",
    "one of plan, output and verdict is required when status is succeeded",
    "one of lease_id and task_id is required",
    "must be a network like 10.0.0.0/8, without bits beyond its length",
    "a task that was submitted without a budget gets none later",
    "must be later than now",
    "skills are allowed only with a role that gets work",
    "order=expires lists open approvals of all tasks",
    "exactly one of ids and filter is required",
    "at least one filter is required: without one, all tasks would be selected",
    "deadline_seconds and budget are allowed only with action retry",
    "must be asc for a stream",
    "must be the id of a person",  # that there is
    "must contain the last ETag",  # of a header, where the query waits for a change
}


def answered_otherwise(response: Any) -> list[Any]:
    """Return the checks that do not apply to this answer."""
    if response.status_code == 422:
        problem = response.json()
        codes = {each["code"] for each in problem["errors"] if each["detail"] not in TOGETHER} | {problem["code"]}
        if codes - {"invalid"} <= BEYOND_SCHEMAS:
            return [positive_data_acceptance]
    if response.status_code == 412:
        # A valid ETag that is not the last one: no schema can tell.
        return [positive_data_acceptance]
    if response.status_code == 200 and response.request.url.endswith(("/results", "/tasks:batch")):
        # Each item of a batch is accepted or refused separately.
        results = response.json()["results"]
        if any(not each.get("accepted", True) or "error" in each for each in results):
            return [negative_data_rejection]
    return []


OPERATIONS = {found.ok().label: found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)}


@CALLS
def conforms_to_the_document(case: Any) -> None:
    write_body(case)
    use_each_key_once(case)

    response = case.call(headers={ADMIN: THERE.key}, session=CLIENT)

    case.validate_response(response, headers={ADMIN: THERE.key}, excluded_checks=answered_otherwise(response))


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_call_conforms_to_the_document(label: str) -> None:
    """Not with `schema.parametrize`: it generates the calls of all operations whenever the tests are collected."""
    test = build_operation_test(
        config=schema.config,
        operation=OPERATIONS[label],
        test_func=conforms_to_the_document,
        given_kwargs={},
        feedback=FeedbackSources(constants_value_source=make_constants_value_source(schema)),
    )

    test()

    left_out = (InvalidHeadersExampleMark, InvalidRegexMark, MissingPathParameters, NonSerializableMark)
    assert [mark for mark in (*left_out, UnsatisfiableExampleMark) if mark.is_set(test)] == []


class Sequences(schema.as_state_machine()):  # type: ignore[misc]  # made from the description when this is imported
    """Sequences of calls that use values of earlier answers, mostly ids."""

    def before_call(self, case: Any) -> None:
        write_body(case)
        use_each_key_once(case)

    def get_call_kwargs(self, case: Any) -> dict[str, Any]:
        return {"headers": {ADMIN: THERE.key}, "session": CLIENT}

    def validate_response(self, response: Any, case: Any, **_: Any) -> None:
        case.validate_response(response, headers={ADMIN: THERE.key}, excluded_checks=answered_otherwise(response))


Sequences.TestCase.settings = SEQUENCES


def test_sequences_of_calls_conform_to_the_document() -> None:
    # Ids in answers differ from run to run. When a sequence is repeated, they may lead the generator another way; it
    # then gives up, which says nothing of the server.
    for _ in range(3):
        with contextlib.suppress(FlakyStrategyDefinition):
            Sequences.TestCase().runTest()
            return
    raise AssertionError("the generator gave up three times")


def test_every_route_is_tested() -> None:
    declared = {(route.method, route.path_format) for route in ROUTES}
    tried = {tuple(label.split(" ", 1)) for label in OPERATIONS}

    write_count("routes_left_out", len(declared - tried))
    assert declared - tried == set()
