"""Hot routes bypass the framework's layers and answer the same as through them."""

import re
from collections.abc import AsyncIterator

import pytest
from starlette.types import Message

from swarmkeeper.app import Orchestrator
from swarmkeeper.http.app import ROUTES
from swarmkeeper.http.middleware import HotRoutes
from swarmkeeper.http.routing import HotRoute
from swarmkeeper.settings import Settings

SAMPLES = {"subtask": "a-key"}
HOT = {
    "POST /leases",
    "POST /results",
    "POST /tasks",
    "POST /tasks/{task_id}/results",
    "POST /bots/{bot_id}:heartbeat",
    "GET /tasks/{task_id}",
}


TABLE = HotRoutes([route for route in ROUTES if isinstance(route, HotRoute)])


@pytest.fixture
async def swarm() -> AsyncIterator[Orchestrator]:
    async with Orchestrator(Settings(store="sqlite://:memory:", log_level="error")) as started:
        yield started


def sample(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda name: SAMPLES.get(name[1], "abc_0123"), path)


def test_only_hot_routes_are_found_in_the_table() -> None:
    for route in ROUTES:
        scope = {"path": sample(route.path_format), "method": route.method}
        found = TABLE.find(scope)

        assert (found is route) == (f"{route.method} {route.path_format}" in HOT)
        if found is not None:
            assert len(scope.get("path_params", {})) == route.path_format.count("{")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path",
    [
        *("", "/nothing", "/tasks/", "/tasks/tsk_1/", "/tasks//results", "/tasks/x/results", "/leases/lse_1:drop"),
        *("/leases\n", "/tasks/tsk_1\n", "/tasks/tsk_1/results\n"),
    ],
)
def test_other_paths_are_not_found_in_the_table(method: str, path: str) -> None:
    assert TABLE.find({"path": path, "method": method}) is None


@pytest.mark.parametrize("path", ["/readyz", "/tasks/tsk_1"])
async def test_calls_below_a_root_path_get_the_same_answers(swarm: Orchestrator, path: str) -> None:
    key = await swarm.make_key("client")
    answers = []
    for root in ("", "/swarm"):
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message, sent: list[Message] = sent) -> None:
            sent.append(message)

        headers = [(b"x-api-key", key.encode()), (b"x-request-id", b"mine")]
        scope = {
            "type": "http",
            "method": "GET",
            "path": root + path,
            "root_path": root,
            "query_string": b"",
            "headers": headers,
        }
        await swarm.app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent)
        answers.append((sent[0]["status"], body.replace(b'"/swarm/docs', b'"/docs')))

    assert answers[0] == answers[1]
    assert answers[0][0] == (200 if path == "/readyz" else 404)
