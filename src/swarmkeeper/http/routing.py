"""`StrictRoute`: a FastAPI route that authenticates the caller before it reads the body, and validates strictly.

FastAPI reads the body before it runs dependencies, so it would read bodies of unauthenticated callers. `StrictRoute`
does the following first, in this order, and then runs FastAPI on the results:

1. Authenticates the caller (not on an `OpenRoute`).
2. Checks the query: no unknown or repeated names, strict values.
3. Checks the permission, if the route names one with `Permission`.
4. Reads the body within its bounds, in the caller's fair turn.
5. Parses it once as strict JSON and checks it against its model; long bodies in a helper process.

The query and body models come from the endpoint's signature, which FastAPI also uses for the OpenAPI description.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_dependant
from fastapi.routing import APIRoute
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from swarmkeeper.access.quotas import DECODED_BYTES, decoded_bytes
from swarmkeeper.access.request_turns import COST_BYTES
from swarmkeeper.core import errors
from swarmkeeper.core.decide.effects.owners import OF_ONE_TASK
from swarmkeeper.core.errors import SwarmkeeperError, TooLarge
from swarmkeeper.core.ports import StoreUnavailable
from swarmkeeper.http.dependencies import BodyOf, Call, Permission, get_idempotency, get_principal, require
from swarmkeeper.http.errors import CALL
from swarmkeeper.http.exception_handlers import refuse, refuse_unavailable
from swarmkeeper.http.intake import limits
from swarmkeeper.http.intake.content import (
    ParsedBody,
    ReceivedBody,
    RefusedResults,
    ReportHead,
    Translator,
    parse_body,
    reports,
)
from swarmkeeper.http.intake.reader import MIDDLE_BYTES, SHORT_BYTES, UNCHECKED_BYTES, read_inline
from swarmkeeper.http.openapi import EVERY_ROUTE, SUCCESS_WORDS, Responses, describe_refusals, refusals_of
from swarmkeeper.http.queries import NoQuery, Query, read_query
from swarmkeeper.wire.shapes import Request as RequestModel


class IdConvertor(StringConvertor):
    regex = "[a-z]{3}_[0-9A-Za-z]{1,64}"


class SubtaskConvertor(StringConvertor):
    """Matches a subtask's key or id."""

    regex = "[a-z0-9][a-z0-9._-]{0,63}|[a-z]{3}_[0-9A-Za-z]{1,64}"


# For paths such as `/tasks/{task_id:id}`: a malformed id does not match the route, so the answer is 404.
register_url_convertor("id", IdConvertor())
register_url_convertor("subtask", SubtaskConvertor())


