"""The application: finds the call that is meant, checks what was sent, lets its handler answer, and tells refusals.

Calls are plain ASGI endpoints inside a FastAPI application, with the OpenAPI document made from their declarations:
FastAPI's own reading of bodies is laxer than this API promises to be, and costs as much as the rest of a call.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from swarmkeeper.core import ids
from swarmkeeper.core.errors import Forbidden, Internal, MethodNotAllowed, Overloaded, SwarmkeeperError, TooLarge
from swarmkeeper.core.ports import StoreUnavailable
from swarmkeeper.http import auth, errors, limits
from swarmkeeper.http.calls import Call, Exchange, Reply
from swarmkeeper.http.content import Asked, Refusals, Sent, Understood, reports
from swarmkeeper.http.limits import ClientGone, HttpLimits
from swarmkeeper.http.openapi import document
from swarmkeeper.http.parts import Parts
from swarmkeeper.http.query import read_query
from swarmkeeper.http.reader import MIDDLE_BYTES, SHORT_BYTES, UNASKED_BYTES, read_here
from swarmkeeper.http.routes import approvals, bots, evidence, explain, keys, messages, ops, redaction, tasks, work
from swarmkeeper.service.calls import REQUEST
from swarmkeeper.service.quotas import DECODED_BYTES, decoded_bytes
from swarmkeeper.service.turns import COST_BYTES

__all__ = ["ALL_CALLS", "Api", "HttpLimits", "Parts", "create_app"]

# The hot ones first: the router tries one after the other.
ALL_CALLS: tuple[Call, ...] = (
    *work.calls,
    *tasks.calls,
    *explain.calls,
    *messages.calls,
    *approvals.calls,
    *bots.calls,
    *keys.calls,
    *evidence.calls,
    *redaction.calls,
    *ops.calls,
)

_PASSAGE = "swarmkeeper.passage"
# What is told depends on who asks and when: no cache between may keep it.
_NO_STORE = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
PIECE_BYTES = 256 << 10  # of a body are sent at once
UNWANTED_BYTES_MAX = 64 << 10  # after the body's end: more is no accident
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~-]{1,64}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_VERB = re.compile(r":[a-z]+$")


class IdConvertor(Convertor[str]):
    regex = "[a-z]{3}_[0-9A-Za-z]{1,64}"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class SubtaskConvertor(IdConvertor):
    """A subtask's key, or its id."""

    regex = "[a-z0-9][a-z0-9._-]{0,63}|[a-z]{3}_[0-9A-Za-z]{1,64}"


register_url_convertor("swarmkeeper_id", IdConvertor())
register_url_convertor("swarmkeeper_subtask", SubtaskConvertor())


class Passage:
    """What is the same for all that happens to one request."""

    __slots__ = ("began", "headers", "path", "request_id", "status", "trace")

    def __init__(self, parts: Parts, scope: Scope) -> None:
        self.began = parts.clock.monotonic()
        self.headers = _headers(scope)
        self.path = ""  # as declared, once it is found
        self.status = 0
        seed = parts.entropy.seed()
        asked = self.headers.get("x-request-id", "")
        # It comes back in answers and logs, so it must be an id, and nothing that a rule takes for a secret.
        if _REQUEST_ID.fullmatch(asked) and parts.rules.text(asked) == asked:
            self.request_id = asked
        else:
            self.request_id = ids.timed("req", parts.engine.now(), seed, "request")
        trace = self.headers.get("traceparent", "")
        if not _TRACEPARENT.fullmatch(trace):
            trace = f"00-{seed.hex()}-{ids.salt(seed)[:8].hex()}-01"
        self.trace = trace


