"""How a call of the API is declared, and what its handler is given and gives back.

A declaration is the only description of a call: the router, the checks of what is sent, and the OpenAPI document are
all made from it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel
from starlette.types import Scope, Send

from swarmkeeper.core.errors import Internal, Invalid, SwarmkeeperError
from swarmkeeper.core.model import Json, Principal
from swarmkeeper.core.ports import StoreUnavailable
from swarmkeeper.http import errors, limits
from swarmkeeper.http.content import Meaning
from swarmkeeper.http.parts import Parts
from swarmkeeper.http.query import NoQuery, Query
from swarmkeeper.service.looking import Reads
from swarmkeeper.wire.shapes import Request

Method = Literal["GET", "POST", "PATCH", "DELETE"]
Body = TypeVar("Body", bound=Request)
Asked = TypeVar("Asked", bound=Query)
Told = TypeVar("Told")

# Visible ASCII, as RFC 9110 has it for a token's neighbours; longer ones would only fill the store.
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class Nothing(Request):
    """A body that says nothing."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `body` is what JSON can hold, bytes as they are, or None for none."""

    status: int
    body: Json = None
    headers: tuple[tuple[str, str], ...] = ()
    media_type: str = "application/json"


@dataclass(slots=True)
class Exchange(Generic[Body, Asked]):
    """One call being answered."""

    parts: Parts
    call: Call
    scope: Scope
    headers: Mapping[str, str]  # names in lower case
    path: Mapping[str, str]
    request_id: str
    trace: str
    base: str  # what stands before every path, as the caller sees it
    gone: Callable[[], Coroutine[Any, Any, None]]  # returns when the caller has hung up
    send: Send  # for a handler that streams
    principal: Principal | None = None
    text: str | None = None  # the key's, as it was shown
    meaning: Any = None  # what the body means, where the call says what makes that of it
    long: bool = False  # the body is so long that more than to read it takes a while, too
    same: tuple[str, str] | None = None  # the caller's idempotency key, and the hash of what was asked under it
    held: int = 0  # bytes of the body that its key is counted for; see service/quotas.py
    working: int = 0  # what the decoded body is counted for
    _body: Body | None = None
    _query: Asked | None = None

    @property
    def by(self) -> Principal:
        assert self.principal is not None, "a call that needs nobody's key asks for nobody"
        return self.principal

    @property
    def body(self) -> Body:
        assert self._body is not None, "a call without a body reads none"
        return self._body

    @property
    def query(self) -> Asked:
        assert self._query is not None, "every call has a query, if an empty one"
        return self._query

    def take_body(self, body: Body) -> None:
        self._body = body

    def take_query(self, query: Asked) -> None:
        self._query = query

    def hold(self, number: int) -> None:
        """Count so many bytes of the body for the caller.

        Raises:
            RateLimited, Overloaded: the caller, or all callers, hold too many already.
        """
        self.parts.quotas.intake.take(self.by, number)
        self.held += number

    def let_go(self) -> None:
        """Count the body for nobody: for a call that has read it and goes on to wait, and at the end of each."""
        if self.working:
            self.parts.quotas.intake.end(self.working)
        if self.held:
            self.parts.quotas.intake.give_back(self.by, self.held)
        self.held = self.working = 0

    def refused(self, error: SwarmkeeperError) -> None:
        """Take down for the log that this call, or a part of it, was refused. What we cannot do now is no refusal."""
        status = errors.status_of(error)
        if status >= 500:
            return
        by = self.principal.key_id if self.principal is not None else self.source
        self.parts.refusals.note(
            by,
            error.code,
            status=status,
            method=self.call.method,
            path=self.call.path,
            detail=error.detail,
            request_id=self.request_id,
        )

    @property
    def source(self) -> str:
        """The address that the call comes from."""
        return limits.source_of(self.scope, self.headers, self.parts.limits)

    def safe(self, name: str) -> str:
        """A name that is not ours, as it may be shown."""
        return self.parts.rules.redactor.safe_segment(name)

    @property
    def idempotency(self) -> tuple[str, str] | None:
        """The caller's key and what makes two requests the same: caller, method, path and body."""
        return self.same

    def idempotency_key(self) -> tuple[str, bytes] | None:
        """The key, and what of the request is hashed before its body.

        Raises:
            Invalid: it cannot be one.
        """
        key = self.headers.get("idempotency-key")
        if key is None or not self.call.idempotent:
            return None
        if _IDEMPOTENCY_KEY.fullmatch(key) is None:
            raise Invalid(
                "the Idempotency-Key cannot be one",
                details=(("/headers/idempotency-key", "invalid", "must be 1 to 255 visible ASCII characters"),),
            )
        return key, f"{self.by.key_id} {self.call.method} {self.scope['path']}\n".encode()

    async def look(self, work: Callable[[Reads], Coroutine[Any, Any, Json]]) -> bytes:
        """What is shown, as it is sent: read and written down where it holds up nobody."""

        async def whole(reads: Reads) -> bytes:
            shown = await work(reads)
            return shown if isinstance(shown, bytes) else errors.encode(shown)

        return await self.parts.looks.look(self.by, whole)

    async def aside(self, work: Callable[[], Told]) -> Told:
        """Do what takes a while where the body is long, such as to redact what it says, where it holds up nobody."""
        if not self.long:
            return work()

        async def whole(reads: Reads) -> Told:
            return work()

        return await self.parts.looks.look(self.by, whole)

    async def after(self, read: Awaitable[Told]) -> Told:
        """Read what is shown of a command that is carried out already: trouble here is no refusal.

        Raises:
            Internal: it was done, but cannot be shown.
        """
        try:
            return await read
        except StoreUnavailable as error:
            raise Internal("this was carried out, but what came of it cannot be read now: look at it again") from error


Handler = Callable[[Exchange[Any, Any]], Awaitable[Reply | None]]  # None: it has answered itself, or nobody listens


@dataclass(frozen=True, slots=True)
class Call:
    method: Method
    path: str
    handler: Handler
    tag: str
    summary: str
    body: type[Request] | None = None
    body_optional: bool = False
    meaning: Meaning | None = None  # makes of the body what is asked for; without one the handler does
    needs: str = ""  # what the caller must be allowed to do before a body is taken from them
    cost: int = 1  # of answering it, in short requests
    long_body: bool = False
    query: type[Query] = NoQuery
    answers: Mapping[int, type[BaseModel] | None] = field(default_factory=dict)  # status -> what is told
    media_types: tuple[str, ...] = ("application/json",)  # of the answer
    refusals: tuple[type[SwarmkeeperError], ...] = ()  # beside those that every call of its kind has
    open: bool = False  # needs no key
    idempotent: bool = False  # takes an Idempotency-Key
    headers: tuple[str, ...] = ()  # further ones that it reads
    action: str = ""  # what is written down of a refusal

    @property
    def operation(self) -> str:
        return self.handler.__name__


Handled = TypeVar("Handled", bound=Handler)


class Calls(list[Call]):
    """The calls of one noun, in the order in which they are told of."""

    def __init__(self, tag: str) -> None:
        super().__init__()
        self.tag = tag

    def add(self, method: Method, path: str, **declared: Any) -> Callable[[Handled], Handled]:
        """Declare the decorated handler; its docstring's first line is the summary."""

        def take(handler: Handled) -> Handled:
            summary = (handler.__doc__ or "").strip().split("\n")[0].rstrip(".")
            declared.setdefault("action", f"{method} {path}")
            self.append(Call(method, path, handler, self.tag, summary, **declared))
            return handler

        return take