class StrictRoute(APIRoute):
    """A strict route; see the module docstring.

    The endpoint's docstring becomes the summary and the description, its name the operation id.
    """

    open = False  # True: a key is not required

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        summary, _, rest = inspect.cleandoc(endpoint.__doc__ or "").partition("\n")
        declared: Responses = options["responses"] or {}
        if not self.open:  # describes the key; `admit` authenticates the caller
            options["dependencies"] = [Depends(get_principal), *(options["dependencies"] or ())]
        super().__init__(
            path,
            endpoint,
            **options
            | {
                "summary": summary.rstrip("."),
                # FastAPI cuts the description at a form feed; without one it would repeat the summary.
                "description": " ".join(rest.split()) or "\f",
                "operation_id": endpoint.__name__,
                "responses": {status: response for status, response in declared.items() if status != "refusals"},
                "response_description": SUCCESS_WORDS[options["status_code"] or 200],
            },
        )
        [self.method] = sorted(self.methods or ())
        self._begins = path.partition("{")[0]
        depended = list(_flat(self.dependant))
        self.idempotent = any(dependant.call is get_idempotency for dependant in depended)
        self.query_model: type[Query] = _one_model(depended, "query_params", Query) or NoQuery
        self.body_model = _one_model(depended, "body_params", RequestModel)
        self.body_optional = self.body_field is not None and not self.body_field.field_info.is_required()
        self.translator: Translator | None = next(
            (dependant.call.translator for dependant in depended if isinstance(dependant.call, BodyOf)), None
        )
        self.needs = next(
            (dependant.call.action for dependant in depended if isinstance(dependant.call, Permission)), ""
        )
        self.refusals = frozenset(self._refusals(declared))
        describe_refusals(self)

    def _refusals(self, declared: Responses) -> Iterator[type[SwarmkeeperError]]:
        """Yield every error that this route may answer with."""
        yield from EVERY_ROUTE
        yield from refusals_of(declared)
        if not self.open:
            yield from (errors.AuthenticationFailed, errors.PermissionDenied, errors.RateLimited)
        if self.body_model is not None:
            yield from (errors.TooLarge, errors.UnsupportedMediaType)
        if self.param_convertors:
            yield errors.ResourceNotFound
        if self.idempotent:
            yield errors.IdempotencyKeyReused

    # ---- matching --------------------------------------------------------------------------------------------------

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path: str = scope["path"]
        # Most routes can be ruled out by the fixed beginning of their path, which is cheap to compare.
        if not path.startswith(self._begins) and not scope.get("root_path"):
            return Match.NONE, {}
        # Starlette ends its patterns with `$`, which also matches before a final newline: refuse `/tasks%0a`.
        if path.endswith("\n"):
            return Match.NONE, {}
        return super().matches(scope)

    # ---- before FastAPI --------------------------------------------------------------------------------------------

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        # FastAPI describes query, body and caller from the signature, but would read the body first. So the endpoint
        # gets what `admit` has read. It also saves 0.1 ms, as FastAPI does not validate a second time.
        described = self.dependant, self.body_field
        self.dependant, self.body_field = _without_query_and_body(self.dependant), None
        handle = super().get_route_handler()
        self.dependant, self.body_field = described

        async def handler(request: Request) -> Response:
            await self.admit(request.scope[CALL])
            return await handle(request)

        return handler

    async def admit(self, call: Call) -> None:
        """Run the checks of the module docstring, and set the call's principal, query and body.

        Raises:
            SwarmkeeperError: the call is refused.
            ClientDisconnected: the caller disconnected while the body was read.
        """
        call.method, call.path = self.method, self.path_format
        if not self.open:
            await call.authenticate()
            _check_bounds(call)
        call.query = read_query(self.query_model, call.scope["query_string"], call.safe)
        if self.body_model is None:
            if call.principal is not None and not call.services.pace.at_once(call.principal):
                await call.services.pace.turn(call.principal)
            return
        if self.needs:
            require(call.services.rules, call.by, self.needs)
        await self._read(call, self.body_model)

    async def _read(self, call: Call, model: type[RequestModel]) -> None:
        bounds = call.services.limits
        limit = bounds.body_bytes_max if self.translator is None else bounds.long_body_bytes_max
        limit = max(limit, model.longest_bytes)
        raw = await limits.read_body(call.headers, call.receive, limit, hold=call.hold)
        if len(raw) > MIDDLE_BYTES:
            await self._await_room(call, raw)
        received = ReceivedBody(
            raw=raw,
            limit=limit,
            optional=self.body_optional,
            model=model,
            translator=self.translator,
            by=call.by,
            path=call.path_params,
            trace=call.trace,
            slice_rows=call.services.engine.limits.slice_rows,
            idempotency=call.idempotency_key() if self.idempotent else None,
        )
        call.long = len(raw) > SHORT_BYTES
        parsed = await self._parse(call, received)
        call.body, call.idempotency = parsed.value, parsed.idempotency

    async def _await_room(self, call: Call, raw: bytes) -> None:
        """Wait until the body may be decoded: the memory for decoded bodies is bounded."""
        decoded = decoded_bytes(raw)
        if decoded > DECODED_BYTES:
            raise TooLarge(f"the body has more values than fit into {DECODED_BYTES >> 20} MiB of memory")
        await call.work_on(decoded)

    async def _parse(self, call: Call, received: ReceivedBody) -> ParsedBody:
        """Parse and check the body in the caller's turn: short bodies here, others in a helper process."""
        services, by = call.services, call.by

        async def check_leases(head: ReportHead) -> RefusedResults:
            if received.translator is reports:  # each result is refused on its own
                return await services.admission.of_each(by, head.bot, head.references)
            refused = await services.admission.refusals(by, head.bot, head.references)
            if refused:
                raise refused[0]
            return {}

        if len(received.raw) > SHORT_BYTES:
            return await services.readers.read(received, call.safe, check_leases)
        cost = 1 + len(received.raw) // COST_BYTES
        if not services.pace.at_once(by, cost):
            await services.pace.turn(by, cost)
        if len(received.raw) <= UNCHECKED_BYTES:
            return parse_body(received, call.safe)
        return await read_inline(received, call.safe, check_leases)


