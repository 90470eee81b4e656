"""A scripted orchestrator, for what a real one does not do on demand: lose a reply, take a lease back.

Time is virtual: when no callback is ready, it jumps to the next timer.
"""

import asyncio
import contextlib
import json
import random
import re
import selectors
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from swarmkeeper import BaseBot, Client, Context, Done, ExecutorBot, SubTask
from swarmkeeper.sdk.connection.transport import Response, Streamed
from swarmkeeper.sdk.errors import Unreachable
from swarmkeeper.sdk.runner import serve

Json = Any
Value = TypeVar("Value")


class _Jumping(selectors.DefaultSelector):
    """Does not wait for a timeout, but adds it to the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(5)  # no timer is set: only a thread can continue
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if not ready:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def virtually(story: Coroutine[Any, Any, Value]) -> Value:
    """Run the story in virtual time."""

    async def within_an_hour() -> Value:
        async with asyncio.timeout(3600):
            return await story

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(within_an_hour())


@dataclass
class Call:
    method: str
    path: str
    headers: Mapping[str, str]
    body: Json
    at: float
    query: str = ""


Handler = Callable[[Call], Json | Awaitable[Json]]


@dataclass(frozen=True)
class Answer:
    """The answer to one call; `lost`: the call has its effect, but its answer does not arrive."""

    body: Json = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    lost: bool = False


def refusal(status: int, code: str, *, retryable: bool = False, headers: Mapping[str, str] | None = None) -> Answer:
    body = {"type": "about:blank", "title": code, "status": status, "detail": f"it is {code}", "code": code}
    return Answer({**body, "retryable": retryable, "request_id": "r1", "errors": []}, status, headers or {})


LOST = Answer(lost=True)


class Script:
    """A transport. The first rule that fits answers a call; a rule with several answers gives them in turn."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.streams: list[list[bytes | Exception]] = []
        self._rules: list[tuple[str, re.Pattern[str], list[Any]]] = []
        self.closed = False

    def on(self, method: str, path: str, *answers: Json | Answer | Handler) -> None:
        self._rules.append((method, re.compile(path), list(answers)))

    def instead(self, method: str, path: str, *answers: Json | Answer | Handler) -> None:
        """Replace the rule for this method and path."""
        self._rules = [rule for rule in self._rules if (rule[0], rule[1].pattern) != (method, path)]
        self.on(method, path, *answers)

    def to(self, method: str, path: str) -> list[Call]:
        """Return the calls with this method to a path that matches."""
        return [call for call in self.calls if call.method == method and re.fullmatch(path, call.path)]

    async def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        bare, _, query = path.partition("?")
        now = asyncio.get_running_loop().time()
        call = Call(method, bare, dict(headers), None if body is None else json.loads(body), now, query)
        self.calls.append(call)
        for wanted, pattern, answers in self._rules:
            if wanted == method and pattern.fullmatch(bare):
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if callable(answer):
                    answer = answer(call)
                    if isinstance(answer, Awaitable):
                        answer = await answer
                return _response(answer)
        raise AssertionError(f"the script has no rule for {method} {bare}")

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, headers: Mapping[str, str], timeout: float
    ) -> AsyncIterator[Streamed]:
        bare, _, query = path.partition("?")
        self.calls.append(Call(method, bare, dict(headers), None, asyncio.get_running_loop().time(), query))
        pieces = self.streams.pop(0)

        async def chunks() -> AsyncIterator[bytes]:
            for piece in pieces:
                if isinstance(piece, Exception):
                    raise piece
                yield piece

        yield Streamed(200, {"content-type": "text/event-stream"}, chunks())

    async def aclose(self) -> None:
        self.closed = True

    def client(self, **settings: Any) -> Client:
        return Client("http://swarm.test", **{"api_key": "k1", **settings}, transport=self, chance=random.Random(7))


def _response(given: Json | Answer) -> Response:
    if isinstance(given, Exception):
        raise given
    answer = given if isinstance(given, Answer) else Answer(given)
    if answer.lost:
        raise Unreachable("unreachable", "the reply was lost", retryable=True)
    body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
    return Response(answer.status, answer.headers, b"" if answer.body is None else body)


