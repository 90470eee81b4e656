"""The short way of hot routes answers byte for byte like the ordinary way through FastAPI.

Two orchestrators with the same clock and entropy get the same requests, one after another: one answers hot routes as it
does in service, the other answers them as ordinary routes. So ids and times are the same, too.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import request_response
from starlette.types import Message

from swarmkeeper.http.app import ROUTES
from swarmkeeper.http.middleware import HotRoutes, RequestContext
from swarmkeeper.http.routing import HotRoute, StrictRoute
from tests.http.town import Town, town

Json = Any
Headers = list[tuple[bytes, bytes]]
JSON_TYPE = (b"content-type", b"application/json")
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass(frozen=True)
class Request:
    """A request, with names in braces for what differs between places: `{task}`, `{bot}`, `{lease}`."""

    method: str
    path: str
    body: bytes = b""
    by: str = "client"  # whose key is sent; empty: none
    headers: tuple[tuple[bytes, bytes], ...] = (JSON_TYPE,)
    pieces: int = 1  # in which the body arrives


@dataclass(frozen=True)
class Place:
    """An orchestrator with a task that a bot works on."""

    town: Town
    keys: dict[str, str]
    names: dict[str, str]

    def fill(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace("{" + name + "}", value)
        return text

    def answer(self, request: Request) -> tuple[list[Message], int]:
        """Return the messages of the response, and how many parts of the body were read."""
        body = self.fill(request.body.decode("latin-1")).encode("latin-1")
        size = max(1, -(-len(body) // request.pieces))
        parts = [body[begin : begin + size] for begin in range(0, len(body), size)] or [b""]
        sent: list[Message] = []
        asked = 0

        async def receive() -> Message:
            nonlocal asked
            if not parts:
                await asyncio.Event().wait()
            asked += 1
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        async def send(message: Message) -> None:
            sent.append(dict(message, headers=list(message["headers"])) if "headers" in message else message)

        path, _, query = self.fill(request.path).partition("?")
        key = self.keys.get(request.by)
        headers: Headers = [(name, self.fill(value.decode()).encode()) for name, value in request.headers]
        if key is not None:
            headers.append((b"x-api-key", key.encode()))
        headers.append((b"content-length", b"%d" % len(body)))
        scope = {
            "type": "http",
            "method": request.method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "http_version": "1.1",
            "headers": headers,
            "client": ("127.0.0.1", 4711),
        }
        self.town.run(self.town.swarm.app(scope, receive, send))
        self.town.advance(0.01)  # so that the engine has nothing left to do
        return sent, asked


def place(new: Town) -> Place:
    bot = new.bot("EXECUTOR", "worker")
    other = new.bot("EXECUTOR", "other")
    task = new.submit(["one", "two", "three"])
    new.advance(0.01)
    lease = bot.take()
    second = new.submit()
    new.advance(0.01)
    persons = {"client": new.client, "approver": new.approver, "admin": new.admin, "bot": bot.person}
    keys = {name: str(person.caller.key) for name, person in persons.items()}
    names = {
        "task": task,
        "planning": second,
        "bot": bot.id,
        "other": other.id,
        "lease": lease["lease_id"],
        "key": keys["client"],
    }
    return Place(new, keys, names)


def without_threads(dependant: Dependant) -> Dependant:
    """Return a copy without plain functions, which FastAPI runs on threads: virtual time would pass meanwhile."""

    async def nothing(**given: Any) -> None: ...

    call = dependant.call
    if inspect.isfunction(call) and not inspect.iscoroutinefunction(call):
        call = nothing  # it only describes parameters
    return replace(dependant, call=call, dependencies=[without_threads(each) for each in dependant.dependencies])


def answer_as_ordinary(new: Town) -> None:
    """Answer hot routes through all of FastAPI, with its own request handling."""
    app = new.swarm.app
    ordinary = []
    for route in ROUTES:
        if isinstance(route, HotRoute):
            route = copy(route)
            route.dependant = without_threads(route.dependant)
            route.app = request_response(StrictRoute.get_route_handler(route))
        ordinary.append(route)
    app.router.routes[:] = ordinary
    app.middleware_stack = RequestContext(app.build_middleware_stack(), app.state.services)


@pytest.fixture
def places() -> Iterator[tuple[Place, Place]]:
    with ExitStack() as stack:
        short, ordinary = (place(stack.enter_context(town())) for _ in range(2))
        answer_as_ordinary(ordinary.town)
        yield short, ordinary


# ---- the requests --------------------------------------------------------------------------------------------------


def dumped(body: Json) -> bytes:
    return json.dumps(body).encode()


TASK: Json = {"title": "t", "description": "d", "input": {"n": 1}}
REPORT: Json = {"bot_id": "{bot}", "lease_id": "{lease}", "status": "succeeded", "output": {"n": 1}}
BATCH: Json = {"bot_id": "{bot}", "results": [{"task_id": "{task}", **REPORT}]}
BATCH["results"][0].pop("bot_id")
CLAIM: Json = {"bot_id": "{bot}", "max": 1, "wait_seconds": 0}
BEAT: Json = {"leases": [{"lease_id": "{lease}", "progress": {"percent": 5, "text": "on it"}}]}
GOOD: list[tuple[str, str, Json]] = [
    ("client", "/tasks", TASK),
    ("bot", "/leases", CLAIM),
    ("bot", "/bots/{bot}:heartbeat", BEAT),
    ("bot", "/tasks/{task}/results", REPORT),
    ("bot", "/results", BATCH),
]


def without(body: Json, name: str) -> Json:
    return {key: value for key, value in body.items() if key != name}


def bodies(good: Json) -> Iterator[bytes]:
    """Yield the good body, written in several ways, and bodies with one thing wrong."""
    raw = dumped(good)
    yield raw
    yield json.dumps(good, separators=(",", ":")).encode()
    yield json.dumps(good, indent=3, sort_keys=True).encode()
    yield b"\xef\xbb\xbf" + raw  # a byte order mark
    yield from (b"", b" ", b"null", b"[]", b"7", b'"text"', b"{", b"{}", b"{} {}", raw + b"x", raw[:-1], b"\xff\xfe{}")
    for name, value in good.items():
        yield dumped(without(good, name))
        for wrong in (None, True, -1, 1.5, 10**6, "", "\u20ac", "a b", "x" * 3000, [], [7], {}, {"k": [1]}):
            yield dumped({**good, name: wrong})
        first = json.dumps({name: value})[:-1].encode()
        yield first + b"," + raw[1:]  # a repeated name
    begin = raw[:-1]
    yield dumped({**good, "unknown": 1, "another/one~": {"deep": []}})
    yield dumped({**good, "A" * 300: 1})
    numbers = (
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"9007199254740993",
        b"-9007199254740993",
        b"1e999",
        b"1" * 400,
        b"01",
    )
    for number in (*numbers, b"1e3", b"-0", b"1.0", b"+1", b".5"):
        yield begin + b',"output":{"n":' + number + b"}}"
        yield begin + b',"max":' + number + b"}"
    for text in (
        b"\\ud800",
        b"\\udc00\\ud800",
        b"\\ud83d\\ude00",
        b"\\u0000",
        b"\\x",
        b"\xc3\x28",
        b"\x00",
        b"\t",
        b"\\n",
    ):
        yield begin + b',"title":"' + text + b'"}'
        yield begin + b',"' + text + b'":1}'
    for depth in (63, 64, 65, 5000):
        yield begin + b',"input":' + b"[" * depth + b"]" * depth + b"}"
    yield begin + b',"input":{"a":1,"a":2}}'


def requests_with_bodies() -> Iterator[Request]:
    for by, path, good in GOOD:
        for body in bodies(good):
            yield Request("POST", path, body, by)


def variants() -> Iterator[Request]:
    """Yield good bodies with other callers, headers, methods, queries and paths."""
    for by, path, good in GOOD:
        raw = dumped(good)
        for other in ("", "client", "approver", "admin", "bot"):
            yield Request("POST", path, raw, other)
        kinds = (
            b"text/plain",
            b"application/json; charset=utf-8",
            b"application/json; charset=latin-1",
            b"",
            b"APPLICATION/JSON",
        )
        for kind in (*kinds, b"application/json;", b"application/problem+json", b"multipart/form-data; boundary=x"):
            yield Request("POST", path, raw, by, ((b"content-type", kind),))
        yield Request("POST", path, raw, by, ())
        for name, value in (
            *((b"content-encoding", b"gzip"), (b"content-encoding", b"identity"), (b"accept", b"text/html")),
            *((b"x-request-id", b"mine"), (b"x-request-id", b"not valid"), (b"x-request-id", b"x" * 65)),
            *((b"traceparent", TRACE), (b"traceparent", TRACE.upper()), (b"traceparent", b"00-" + b"0" * 32)),
            *((b"idempotency-key", b"same"), (b"idempotency-key", b"same"), (b"idempotency-key", b"a b")),
            *(
                (b"idempotency-key", b""),
                (b"idempotency-key", b"x" * 256),
                (b"bot-process", b"one"),
                (b"bot-process", b"two"),
            ),
            *(
                (b"authorization", b"Bearer nonsense"),
                (b"authorization", b"Basic eDp5"),
                (b"x-forwarded-for", b"10.0.0.1"),
            ),
            *((b"if-none-match", b'"1"'), (b"expect", b"100-continue"), (b"x-http-method-override", b"DELETE")),
        ):
            yield Request("POST", path, raw, by, (JSON_TYPE, (name, value)))
        twice = (b"authorization", b"Bearer {key}")
        yield Request("POST", path, raw, "", (JSON_TYPE, twice))
        yield Request("POST", path, raw, "", (JSON_TYPE, twice, twice))
        yield Request("POST", path, raw, by, (JSON_TYPE, twice))
        yield Request("POST", path, raw, by, (JSON_TYPE, (b"x-api-key", b"{key}")))
        yield Request("POST", path, raw, by, pieces=3)
        yield Request("POST", path, raw, by, pieces=len(raw))
        for query in ("?", "?a=1", "?a=1&a=2", "?wait_seconds=1", "?%ff=1", "?=", "?&&"):
            yield Request("POST", path + query, raw, by)
        yield from elsewhere(path, raw, by)


def elsewhere(path: str, raw: bytes, by: str) -> Iterator[Request]:
    """Yield requests with other methods, and with paths that resemble this one."""
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "post", ""):
        yield Request(method, path, raw, by)
    endings = ("/", "\n", "%0a", ":", "/..", " ", "?", "/results", ":heartbeat")
    for changed in (*(path + ending for ending in endings), "/" + path, path.upper(), path[:-1], "//"):
        yield Request("POST", changed, raw, by)
    yield Request("POST", path.replace("{task}", "tsk_unknown").replace("{bot}", "bot_unknown"), raw, by)
    yield Request("POST", path.replace("{task}", "{bot}").replace("{bot}", "{task}"), raw, by)
    yield Request("POST", path.replace("{bot}", "{other}"), raw, by)
    yield Request("POST", path.replace("{task}", "x").replace("{bot}", "x/y"), raw, by)


def reads() -> Iterator[Request]:
    paths = ("/tasks/{task}", "/tasks/{planning}", "/tasks/tsk_unknown", "/tasks/x", "/tasks/{bot}")
    queries = ("", "?explain=true", "?explain=maybe", "?until=change", "?until=never", "?unknown=1", "?%ff")
    waits = ("0", "-1", "1e9", "x", "%00", "1&wait_seconds=2", "0.2", "0.2&until=change", "NaN")
    for path in paths:
        for query in (*queries, *(f"?wait_seconds={seconds}" for seconds in waits)):
            yield Request("GET", path + query, headers=())
        for tag in (b'"1"', b'"1", "2", "3", "4"', b'W/"2"', b"*", b"x", b'"' + b"9" * 30 + b'"'):
            for query in ("", "?explain=true", "?wait_seconds=0.1&until=change"):
                yield Request("GET", path + query, headers=((b"if-none-match", tag),))
        for by in ("", "approver", "admin", "bot"):
            yield Request("GET", path, by=by, headers=())
        yield Request("GET", path, b"an unwanted body", headers=())
        yield Request("GET", path, headers=((b"x-request-id", b"mine"), (b"traceparent", TRACE)))
        yield from elsewhere(path, b"", "client")


def long_bodies() -> Iterator[Request]:
    for by, path, good in GOOD:
        for size in (1_000, 5_000, 70_000, 1_100_000, 17_000_000):
            yield Request("POST", path, dumped({**good, "output": "x" * size}), by)
        yield Request(
            "POST", path, dumped({**good, "description": "y" * 5_000, "metadata": {"k": ["z" * 900] * 9}}), by
        )
        yield Request("POST", path, dumped({**good, "input": [{}] * 600_000}), by)


def shown(messages: list[Message]) -> list[Message]:
    """Join the pieces of the body."""
    body = b"".join(message.get("body", b"") for message in messages[1:])
    return [*messages[:1], {"body": body}]


@pytest.mark.parametrize("requests", [requests_with_bodies, variants, reads, long_bodies])
def test_both_ways_answer_the_same(places: tuple[Place, Place], requests: Callable[[], Iterator[Request]]) -> None:
    short, ordinary = places
    seen = set()
    for request in requests():
        mine, asked = short.answer(request)
        theirs, asked_there = ordinary.answer(request)

        assert shown(mine) == shown(theirs), request
        assert asked == asked_there, request
        seen.add(mine[0]["status"])

    assert 500 not in seen
    assert len(seen) >= 5, f"these requests are too much alike: {seen}"


def test_the_short_way_is_taken(places: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[HotRoute | None] = []
    find = HotRoutes.find

    def noted(self: HotRoutes, scope: Any) -> HotRoute | None:
        found.append(find(self, scope))
        return found[-1]

    monkeypatch.setattr(HotRoutes, "find", noted)
    for number, at in enumerate(places):
        found.clear()
        for by, path, good in GOOD:
            at.answer(Request("POST", path, dumped(good), by))
        at.answer(Request("GET", "/tasks/{task}"))

        assert [route is not None for route in found] == [number == 0] * 6