class Api(FastAPI):
    """Never raises into the server, and says in every answer which request it belongs to."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(
            title="swarmkeeper",
            version=parts.version,
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
        )
        self.parts = parts
        self.root_path = parts.limits.root_path  # FastAPI has the argument of this name deprecated
        self.add_exception_handler(HTTPException, self._refused_by_framework)
        by_path: dict[str, dict[str, Call]] = {}
        for call in ALL_CALLS:
            by_path.setdefault(call.path, {})[call.method] = call
        self._direct = _Direct()
        # Verbs before plain ids; each path once, so that a wrong method is told which ones there are.
        for path in sorted(by_path, key=lambda path: _VERB.search(path) is None):
            endpoint = Endpoint(parts, path, by_path[path])
            route = Route(_pattern(path), endpoint, name=path)
            # Starlette ends a pattern with `$`, which also stands before a line end: `/tasks%0a` is another path.
            route.path_regex = re.compile(route.path_regex.pattern.removesuffix("$") + r"\Z")
            self.router.routes.append(route)
            self._direct.add(path, route.path_regex, endpoint)

    def openapi(self) -> dict[str, Any]:
        if not self.openapi_schema:
            self.openapi_schema = document(ALL_CALLS, self.parts.version)
        return self.openapi_schema

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        passage = scope[_PASSAGE] = Passage(self.parts, scope)
        before = REQUEST.get()
        REQUEST.set(passage.request_id)

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                passage.status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", passage.request_id.encode()),
                    (b"traceparent", passage.trace.encode()),
                    (b"api-version", b"1"),
                ]
            await send(message)

        endpoint = None if self.root_path or scope.get("root_path") else self._direct.find(scope)
        try:
            if endpoint is not None:
                scope["app"] = self
                await endpoint(scope, receive, stamped)
            else:
                await super().__call__(scope, receive, stamped)
        finally:
            REQUEST.set(before)  # of whoever calls in this process; `reset` fails where a closed loop ends this
            took = self.parts.clock.monotonic() - passage.began
            self.parts.answered(scope["method"], passage.path or "(none)", passage.status, took)

    async def _refused_by_framework(self, request: StarletteRequest, error: Exception) -> Response:
        assert isinstance(error, HTTPException), "it was registered for that"
        passage: Passage = request.scope[_PASSAGE]
        refusal = errors.from_framework(error)
        _note(self.parts, request.scope, refusal)
        told = errors.problem(refusal, passage.request_id, _base(self.parts, request.scope))
        return Response(
            errors.encode(told), errors.status_of(refusal), media_type=errors.PROBLEM_TYPE, headers=_no_store()
        )


def _note(parts: Parts, scope: Scope, refusal: SwarmkeeperError) -> None:
    """Take down for the log what was refused before anybody asked whose key it is."""
    passage: Passage = scope[_PASSAGE]
    parts.refusals.note(
        limits.source_of(scope, passage.headers, parts.limits),
        refusal.code,
        status=errors.status_of(refusal),
        method=scope["method"],
        path=passage.path or "(none)",
        detail=refusal.detail,
        request_id=passage.request_id,
    )


class Endpoint:
    """One path, with the calls that there are for it."""

    def __init__(self, parts: Parts, path: str, calls: Mapping[str, Call]) -> None:
        self.parts = parts
        self.path = path
        self.calls = {**calls, **({"HEAD": calls["GET"]} if "GET" in calls else {})}
        self.allow = ", ".join(sorted(self.calls))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        passage: Passage = scope[_PASSAGE]
        passage.path = self.path
        call = self.calls.get(scope["method"])
        if call is None:
            refusal = MethodNotAllowed("this path has other methods")
            _note(self.parts, scope, refusal)
            await self._refuse(scope, send, refusal, [("allow", self.allow)])
            return
        arrived = _Arrived(receive)
        exchange: Exchange[Any, Any] = Exchange(
            parts=self.parts,
            call=call,
            scope=scope,
            headers=passage.headers,
            path=scope.get("path_params", {}),
            request_id=passage.request_id,
            trace=passage.trace,
            base=_base(self.parts, scope),
            gone=arrived.gone,
            send=send,
        )
        try:
            await self._read(exchange, arrived)
            reply = await call.handler(exchange)
        except ClientGone:
            return
        except SwarmkeeperError as error:
            self._note(exchange, error)
            await self._refuse(scope, send, error, self._pace(exchange, error))
            # It stands in frames that it names itself, with all that was sent: a circle, which would be kept until the
            # garbage collector looks at what is old.
            error.__traceback__ = None
        except StoreUnavailable as error:
            self.parts.log("store_unavailable", error=str(error), request_id=passage.request_id)
            await self._refuse(scope, send, Overloaded("the store cannot be asked now", retry_after=1))
        except Exception as error:
            if passage.status:  # a stream that had begun: cutting it is all that can be told
                self.parts.log("stream_broken", path=self.path, error=repr(error), exception=error)
                raise
            self.parts.log("fault", what=f"{call.method} {self.path}", error=repr(error), exception=error)
            await self._refuse(scope, send, Internal("a fault of the orchestrator; it was logged"))
        else:
            if reply is not None:
                await _send(send, reply, head=scope["method"] == "HEAD")
        finally:
            exchange.let_go()

    async def _read(self, exchange: Exchange[Any, Any], arrived: _Arrived) -> None:
        """Who calls, then what they ask, then what they sent: a stranger's body is not even read."""
        call, parts = exchange.call, self.parts
        if not call.open:
            exchange.text = auth.credential(exchange.headers)
            source = limits.source_of(exchange.scope, exchange.headers, parts.limits)
            exchange.principal = await parts.identity.authenticate(exchange.text, source)
        exchange.take_query(read_query(call.query, exchange.scope["query_string"], exchange.safe))
        if call.body is None:
            if exchange.principal is not None:
                await parts.pace.turn(exchange.principal, call.cost)
            return
        if call.needs:
            auth.require(parts.rules, exchange.by, call.needs)
        limit = parts.limits.long_body_bytes_max if call.long_body else parts.limits.body_bytes_max
        raw = await limits.read_body(exchange.headers, arrived.receive, limit, hold=exchange.hold)
        if len(raw) > MIDDLE_BYTES:
            await self._await_turn(exchange, raw)
        sent = Sent(
            raw=raw,
            limit=limit,
            optional=call.body_optional,
            model=call.body,
            meaning=call.meaning,
            by=exchange.by,
            path=exchange.path,
            trace=exchange.trace,
            slice_rows=parts.engine.limits.slice_rows,
            idempotency=exchange.idempotency_key(),
        )
        exchange.long = len(raw) > SHORT_BYTES
        understood = await self._understand(exchange, sent)
        exchange.same = understood.idempotency
        if call.meaning is None:
            exchange.take_body(understood.value)
        else:
            exchange.meaning = understood.value

    async def _understand(self, exchange: Exchange[Any, Any], sent: Sent) -> Understood:
        """What was sent, read in this caller's turn: short ones here, the others where they hold up nobody."""
        parts, by = self.parts, exchange.by

        async def admit(asked: Asked) -> Refusals:
            if sent.meaning is reports:  # each is refused by itself
                return await parts.admission.of_each(by, asked.bot, asked.places)
            refused = await parts.admission.refusals(by, asked.bot, asked.places)
            if refused:
                raise refused[0]
            return {}

        if len(sent.raw) > SHORT_BYTES:
            return await parts.readers.read(sent, exchange.safe, admit)
        await parts.pace.turn(by, exchange.call.cost + len(sent.raw) // COST_BYTES)
        return await read_here(sent, exchange.safe, admit if len(sent.raw) > UNASKED_BYTES else None)

    def _pace(self, exchange: Exchange[Any, Any], error: SwarmkeeperError) -> Sequence[tuple[str, str]]:
        """How fast the caller may submit, where it has submitted too fast."""
        pace = self.parts.quotas.submissions
        if exchange.principal is None or not any(f"/{pace.limit}/" in pointer for pointer, *_ in error.details):
            return ()
        return pace.headers(exchange.principal)

    async def _await_turn(self, exchange: Exchange[Any, Any], raw: bytes) -> None:
        """Wait until the body may be decoded: what all callers have decoded at a time is bounded."""
        decoded = decoded_bytes(raw)
        if decoded > DECODED_BYTES:
            raise TooLarge(f"the body holds more values than {DECODED_BYTES >> 20} MiB of memory can")
        exchange.working = await self.parts.quotas.intake.begin(exchange.by.tenant, decoded)

    def _note(self, exchange: Exchange[Any, Any], error: SwarmkeeperError) -> None:
        exchange.refused(error)
        if isinstance(error, Forbidden) and exchange.principal is not None:
            self.parts.identity.refused(exchange.principal, error.code, exchange.call.action)
        if isinstance(error, Internal):
            cause = error.__cause__
            self.parts.log("internal", request_id=exchange.request_id, path=self.path, cause=repr(cause))

    async def _refuse(
        self, scope: Scope, send: Send, error: SwarmkeeperError, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        told = errors.problem(error, scope[_PASSAGE].request_id, _base(self.parts, scope))
        reply = Reply(told["status"], told, (*errors.headers_of(error), *headers), media_type=errors.PROBLEM_TYPE)
        await _send(send, reply, head=scope["method"] == "HEAD")


class _Direct:
    """Finds the endpoint of a path without the framework's layers, which cost more than most calls and do nothing for
    them: an endpoint answers for its own errors. What is not found here takes the long way, and is refused there.
    """

    def __init__(self) -> None:
        self._plain: dict[str, Endpoint] = {}
        self._with_ids: dict[tuple[str, int], list[tuple[re.Pattern[str], Endpoint]]] = {}

    def add(self, path: str, pattern: re.Pattern[str], endpoint: Endpoint) -> None:
        if "{" in path:
            self._with_ids.setdefault(_shape(path), []).append((pattern, endpoint))
        else:
            self._plain[path] = endpoint

    def find(self, scope: Scope) -> Endpoint | None:
        path = scope["path"]
        if (endpoint := self._plain.get(path)) is not None:
            return endpoint
        for pattern, endpoint in self._with_ids.get(_shape(path), ()):
            if (match := pattern.match(path)) is not None:
                scope["path_params"] = match.groupdict()
                return endpoint
        return None


def _shape(path: str) -> tuple[str, int]:
    """What paths of one pattern have in common: the first segment, and how many there are."""
    return path[1 : path.find("/", 1)], path.count("/")


class _Arrived:
    """The messages of one request; after the body, the only one that comes is that the caller hung up."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._over = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._over = message["type"] == "http.disconnect"
        return message

    async def gone(self) -> None:
        """Return when the caller has hung up; one that goes on sending what nobody asked for is as good as gone."""
        unwanted = 0
        while not self._over and unwanted <= UNWANTED_BYTES_MAX:
            unwanted += len((await self.receive()).get("body", b""))


async def _send(send: Send, reply: Reply, *, head: bool = False) -> None:
    if reply.body is None:
        body = b""
    else:
        body = reply.body if isinstance(reply.body, bytes) else errors.encode(reply.body)
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    if not any(name == b"cache-control" for name, _ in headers):
        headers += _NO_STORE
    if reply.body is not None:
        headers.append((b"content-type", reply.media_type.encode("latin-1")))
    if reply.status not in (204, 304):
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    body = b"" if head else body
    for begin in range(0, len(body) - PIECE_BYTES, PIECE_BYTES):
        # Whoever reads slowly waits for their own next piece, and others are answered between two of them.
        await send({"type": "http.response.body", "body": body[begin : begin + PIECE_BYTES], "more_body": True})
        await asyncio.sleep(0)
    rest = max(0, -(-len(body) // PIECE_BYTES) - 1) * PIECE_BYTES
    await send({"type": "http.response.body", "body": body[rest:]})


def _no_store() -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in _NO_STORE}


def _headers(scope: Scope) -> dict[str, str]:
    """By name in lower case; of several with one name all, as RFC 9110 joins them."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _base(parts: Parts, scope: Scope) -> str:
    public: str = parts.limits.public_url or scope.get("root_path", "")
    return public.rstrip("/")


def _pattern(path: str) -> str:
    """A declared path as the router takes it."""
    return re.sub(
        r"\{(\w+)\}",
        lambda match: f"{{{match[1]}:swarmkeeper_{'subtask' if match[1] == 'subtask' else 'id'}}}",
        path,
    )


def create_app(parts: Parts) -> FastAPI:
    """The application. It starts and stops nothing: whoever made the parts does."""
    return Api(parts)