# ---- answers of an orchestrator --------------------------------------------------------------------------------------

TIME = "2026-01-01T00:00:00Z"
RESULTS = "/tasks/tsk_1/results"
HEARTBEAT = "/bots/bot_1:heartbeat"
BOT = {"id": "bot_1", "type": "Executor", "name": "worker", "version": "1.0", "status": "active"}
NOTHING: Mapping[str, Json] = {"leases": [], "reason": "nothing_ready"}


def lease(number: int = 1, **fields: Json) -> dict[str, Json]:
    kind = fields.pop("kind", "execute")
    subtask = {
        "id": f"sub_{number}",
        "parent_task_id": "tsk_1",
        "key": f"s{number}",
        "description": "count",
        "input": fields.pop("input", {"text": "to be or not"}),
    }
    return {
        "lease_id": f"lse_{number}",
        "kind": kind,
        "attempt": 1,
        "work_id": f"sub_{number}",
        "task_id": "tsk_1",
        "task": {"title": "Count", "input": {"path": "/x"}, "round": 2},
        "subtask": subtask if kind == "execute" else None,
        "expires_at": TIME,
        "ends_at": TIME,
        "heartbeat_after_seconds": 10,
        **fields,
    }


def granted(*leases: Json) -> dict[str, Json]:
    return {"leases": list(leases), "reason": None}


def accepted(*leases: Json) -> dict[str, Json]:
    return {"accepted": True, "replayed": False, "task_status": "IN_PROGRESS", "leases": list(leases)}


def directives(directive: str = "continue", **by_lease: str) -> Handler:
    """Answer a heartbeat: each lease gets the directive under its own id, else `directive`."""

    def answer(call: Call) -> Json:
        ids = [each["lease_id"] for each in call.body["leases"]]
        leases = [{"lease_id": lease_id, "directive": by_lease.get(lease_id, directive)} for lease_id in ids]
        return {"leases": leases, "drain": False, "messages": []}

    return answer


def setting(event: asyncio.Event, handler: Handler) -> Handler:
    """Set the event for each call, then answer with `handler`."""

    def answer(call: Call) -> Json | Awaitable[Json]:
        event.set()
        return handler(call)

    return answer


async def parked(call: Call) -> Json:
    await asyncio.sleep(call.body["wait_seconds"])
    return NOTHING


def task(**fields: Json) -> dict[str, Json]:
    return {"id": "tsk_1", "title": "Count", "status": "CREATED", "created_at": TIME, "updated_at": TIME, **fields}


def orchestrator(
    *leases: Json, heartbeats: Handler | None = None, results: Json | Answer | Handler | None = None
) -> Script:
    """Return an orchestrator that grants these leases to the first poll and holds back the answer to every other."""
    script = Script()
    script.on("POST", "/bots/register", Answer(BOT, 201))
    script.on("POST", "/leases", granted(*leases), parked)
    script.on("POST", HEARTBEAT, heartbeats or directives())
    script.on("POST", RESULTS, results if results is not None else accepted())
    return script


# ---- bots ------------------------------------------------------------------------------------------------------------


def served(
    script: Script, *bots: BaseBot, seconds: float = 1.0, client: Client | None = None, **limits: float
) -> float:
    """Serve the bots in virtual time, drain them after `seconds`, and return how many seconds all of it took."""

    async def story() -> float:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        began = loop.time()
        loop.call_later(seconds, stop.set)
        await serve(bots, client or script.client(), stop=stop, **limits)
        return loop.time() - began

    return virtually(story())


def served_until(stop: asyncio.Event, script: Script, *bots: BaseBot) -> None:
    """Serve the bots in real time until `stop` is set."""

    async def story() -> None:
        async with asyncio.timeout(20):
            await serve(bots, script.client(), stop=stop)

    asyncio.run(story())


def contents(script: Script) -> list[Any]:
    """Return the output or error of each report."""
    return [call.body.get("output", call.body.get("error")) for call in script.to("POST", RESULTS)]


class Stubborn(ExecutorBot):
    """Works for `seconds`, and ignores each cancellation."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    async def execute(self, subtask: SubTask, context: Context) -> Done:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self.seconds
        while (left := ends_at - loop.time()) > 0:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(left)
        return Done({})
