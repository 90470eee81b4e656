"""The base classes and decorators for bots. runner.py keeps a bot running; session.py calls the orchestrator for it."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from swarmkeeper.sdk.answers import Answer
from swarmkeeper.sdk.attempts.sides import OneLoop, sides_of
from swarmkeeper.sdk.profile import BotProfile

if TYPE_CHECKING:
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.sdk.leases import HeldLease
    from swarmkeeper.sdk.session import Session
    from swarmkeeper.wire.answers import Bot

Code = Callable[..., Any]  # (work) or (work, context), a coroutine function or a plain one


class BaseBot(BotProfile):
    """A bot: it registers, claims work and submits results.

    Derive from PlannerBot, ExecutorBot or EvaluatorBot. `run(bot)` calls everything below by itself; the methods are
    for a bot that runs its own loop.
    """

    # Not set in __init__: authors write their own __init__ and forget to call this one.
    _session: Session | None = None
    _made_with: tuple[tuple[Any, ...], dict[str, Any]]  # the arguments that the class was called with

    def __new__(cls, *arguments: Any, **named: Any) -> Self:
        if (arguments or named) and cls.__init__ is object.__init__:
            raise TypeError(f"{cls.__name__}() takes no arguments: it has no __init__")
        bot = super().__new__(cls)
        bot._made_with = arguments, named
        return bot

    # ---- for a bot that runs its own loop

    def connect(self, client: Client) -> None:
        """Use this client for all calls. By default a bot uses `Client()`, which says where URL and key come from."""
        from swarmkeeper.sdk.session import Session

        self.attach(Session(self, client.calls))

    def attach(self, session: Session) -> None:
        self._session = session

    async def register(self) -> Bot:
        """Register this bot; one that is known already continues as the same bot. `leases` calls this if needed."""
        session = self._connected()
        return await session.sides.on_orchestrator_side(session.register)

    async def leases(self) -> AsyncIterator[HeldLease]:
        """Yield leases for ever by long polls. At most `capacity` leases are held at a time.

        Heartbeats are sent in the background for every lease until its answer is submitted.
        """
        session = self._connected()
        async with sides_of(session.author_calls) as sides:
            session.sides = sides
            try:
                await sides.on_orchestrator_side(session.begin)
                while True:
                    for lease in await sides.on_orchestrator_side(session.claim_when_free):
                        yield lease
            finally:
                await sides.on_orchestrator_side(session.finish)
                session.sides = OneLoop(session.author_calls)

    async def submit(self, lease: HeldLease, answer: Answer) -> None:
        """Submit the answer of one lease.

        Raises:
            Conflict: the bot no longer holds the lease (`code` says why); the answer changed nothing.
            Refused: the answer breaks a rule. The lease stays valid: correct the answer and submit it again.
        """
        session = self._connected()
        await session.sides.on_orchestrator_side(session.submit, lease, answer)

    def _connected(self) -> Session:
        if self._session is None:
            from swarmkeeper.sdk.client import Client

            self.connect(Client())
        assert self._session is not None, "connect() makes the session"
        return self._session

    # ---- for the runner

    def code(self) -> Code:
        """Return the author's method.

        Raises:
            TypeError: it does not exist, does not take one or two arguments, or cannot be isolated as set.
        """
        name = type(self).__name__
        if (isolation := getattr(self, "isolation", None)) is not None:
            if isolation != "process":
                raise TypeError(f"{name}.isolation is 'process', or left out")
            if self.type != "Executor":
                raise TypeError(f"{name}.isolation: a {self.type.lower()} cannot be isolated, only an executor")
        method = getattr(self, self.method, None)
        if method is None:
            raise TypeError(f"{name} needs a method {self.method}, which does its work")
        if not callable(method) or not 1 <= _count(method) <= 2:
            raise TypeError(f"{name}.{self.method} takes the work and optionally a context, nothing else")
        if inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method):
            raise TypeError(f"{name}.{self.method} is a generator: it must return one answer")
        return method  # type: ignore[no-any-return]  # getattr of a name that the author chose the type of


class PlannerBot(BaseBot):
    """Turns a task into a graph of subtasks: `plan(task) -> Plan`, or `plan(task, context)`."""

    type = "Planner"
    kind = "plan"
    method = "plan"
    # Declared, not defined: an author may write it with or without context, as a coroutine or a plain function.
    plan: Callable[..., Any]


class ExecutorBot(BaseBot):
    """Executes subtasks: `execute(subtask) -> Done | Failed | Later | Ask`, or `execute(subtask, context)`."""

    type = "Executor"
    kind = "execute"
    method = "execute"
    execute: Callable[..., Any]
    isolation: Literal["process"] | None = None  # "process": each attempt runs in a child process of its own


class EvaluatorBot(BaseBot):
    """Judges results: `review(candidate) -> Accept | Rework | Reject`, or `review(candidate, context)`."""

    type = "Evaluator"
    kind = "review"
    method = "review"
    review: Callable[..., Any]


def settings_of(bot: BaseBot) -> dict[str, Any]:
    """Return this bot's values of the settings that `executor(...)` and its like accept."""
    return {name: getattr(bot, name) for name in sorted(_settings_of(type(bot)))}