# What a token for one task may call besides the routes of its task. Which lease such a call is about is checked where
# it is decided.
_OF_BOT_OR_LEASE = frozenset(
    {
        *("/leases", "/leases/{lease_id}:release", "/leases/{lease_id}:ask", "/leases/{lease_id}/secrets:resolve"),
        *("/results", "/bots/register", "/bots/{bot_id}:heartbeat", "/token"),
    }
)


def _check_bounds(call: Call) -> None:
    """Check that a token for one task calls only what belongs to it.

    Raises:
        ResourceNotFound: it names another task, whether there is one or not.
        PermissionDenied: the route is not of one task.
    """
    only = None if call.by.token is None else call.by.token.task
    if only is None:
        return
    if "task_id" in call.path_params:
        if call.path_params["task_id"] != only:
            raise errors.ResourceNotFound("no such task")
    elif call.path not in _OF_BOT_OR_LEASE:
        raise errors.PermissionDenied(OF_ONE_TASK)


class OpenRoute(StrictRoute):
    """A route that needs no key."""

    open = True


class HotRoute(StrictRoute):
    """A route of hot.py: FastAPI describes it, but its endpoint runs without FastAPI's request handling."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        async def handler(request: Request) -> Response:
            return await self.respond(request.scope[CALL])

        return handler

    async def respond(self, call: Call) -> Response:
        """Check the request, run the endpoint, and return its response, also of a refusal."""
        try:
            await self.admit(call)
            response: Response = await self.endpoint(call)
        except SwarmkeeperError as error:
            return refuse(call, error)
        except StoreUnavailable as error:
            return refuse_unavailable(call, error)
        return response


def _from_call(attribute: str) -> Callable[[Request], Coroutine[Any, Any, Any]]:
    async def get(request: Request) -> Any:
        return getattr(request.scope[CALL], attribute)

    return get


def _without_query_and_body(dependant: Dependant) -> Dependant:
    """Return a copy that takes query, body and caller from the `Call`, where `admit` has put them."""

    def taken(name: str | None, attribute: str) -> Dependant:
        return get_dependant(path=dependant.path or "", call=_from_call(attribute), name=name)

    dependencies = [
        taken(each.name, "by") if each.call is get_principal else _without_query_and_body(each)
        for each in dependant.dependencies
    ]
    dependencies += [taken(param.name, "query") for param in dependant.query_params]
    dependencies += [taken(param.name, "body") for param in dependant.body_params]
    return replace(dependant, query_params=[], body_params=[], dependencies=dependencies)


Model = TypeVar("Model")


def _flat(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for dependency in dependant.dependencies:
        yield from _flat(dependency)


def _one_model(depended: list[Dependant], kind: str, base: type[Model]) -> type[Model] | None:
    """Return the route's query model or body model; None if it has none."""
    found = {field.field_info.annotation for dependant in depended for field in getattr(dependant, kind)}
    assert len(found) <= 1, "a route has at most one query model and one body model"
    model = next(iter(found), None)
    assert model is None or issubclass(model, base), f"{model} is not a {base.__name__}"
    return model
