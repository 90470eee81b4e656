"""What endpoints ask for: the request's `Call`, the caller, path parameters, headers, permissions.

`Call` is one request with all that answering it needs. The middleware makes it, `StrictRoute` (routing.py) fills it in
before FastAPI runs, and the dependencies here hand it out.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Path, Request, Security
from fastapi.params import Body
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.types import Message, Receive, Scope

from swarmkeeper.core import ids
from swarmkeeper.core.errors import Forbidden, Internal, Invalid, SwarmkeeperError
from swarmkeeper.core.model import Json, Principal
from swarmkeeper.core.ports import Rules, StoreUnavailable
from swarmkeeper.engine.loop import Replayed
from swarmkeeper.http.errors import CALL, status_of
from swarmkeeper.http.intake import limits
from swarmkeeper.http.intake.content import Meaning
from swarmkeeper.http.responses import encode
from swarmkeeper.http.services import Services
from swarmkeeper.reads.reading_thread import Reads
from swarmkeeper.wire.shapes import Request as RequestModel

Result = TypeVar("Result")

UNWANTED_BYTES_MAX = 64 << 10  # after the body's end: more is no accident
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~-]{1,64}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# Visible ASCII, as RFC 9110 has it for a token's neighbours; longer ones would only fill the store.
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class Call:
    """One request being answered."""

    __slots__ = (
        *("services", "scope", "headers", "head", "request_id", "trace", "began", "status", "method", "path"),
        *("principal", "query", "body", "idempotency", "long", "_held", "_working", "_receive", "_over"),
    )

    def __init__(self, services: Services, scope: Scope, receive: Receive) -> None:
        self.services = services
        self.scope = scope
        self.headers: Mapping[str, str] = _headers(scope)  # names in lower case
        self.began = services.clock.monotonic()  # microseconds
        self.status = 0  # of the response, once it has begun
        self.method: str = scope["method"]  # of the route, once it is found: a HEAD request has a GET route
        self.head = scope["method"] == "HEAD"  # whose response has no body
        self.path = ""  # of the route, as it is declared, once it is found
        self.principal: Principal | None = None
        self.query: Any = None  # the checked query model
        self.body: Any = None  # the checked body model, or what `BodyOf` makes of it
        self.idempotency: tuple[str, str] | None = None  # the key, and the hash of caller, method, path and body
        self.long = False  # the body is so long that more than to read it takes a while, too
        self._held = 0  # bytes of the body that the caller's key is charged for; see access/quotas.py
        self._working = 0  # what the decoded body is charged for
        self._receive = receive
        self._over = False
        seed = services.entropy.seed()
        asked = self.headers.get("x-request-id", "")
        # It comes back in answers and logs, so it must be an id, and nothing that a rule takes for a secret.
        if _REQUEST_ID.fullmatch(asked) and services.rules.text(asked) == asked:
            self.request_id = asked
        else:
            self.request_id = ids.timed("req", services.engine.now(), seed, "request")
        self.trace = self.headers.get("traceparent", "")
        if not _TRACEPARENT.fullmatch(self.trace):
            self.trace = f"00-{seed.hex()}-{ids.salt(seed)[:8].hex()}-01"

    # ---- the caller ------------------------------------------------------------------------------------------------

    @property
    def by(self) -> Principal:
        assert self.principal is not None, "an open route knows no caller"
        return self.principal

    @property
    def source(self) -> str:
        """The address that the request comes from."""
        return limits.source_of(self.scope, self.headers, self.services.limits)

    @property
    def path_params(self) -> Mapping[str, str]:
        params: Mapping[str, str] = self.scope.get("path_params", {})
        return params

    @property
    def base(self) -> str:
        """What stands before every path, as the caller sees it."""
        public: str = self.services.limits.public_url or self.scope.get("root_path", "")
        return public.rstrip("/")

    async def authenticate(self) -> None:
        """
        Raises:
            Unauthenticated, RateLimited: no good key came with the request, or too many bad ones came before it.
        """
        self.principal = await self.services.identity.authenticate(credential(self.headers), self.source)

    def safe(self, name: str) -> str:
        """A name that the caller chose, as it may be shown."""
        return self.services.rules.redactor.safe_segment(name)

    # ---- the body --------------------------------------------------------------------------------------------------

    async def receive(self) -> Message:
        message = await self._receive()
        self._over = message["type"] == "http.disconnect"
        return message

    async def gone(self) -> None:
        """Return when the caller has hung up; one that goes on sending what nobody asked for is as good as gone."""
        unwanted = 0
        while not self._over and unwanted <= UNWANTED_BYTES_MAX:
            unwanted += len((await self.receive()).get("body", b""))

    def hold(self, number: int) -> None:
        """Charge the caller for so many bytes of the body.

        Raises:
            RateLimited, Overloaded: the caller, or all callers, hold too many already.
        """
        self.services.quotas.intake.take(self.by, number)
        self._held += number

    async def work_on(self, decoded: int) -> None:
        """Wait until a body of so many bytes, decoded, may be worked on."""
        self._working = await self.services.quotas.intake.begin(self.by.tenant, decoded)

    def let_go(self) -> None:
        """Stop charging for the body: at the end, or before a call that has read it goes on to wait."""
        if self._working:
            self.services.quotas.intake.end(self._working)
        if self._held:
            self.services.quotas.intake.give_back(self.by, self._held)
        self._held = self._working = 0

    def idempotency_key(self) -> tuple[str, bytes] | None:
        """The key, and what of the request is hashed before its body.

        Raises:
            Invalid: it cannot be one.
        """
        key = self.headers.get("idempotency-key")
        if key is None:
            return None
        if _IDEMPOTENCY_KEY.fullmatch(key) is None:
            raise Invalid(
                "the Idempotency-Key is not valid",
                details=(("/headers/idempotency-key", "invalid", "must be 1 to 255 visible ASCII characters"),),
            )
        return key, f"{self.by.key_id} {self.method} {self.scope['path']}\n".encode()

    # ---- doing it --------------------------------------------------------------------------------------------------

    async def look(self, work: Callable[[Reads], Coroutine[Any, Any, Json]]) -> bytes:
        """Run a read, and encode what it returns, on the thread for reads."""

        async def whole(reads: Reads) -> bytes:
            shown = await work(reads)
            return shown if isinstance(shown, bytes) else encode(shown)

        return await self.services.looks.look(self.by, whole)

    async def aside(self, work: Callable[[], Result]) -> Result:
        """Do what takes a while where the body is long, such as to redact it, on the thread for reads."""
        if not self.long:
            return work()

        async def whole(reads: Reads) -> Result:
            return work()

        return await self.services.looks.look(self.by, whole)

    async def after(self, read: Awaitable[Result]) -> Result:
        """Read what is shown of a command that is carried out already: trouble here is no refusal.

        Raises:
            Internal: it was done, but cannot be shown.
        """
        try:
            return await read
        except StoreUnavailable as error:
            raise Internal("the call was carried out, but its result cannot be read now: read it again") from error

    def refused(self, error: SwarmkeeperError) -> None:
        """Log that this call, or a part of it, was refused. What the server cannot do now is no refusal."""
        status = status_of(error)
        if status >= 500:
            return
        self.services.refusals.note(
            self.principal.key_id if self.principal is not None else self.source,
            error.code,
            status=status,
            method=self.method,
            path=self.path or "(none)",
            detail=error.detail,
            request_id=self.request_id,
        )


def replay_header(answer: Any) -> dict[str, str]:
    """The header of an answer that was given before, under the same idempotency key."""
    return {"idempotency-replayed": "true"} if isinstance(answer, Replayed) else {}


def credential(headers: Mapping[str, str]) -> str | None:
    """The key's text, from `X-API-KEY` or `Authorization: Bearer`; None where there is none, or two that differ."""
    own = headers.get("x-api-key")
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    bearer = rest.strip() if scheme.lower() == "bearer" else None
    if own is not None and bearer is not None and own != bearer:
        return None
    return own if own is not None else bearer


