"""The bot around an agent of any framework. Adapters know the frameworks; this is what every such bot needs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from swarmkeeper.agents import adapters, faults, outputs
from swarmkeeper.agents.adapter import Adapter, AgentQuestion, Resumed, StaleState, Turn
from swarmkeeper.agents.caps import Caps
from swarmkeeper.agents.checkpoints import Wrapping
from swarmkeeper.agents.current import working_for
from swarmkeeper.agents.masking import masked_json, masker
from swarmkeeper.agents.own_loop import AgentLoop
from swarmkeeper.agents.prompt import Prompt
from swarmkeeper.agents.run import AgentRun, Cost
from swarmkeeper.core.rules.cooldowns import SCOPE_LABELS
from swarmkeeper.sdk.answers import Ask, Done, Failed
from swarmkeeper.sdk.attempts.sendable import Unsendable
from swarmkeeper.sdk.bots import ExecutorBot
from swarmkeeper.sdk.context import Context
from swarmkeeper.wire.requests import SubTask

_SETTINGS = frozenset({"name", "instance", "version", "capacity", "dedicated", "endpoint", "labels", "lease_seconds"})


class AgentBot(ExecutorBot):
    """An executor whose work is done by an agent. See `agent_bot` for its arguments."""

    def __init__(
        self,
        agent: object,
        *,
        skills: Any,
        caps: Caps | None = None,
        options: Mapping[str, Any] | None = None,
        cost: Cost | None = None,
        adapter: Adapter | None = None,
        own_loop: bool = True,
        **settings: Any,
    ) -> None:
        for name, value in settings.items():
            if name not in _SETTINGS:
                raise TypeError(f"an agent bot has no setting {name!r}; it has {', '.join(sorted(_SETTINGS))}")
            if value is not None:
                setattr(self, name, value)
        self.skills = {skills} if isinstance(skills, str) else skills
        self.caps = Caps() if caps is None else caps
        if not isinstance(self.caps, Caps):
            raise TypeError(f"caps is a Caps, not {type(caps).__name__}: an agent always has caps")
        self.adapter = adapters.found(agent) if adapter is None else adapter
        self._agent, self._options, self._cost = agent, dict(options or {}), cost
        self._loop = AgentLoop(f"swarmkeeper-agent-{id(self):x}") if own_loop else None

    async def execute(self, subtask: SubTask, context: Context) -> Done | Failed | Ask:
        """Run the agent once: from the beginning, or from where an earlier attempt stopped."""
        wrapping, masked = Wrapping.of(self.adapter.name, context), masker()
        resumed = wrapping.read(context.resumed_from, context)
        if isinstance(resumed, AgentQuestion):
            context.checkpoint(context.resumed_from)  # the next attempt needs it, too
            return Ask(masked(resumed.text), resumed.choices, resumed.schema)
        run = AgentRun(
            context,
            self.caps,
            work_id=f"{context.work_id}-{wrapping.round}" if wrapping.round else context.work_id,
            envelope=lambda state: masked_json(wrapping.made(state), masked),
            options=self._options,
            cost=self._cost,
            masked=masked,
        )
        prompt = Prompt.of(subtask, context)
        try:
            work = partial(self._turn, prompt, resumed, run)
            with working_for(context):
                turn = await (work() if self._loop is None else self._loop.run(work))
            if (failure := _failed_silently(turn, run)) is not None:
                return failure
            if turn.question is not None:
                context.checkpoint(masked_json(wrapping.made(turn.state, turn.question), masked))
                return Ask(masked(turn.question.text), turn.question.choices, turn.question.schema)
            return Done(masked_json(outputs.made_sendable(turn.output), masked))
        except Unsendable:
            raise  # the SDK keeps the raw value in a file, and fails the work for good
        except Exception as error:
            failure = faults.failure_of(run.cap_reached or error)
            if failure is None:
                if masked(str(error)) == str(error):
                    raise  # the SDK's own rule, which also names the line of the author's code
                failure = Failed(f"{type(error).__name__}: {error}")
            declared = not self.labels.keys().isdisjoint(SCOPE_LABELS)  # then the orchestrator knows the scope
            return replace(failure, why=masked(failure.why), scope=None if declared else failure.scope)

    async def _turn(self, prompt: Prompt, resumed: Resumed | None, run: AgentRun) -> Turn:
        with _traced(run.traceparent):
            try:
                return await self.adapter.start(self._agent, prompt, resumed, run)
            except StaleState as error:
                run.report(f"the state of the earlier attempt cannot be used, so it starts again: {error}")
                return await self.adapter.start(self._agent, prompt, None, run)


def _failed_silently(turn: Turn, run: AgentRun) -> Failed | None:
    """Return the failure that a framework told as an ordinary answer."""
    if run.cap_reached is not None:
        return faults.failure_of(run.cap_reached)
    if turn.silent_cap is not None:
        return Failed(f"the agent stopped at a limit without a result: {turn.silent_cap}", kind="not_retryable")
    return None


@contextlib.contextmanager
def _traced(traceparent: str | None) -> Iterator[None]:
    """Continue the attempt's trace in spans and calls of the framework, where OpenTelemetry is installed."""
    try:
        from opentelemetry import context as contexts
        from opentelemetry import propagate
    except ImportError:
        traceparent = None
    if traceparent is None:
        yield
        return
    token = contexts.attach(propagate.extract({"traceparent": traceparent}))
    try:
        yield
    finally:
        contexts.detach(token)


def agent_bot(
    agent: object,
    *,
    skills: Any,
    name: str | None = None,
    caps: Caps | None = None,
    options: Mapping[str, Any] | None = None,
    cost: Cost | None = None,
    adapter: Adapter | None = None,
    own_loop: bool = True,
    **settings: Any,
) -> AgentBot:
    """Make a bot of an agent: `run(agent_bot(my_agent, skills={"write"}))`.

    Args:
        agent: an agent of a known framework; its type says which.
        skills: what it can do: a set of names, or one name.
        name: the bot's name; by default the SDK's.
        caps: what one attempt may use at most; default `Caps()`.
        options: passed to the framework's run, by name: `deps` of pydantic-ai, `context` of LangGraph, …
        cost: returns the micro-USD of one model request, from the model's name and its `ModelUsage`; None: unknown.
        adapter: of a framework of your own.
        own_loop: False: run the agent on the loop of `run()`. For agents with clients that belong to that loop, and
            for virtual time. A tool that blocks then blocks all bots of the process.
        settings: the other settings of an executor: `capacity`, `labels`, `lease_seconds`, …

    Raises:
        TypeError: no adapter knows this agent, or a setting does not exist.
    """
    return AgentBot(
        agent,
        skills=skills,
        name=name,
        caps=caps,
        options=options,
        cost=cost,
        adapter=adapter,
        own_loop=own_loop,
        **settings,
    )
