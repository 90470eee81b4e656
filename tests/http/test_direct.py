"""Calls are found without the framework's layers, and come to the same there as through them."""

import re
from collections.abc import AsyncIterator

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.http.api import ALL_CALLS, Api
from swarmkeeper.settings import Settings

SAMPLES = {"subtask": "a-key"}


@pytest.fixture
async def swarm() -> AsyncIterator[Orchestrator]:
    async with Orchestrator(Settings(store="sqlite://:memory:", log_level="error")) as started:
        yield started


def sample(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda name: SAMPLES.get(name[1], "abc_0123"), path)


async def test_every_call_is_found_directly(swarm: Orchestrator) -> None:
    app = swarm.app
    assert isinstance(app, Api)

    for call in ALL_CALLS:
        scope = {"path": sample(call.path)}
        endpoint = app._direct.find(scope)

        assert endpoint is not None
        assert endpoint.path == call.path
        assert len(scope.get("path_params", {})) == call.path.count("{")


@pytest.mark.parametrize(
    "path",
    ["", "/nothing", "/tasks/", "/tasks/tsk_1/", "/tasks//results", "/tasks/x/results", "/leases/lse_1:drop"],
)
async def test_what_is_no_call_is_not_found(swarm: Orchestrator, path: str) -> None:
    app = swarm.app
    assert isinstance(app, Api)

    assert app._direct.find({"path": path}) is None


async def test_below_a_root_path_calls_answer_as_they_do_without_one(swarm: Orchestrator) -> None:
    answers = []
    for root, path in (("", "/readyz"), ("/swarm", "/swarm/readyz")):
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, object], sent: list[dict[str, object]] = sent) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": path, "root_path": root, "query_string": b"", "headers": []}
        await swarm.app(scope, receive, send)  # type: ignore[arg-type]  # plain dicts, as a server sends them
        answers.append([(message.get("status"), message.get("body")) for message in sent])

    assert answers[0] == answers[1]
    assert answers[0][0][0] == 200
