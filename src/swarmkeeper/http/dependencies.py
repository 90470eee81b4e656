"""Dependencies of endpoints: the request's `Call`, the caller, path parameters, headers and permissions.

`Call` holds the state of one request. The middleware creates it, `StrictRoute` (routing.py) fills it in before FastAPI
runs, and the dependencies here pass it to endpoints.
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
from swarmkeeper.core.errors import Internal, Invalid, Overloaded, PermissionDenied, SwarmkeeperError
from swarmkeeper.core.model import Json, Principal
from swarmkeeper.core.ports import Rules, StoreUnavailable
from swarmkeeper.engine.loop import Replayed
from swarmkeeper.govern.cursors import PATTERN as CURSOR_PATTERN
from swarmkeeper.http.errors import CALL, status_of
from swarmkeeper.http.intake import limits
from swarmkeeper.http.intake.content import Translator
from swarmkeeper.http.responses import encode
from swarmkeeper.http.services import Services
from swarmkeeper.http.web import origin
from swarmkeeper.reads.reading_thread import Reads
from swarmkeeper.wire.shapes import Request as RequestModel

Result = TypeVar("Result")

UNWANTED_BYTES_MAX = 64 << 10  # accepted after the end of the body; a caller that sends more counts as disconnected
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~-]{1,64}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# Microseconds between the tries to read what a command has done: a database that is restarted is back within seconds.
_PAUSES = (100_000, 400_000, 1_000_000, 2_000_000)
# Visible ASCII (VCHAR in RFC 9110). The length bound protects the store.
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_BOT_PROCESS_MAX = 255  # characters


class Call:
    """One request in progress."""

    __slots__ = (
        *("services", "scope", "headers", "head", "request_id", "trace", "began", "status", "method", "path"),
        *("principal", "query", "body", "idempotency", "long", "_held", "_working", "_receive", "_over"),
        "_own_id",
    )

    def __init__(self, services: Services, scope: Scope, receive: Receive) -> None:
        self.services = services
        self.scope = scope
        self.headers: Mapping[str, str] = _headers(scope)  # names in lower case
        self.began = services.clock.monotonic()  # microseconds
        self.status = 0  # response status; 0 until the response has begun
        self.method: str = scope["method"]  # set to the route's method when it is found: HEAD runs a GET route
        self.head = scope["method"] == "HEAD"  # the response must have no body
        self.path = ""  # path template of the route; empty until the route is found
        self.principal: Principal | None = None
        self.query: Any = None  # the checked query model
        self.body: Any = None  # the checked body model, or the commands that `BodyOf` made from it
        self.idempotency: tuple[str, str] | None = None  # the key, and the hash of caller, method, path and body
        self.long = False  # the body is long, so processing it may take a while
        self._held = 0  # body bytes charged to the caller's key; see access/quotas.py
        self._working = 0  # bytes charged for the decoded body
        self._receive = receive
        self._over = False
        seed = services.entropy.seed()
        asked = self.headers.get("x-request-id", "")
        # The request id is written to responses and logs, so it must be well-formed and match no secret rule.
        if _REQUEST_ID.fullmatch(asked) and services.rules.text(asked, tenant="") == asked:
            self.request_id, self._own_id = asked, False
        else:
            self.request_id, self._own_id = self._made_id(), True
        self.trace = self.headers.get("traceparent", "")
        if not _TRACEPARENT.fullmatch(self.trace):
            self.trace = ids.traceparent(seed)

    def _made_id(self) -> str:
        return ids.timed("req", self.services.engine.now(), self.services.entropy.seed(), "request")

    # ---- the caller ------------------------------------------------------------------------------------------------

    @property
    def by(self) -> Principal:
        assert self.principal is not None, "a route without authentication has no principal"
        return self.principal

    @property
    def source(self) -> str:
        """The client's IP address."""
        return limits.source_of(self.scope, self.headers, self.services.limits)

    @property
    def path_params(self) -> Mapping[str, str]:
        params: Mapping[str, str] = self.scope.get("path_params", {})
        return params

    @property
    def base(self) -> str:
        """The prefix of every path, as the caller sees it: a URL or the root path, without a trailing slash."""
        public: str = self.services.limits.public_url or self.scope.get("root_path", "")
        return public.rstrip("/")

    async def authenticate(self) -> None:
        """Set `principal` from the request's API key or token, or without these from the cookie of a session.

        Raises:
            AuthenticationFailed: the request has no valid key or token.
            PermissionDenied: its token is good, but gives no role.
            RateLimited: too many requests without a valid key came from this address.
            Overloaded: the keys of the token's issuer cannot be read now.
        """
        cookie = origin.session_cookie(self.method, self.scope, self.headers, self.services.limits)
        if cookie is not None:
            self.principal = await self.services.identity.by_session(cookie, self.source)
            return
        self.principal = await self.services.identity.authenticate(
            credential(self.headers), self.source, as_bearer="x-api-key" not in self.headers
        )
        if self._own_id:
            return  # it was made here, of a time and random numbers
        if self.services.rules.text(self.request_id, tenant=self.principal.tenant) != self.request_id:
            self.request_id = self._made_id()

    def safe(self, name: str) -> str:
        """Return a name chosen by the caller, redacted if it may be a secret."""
        tenant = "" if self.principal is None else self.principal.tenant
        return self.services.rules.safe_name(name, tenant=tenant)

    # ---- the body --------------------------------------------------------------------------------------------------

    async def receive(self) -> Message:
        message = await self._receive()
        self._over = message["type"] == "http.disconnect"
        return message

    @property
    def disconnected(self) -> bool | None:
        """Whether the caller has disconnected; None if the server does not tell without `receive`."""
        # uvicorn's `receive` is a method of its cycle, which has this flag.
        told: bool | None = getattr(getattr(self._receive, "__self__", None), "disconnected", None)
        return told

    async def gone(self) -> None:
        """Return when the caller has disconnected, or has sent more than UNWANTED_BYTES_MAX after its body."""
        unwanted = 0
        while not self._over and unwanted <= UNWANTED_BYTES_MAX:
            unwanted += len((await self.receive()).get("body", b""))

    def hold(self, number: int) -> None:
        """Charge the caller for `number` bytes of the body.

        Raises:
            RateLimited: the key or its tenant would hold too many bytes.
            Overloaded: all callers together would.
        """
        self.services.quotas.intake.take(self.by, number)
        self._held += number

    async def work_on(self, decoded: int) -> None:
        """Wait until a body that takes `decoded` bytes of memory may be processed."""
        self._working = await self.services.quotas.intake.begin(self.by.tenant, decoded)

    def release_body(self) -> None:
        """Stop charging for the body: at the end of the request, or before a long wait."""
        if self._working:
            self.services.quotas.intake.end(self._working)
        if self._held:
            self.services.quotas.intake.give_back(self.by, self._held)
        self._held = self._working = 0

    def idempotency_key(self) -> tuple[str, bytes] | None:
        """Return the Idempotency-Key and the bytes that are hashed before the body; None without the header.

        Raises:
            Invalid: the header is malformed.
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

    def bot_process(self) -> str | None:
        """Return the header Bot-Process; None without it.

        Raises:
            Invalid: the header is malformed.
        """
        process = self.headers.get("bot-process")
        if process is not None and not 1 <= len(process) <= _BOT_PROCESS_MAX:
            raise Invalid(
                "the header Bot-Process is not valid",
                details=(("/headers/bot-process", "invalid", f"must have 1 to {_BOT_PROCESS_MAX} characters"),),
            )
        return process

    # ---- running work ----------------------------------------------------------------------------------------------

    async def read(self, work: Callable[[Reads], Coroutine[Any, Any, Json]]) -> bytes:
        """Run a read on the reading thread, and encode its result as JSON there."""

        async def whole(reads: Reads) -> bytes:
            shown = await work(reads)
            return shown if isinstance(shown, bytes) else encode(shown)

        return await self.services.reading_thread.look(self.by, whole)

    async def read_shared(
        self, action: str, work: Callable[[Reads], Coroutine[Any, Any, Json]], *, may_be_old: bool = False
    ) -> bytes:
        """Like `read`, with one answer for all callers that ask for the same at the same time, and see the same.

        Args:
            action: what the caller must be permitted to do. Nothing else about it may change the answer, but its
                tenant, and its party if it sees only its own.
            may_be_old: an answer that took long may be given again for some seconds.
        """
        by = self.by
        require(self.services.rules, by, action)
        key = (by.tenant, by.party if by.sees_own else None, self.scope["path"], self.scope["query_string"])

        async def whole(reads: Reads) -> bytes:
            return encode(await work(reads))

        thread = self.services.reading_thread
        return await self.services.shared_reads.look(thread, by, key, whole, may_be_old=may_be_old)

    async def run_long(self, work: Callable[[], Result]) -> Result:
        """Run `work`: on the reading thread if the body is long (redaction may take a while), else here."""
        if not self.long:
            return work()

        async def whole(reads: Reads) -> Result:
            return work()

        return await self.services.reading_thread.look(self.by, whole)

    async def after(self, reading: Callable[[], Awaitable[Result]], *, repeatable: bool = False) -> Result:
        """Read the result of a command that has been carried out: a failure here must not look like a refusal.

        A database that is just being restarted is waited for.

        Args:
            repeatable: the same call, sent again, is not carried out a second time and gets the same answer.

        Raises:
            Overloaded: the store cannot be read; the caller may repeat the call: see `repeatable`, or it has an
                Idempotency-Key.
            Internal: the store cannot be read, and repeating the call would carry it out twice.
        """
        for pause in _PAUSES:
            try:
                return await reading()
            except StoreUnavailable:
                await self.services.clock.sleep(pause)
        try:
            return await reading()
        except StoreUnavailable as error:
            said = "the call was carried out, but its result cannot be read now: "
            if "idempotency-key" in self.headers:
                raise Overloaded(said + "repeat it with the same Idempotency-Key", retry_after=1) from error
            if repeatable:
                raise Overloaded(said + "repeat it", retry_after=1) from error
            raise Internal(said + "read it again") from error

    def refused(self, error: SwarmkeeperError) -> None:
        """Log that this call, or a part of it, was refused. Server errors (5xx) are not refusals."""
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
    """Return `Idempotency-Replayed` if the answer repeats an earlier one, else no header."""
    return {"idempotency-replayed": "true"} if isinstance(answer, Replayed) else {}


def credential(headers: Mapping[str, str]) -> str | None:
    """Return the key or token from `X-API-KEY` or `Authorization: Bearer`; None if absent or if the two differ."""
    own = headers.get("x-api-key")
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    bearer = rest.strip() if scheme.lower() == "bearer" else None
    if own is not None and bearer is not None and own != bearer:
        return None
    return own if own is not None else bearer


def require(rules: Rules, principal: Principal, action: str) -> None:
    """Check that the caller's role permits `action`.

    Raises:
        PermissionDenied: it does not; the detail names the roles that may.
    """
    if not rules.may(principal, action):
        raise PermissionDenied(rules.why_not(principal, action))


_NAMES = {  # of most requests
    name.encode(): name
    for name in (
        *("host", "x-api-key", "authorization", "accept", "accept-encoding", "connection", "user-agent"),
        *("content-type", "content-length", "traceparent", "x-request-id", "idempotency-key"),
    )
}


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers by lower-case name; repeated headers are joined with commas (RFC 9110)."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = _NAMES.get(raw_name) or raw_name.decode("latin-1").lower()
        value = raw_value.decode("latin-1").strip()
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


# ---- dependencies --------------------------------------------------------------------------------------------------

api_key = APIKeyHeader(name="X-API-KEY", scheme_name="key", auto_error=False)
bearer = HTTPBearer(scheme_name="bearer", auto_error=False)


async def get_call(request: Request) -> Call:
    call: Call = request.scope[CALL]
    return call


async def get_principal(
    request: Request, key: Annotated[Any, Security(api_key)], token: Annotated[Any, Security(bearer)]
) -> Principal:
    """Return the caller, whom `StrictRoute` has authenticated. The parameters only describe the two schemes."""
    call: Call = request.scope[CALL]
    return call.by


CurrentCall = Annotated[Call, Depends(get_call)]
CurrentPrincipal = Annotated[Principal, Depends(get_principal)]


class Permission:
    """Refuses callers whose role does not permit `action`. `StrictRoute` checks this before it reads the body."""

    def __init__(self, action: str) -> None:
        self.action = action

    async def __call__(self, call: CurrentCall) -> None:
        require(call.services.rules, call.by, self.action)


class BodyOf:
    """The body of a route that accepts long bodies: the commands that `translator` made from it."""

    def __init__(self, model: type[RequestModel], translator: Translator) -> None:
        self.translator = translator
        body = inspect.Parameter("body", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Annotated[model, Body()])
        self.__signature__ = inspect.Signature([body])  # FastAPI reads the description from it

    async def __call__(self, body: Any) -> Any:
        return body


_ID = "^[a-z]{3}_[0-9A-Za-z]{1,64}$"
_SUBTASK = f"^[a-z0-9][a-z0-9._-]{{0,63}}$|{_ID}"


def in_path(description: str, pattern: str = _ID) -> Any:
    # The router has already matched the pattern; here it is only for the OpenAPI description.
    return Path(description=description, json_schema_extra={"pattern": pattern})


TaskId = Annotated[str, in_path("A task's id.")]
BotId = Annotated[str, in_path("A bot's id.")]
LeaseId = Annotated[str, in_path("A lease's id.")]
ApprovalId = Annotated[str, in_path("An approval's id.")]
KeyId = Annotated[str, in_path("The id of a key's record.")]
Subtask = Annotated[str, in_path("A subtask's key or id.", _SUBTASK)]


def _header(name: str, description: str, **schema: Any) -> Any:
    # Checked where the header is used; the bounds here are only for the OpenAPI description.
    return Header(alias=name, description=description, json_schema_extra=schema)


IdempotencyKeyHeader = Annotated[
    str | None,
    _header(
        "Idempotency-Key",
        "Makes the call safe to repeat for 24 hours: the same body gets the same answer and has no second effect. "
        "Keys are separate for each API key: another API key may use the same text.",
        minLength=1,
        maxLength=255,
        pattern=f"^{_IDEMPOTENCY_KEY.pattern}$",
    ),
]
BotProcess = Annotated[
    str | None,
    _header(
        "Bot-Process",
        "A name for the bot's process, chosen by it. If two processes poll as one bot, the answer says so.",
        minLength=1,
        maxLength=_BOT_PROCESS_MAX,
    ),
]
IfNoneMatch = Annotated[
    str | None, _header("If-None-Match", "An ETag from an earlier answer: 304 if nothing has changed since.")
]
IfMatch = Annotated[str | None, _header("If-Match", "An ETag: 412 if the task has changed since.")]
LastEventId = Annotated[
    str | None,
    _header("Last-Event-ID", "For a stream: the id of the last event received.", pattern=f"^$|{CURSOR_PATTERN}"),
]


async def get_idempotency(request: Request, key: IdempotencyKeyHeader = None) -> tuple[str, str] | None:
    """Return the Idempotency-Key and the hash of the request; `StrictRoute` has read both."""
    call: Call = request.scope[CALL]
    return call.idempotency


Idempotency = Annotated[tuple[str, str] | None, Depends(get_idempotency)]


class Nothing(RequestModel):
    """An empty body."""


NoBody = Annotated[Nothing, Body(default_factory=Nothing)]  # no body, or an empty object