def require(rules: Rules, principal: Principal, action: str) -> None:
    """
    Raises:
        Forbidden: the role may not do that; it says which roles may.
    """
    if not rules.may(principal, action):
        raise Forbidden(rules.why_not(principal, action))


def _headers(scope: Scope) -> dict[str, str]:
    """By name in lower case; of several with one name all, as RFC 9110 joins them."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


# ---- dependencies --------------------------------------------------------------------------------------------------

api_key = APIKeyHeader(name="X-API-KEY", scheme_name="key", auto_error=False)
bearer = HTTPBearer(scheme_name="bearer", auto_error=False)


async def get_call(request: Request) -> Call:
    call: Call = request.scope[CALL]
    return call


async def get_services(request: Request) -> Services:
    call: Call = request.scope[CALL]
    return call.services


async def get_principal(
    request: Request, key: Annotated[Any, Security(api_key)], token: Annotated[Any, Security(bearer)]
) -> Principal:
    """The caller. `StrictRoute` has authenticated them already; the two schemes stand here for the description."""
    call: Call = request.scope[CALL]
    return call.by


CurrentCall = Annotated[Call, Depends(get_call)]
CurrentServices = Annotated[Services, Depends(get_services)]
CurrentPrincipal = Annotated[Principal, Depends(get_principal)]


class Permission:
    """Refuses callers whose role may not do `action`. `StrictRoute` asks the same before it reads the body."""

    def __init__(self, action: str) -> None:
        self.action = action

    async def __call__(self, by: CurrentPrincipal, services: CurrentServices) -> None:
        require(services.rules, by, self.action)


class BodyOf:
    """The body of a route that takes long ones: what `meaning` made of it, where it was read."""

    def __init__(self, model: type[RequestModel], meaning: Meaning) -> None:
        self.meaning = meaning
        body = inspect.Parameter("body", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Annotated[model, Body()])
        self.__signature__ = inspect.Signature([body])  # what FastAPI takes the description from

    async def __call__(self, body: Any) -> Any:
        return body


_ID = "^[a-z]{3}_[0-9A-Za-z]{1,64}$"
_SUBTASK = f"^[a-z0-9][a-z0-9._-]{{0,63}}$|{_ID}"


def _in_path(description: str, pattern: str = _ID) -> Any:
    # The router has held it against the pattern already, which stands here for the description.
    return Path(description=description, json_schema_extra={"pattern": pattern})


TaskId = Annotated[str, _in_path("A task's id.")]
BotId = Annotated[str, _in_path("A bot's id.")]
LeaseId = Annotated[str, _in_path("A lease's id.")]
ApprovalId = Annotated[str, _in_path("An approval's id.")]
KeyId = Annotated[str, _in_path("The id of a key's record.")]
Subtask = Annotated[str, _in_path("A subtask's key or id.", _SUBTASK)]


def _header(name: str, description: str, **schema: Any) -> Any:
    # Checked where it is used, in the words of this API; the bounds stand here for the description.
    return Header(alias=name, description=description, json_schema_extra=schema)


IdempotencyKeyHeader = Annotated[
    str | None,
    _header(
        "Idempotency-Key",
        "Makes the call safe to repeat, for 24 hours: the same body has the same answer, and no second effect. "
        "It is one of your API key's own: another key may use the same text.",
        minLength=1,
        maxLength=255,
        pattern=f"^{_IDEMPOTENCY_KEY.pattern}$",
    ),
]
BotProcess = Annotated[
    str | None,
    _header(
        "Bot-Process",
        "Which process of the bot asks, by a word of its own. Where two processes ask as one bot, the answer says so.",
        minLength=1,
        maxLength=255,
    ),
]
IfNoneMatch = Annotated[
    str | None, _header("If-None-Match", "An ETag from before: 304 where nothing has changed since.")
]
IfMatch = Annotated[str | None, _header("If-Match", "An ETag: 412 where the task has changed since.")]
LastEventId = Annotated[
    str | None,
    _header("Last-Event-ID", "For a stream: the id of the last event that was seen.", pattern="^[0-9]{0,18}$"),
]


async def get_idempotency(request: Request, key: IdempotencyKeyHeader = None) -> tuple[str, str] | None:
    """The caller's key and the hash of what is asked under it; `StrictRoute` has read both with the body."""
    call: Call = request.scope[CALL]
    return call.idempotency


Idempotency = Annotated[tuple[str, str] | None, Depends(get_idempotency)]


class Nothing(RequestModel):
    """A body that says nothing."""


NoBody = Annotated[Nothing, Body(default_factory=Nothing)]  # none at all, or an empty object