def takes_context(code: Code) -> bool:
    return _count(code) == 2


def _count(code: Code) -> int:
    """Count the positional arguments the runner must pass; -1 if the code requires a keyword-only argument."""
    count = 0
    for parameter in inspect.signature(code).parameters.values():
        if parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}:
            # The runner passes `context`; it leaves any other parameter with a default alone.
            count += parameter.default is parameter.empty or parameter.name == "context"
        elif parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            return -1
    return count


# ---- functions as bots ----------------------------------------------------------------------------------------------


_SETTINGS = frozenset(
    {"name", "instance", "version", "skills", "capacity", "dedicated", "endpoint", "labels", "lease_seconds"}
)


def _settings_of(kind: type[BaseBot]) -> frozenset[str]:
    return _SETTINGS | {"isolation"} if issubclass(kind, ExecutorBot) else _SETTINGS


class _FunctionBot(BaseBot):
    """A bot whose code is a function."""

    _of_function = True

    def __init__(self, code: Code, settings: Mapping[str, Any]) -> None:
        known = _settings_of(type(self))
        for name, value in settings.items():
            if name not in known:
                raise TypeError(f"a bot of this kind has no setting {name!r}; it has {', '.join(sorted(known))}")
            setattr(self, name, value)
        setattr(self, self.method, code)
        self.__doc__ = code.__doc__
        self.code()


class _PlannerFunction(_FunctionBot, PlannerBot):
    pass


class _ExecutorFunction(_FunctionBot, ExecutorBot):
    pass


class _EvaluatorFunction(_FunctionBot, EvaluatorBot):
    pass


@overload
def planner(code: Code, /) -> PlannerBot: ...
@overload
def planner(**settings: Any) -> Callable[[Code], PlannerBot]: ...
def planner(code: Code | None = None, /, **settings: Any) -> PlannerBot | Callable[[Code], PlannerBot]:
    """Make a planner from a function `plan(task)`. Settings are those of BaseBot: skills, capacity, name…"""
    if code is not None:
        return _PlannerFunction(code, settings)
    return lambda function: _PlannerFunction(function, settings)


@overload
def executor(code: Code, /) -> ExecutorBot: ...
@overload
def executor(**settings: Any) -> Callable[[Code], ExecutorBot]: ...
def executor(code: Code | None = None, /, **settings: Any) -> ExecutorBot | Callable[[Code], ExecutorBot]:
    """Make an executor from a function `execute(subtask)`. Settings are those of BaseBot: skills, capacity, name…"""
    if code is not None:
        return _ExecutorFunction(code, settings)
    return lambda function: _ExecutorFunction(function, settings)


@overload
def evaluator(code: Code, /) -> EvaluatorBot: ...
@overload
def evaluator(**settings: Any) -> Callable[[Code], EvaluatorBot]: ...
def evaluator(code: Code | None = None, /, **settings: Any) -> EvaluatorBot | Callable[[Code], EvaluatorBot]:
    """Make an evaluator from a function `review(candidate)`. Settings are those of BaseBot: skills, capacity, name…"""
    if code is not None:
        return _EvaluatorFunction(code, settings)
    return lambda function: _EvaluatorFunction(function, settings)
