"""CrewAI: hooks of the run's own scope follow it, `ask_before` names the tools to ask about, messages are the state.

CrewAI's own ways to ask read from the terminal. So the option `ask_before` of the bot takes their place. A crew runs as
a whole: it starts anew after a crash, and cannot ask. A request that is on its way cannot be cancelled, since CrewAI
makes it in a thread: its answer is dropped when it comes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from swarmkeeper.agents.adapter import AgentQuestion, Resumed, StaleState, Turn
from swarmkeeper.agents.caps import CapReached, ModelUsage
from swarmkeeper.agents.prompt import Prompt
from swarmkeeper.agents.run import AgentRun

_FLUSH_SECONDS = 2.0  # for CrewAI's threads to hand over the usage of the last request


class CrewAiAdapter:
    """See `Adapter`."""

    name = "crewai"

    def accepts(self, agent: object) -> bool:
        return hasattr(agent, "kickoff_async") and (hasattr(agent, "role") or hasattr(agent, "tasks"))

    async def start(self, agent: Any, prompt: Prompt, resumed: Resumed | None, run: AgentRun) -> Turn:
        from crewai.hooks import HookAborted
        from crewai.tools.tool_failure import ToolExecutionFailedError, ToolFailureReason

        given, watch = dict(run.options), _Watch(agent, run)
        watch.ask_before = set(given.pop("ask_before", ()))
        if (wrong := _refused(agent, watch.ask_before)) is not None:
            return Turn(silent_cap=wrong)
        if resumed is not None:
            watch.messages = await _continued(agent, resumed, watch.ask_before, run)
        try:
            with watch.watching():
                if hasattr(agent, "tasks"):
                    inputs = {**prompt.input, "prompt": prompt.text(), "description": prompt.description}
                    result = await agent.copy().akickoff(inputs={**inputs, **given.pop("inputs", {})}, **given)
                else:
                    result = await agent.kickoff_async(prompt.text(), **given)
        except HookAborted:
            if not (watch.asked or watch.stopped):
                run.check()
                raise
            result = None
        except ToolExecutionFailedError as error:
            if error.record.failure.reason != ToolFailureReason.REPEATED_CALL:
                raise
            return Turn(silent_cap=str(error))
        run.check()
        if watch.stopped:
            return Turn(silent_cap=watch.stopped)
        if watch.asked:
            named = ", ".join(f"{name}({json.dumps(args, ensure_ascii=False)})" for _, name, args in watch.asked)
            state = {"messages": watch.last, "calls": watch.asked}
            return Turn(question=AgentQuestion(f"May the agent call {named}?", ("approve", "deny")), state=state)
        if (used_up := watch.used_up()) is not None:
            return Turn(silent_cap=used_up)
        whole = getattr(result, "pydantic", None) or getattr(result, "json_dict", None)
        return Turn(result.raw if whole is None else whole)


class _Watch:
    """The hooks of one run, and what they saw. They are called in CrewAI's threads."""

    def __init__(self, agent: Any, run: AgentRun) -> None:
        self.agent, self.run = agent, run
        self.ask_before: set[str] = set()
        self.messages: list[Any] | None = None  # to continue from
        self.last: list[Any] = []  # of the agent, before its last request
        self.asked: list[tuple[str, str, Any]] = []  # the mark in place of a result, the tool, its arguments
        self.stopped: str | None = None
        self._executors: dict[int, Any] = {}
        self._marks: dict[int, str] = {}  # by the arguments of a call that is not made

    @contextmanager
    def watching(self) -> Iterator[None]:
        from crewai.core.providers.human_input import reset_provider, set_provider
        from crewai.events import crewai_event_bus
        from crewai.events.types.llm_events import LLMCallCompletedEvent
        from crewai.events.types.tool_usage_events import ToolUsageErrorEvent
        from crewai.hooks.dispatch import InterceptionPoint, scoped_hooks
        from crewai.llms.retry import _active_llm_rate_limit_retry as repeating

        mine = repeating.set(True)  # CrewAI believes that somebody repeats a refused request: the orchestrator does
        provider = set_provider(self)
        handlers = {LLMCallCompletedEvent: self._answered, ToolUsageErrorEvent: self._failed}
        for kind, handler in handlers.items():
            crewai_event_bus.register_handler(kind, handler)
        try:
            hooks = {
                InterceptionPoint.PRE_MODEL_CALL: [self._request],
                InterceptionPoint.PRE_TOOL_CALL: [self._tool],
                InterceptionPoint.POST_TOOL_CALL: [self._tool_ended],
            }
            with scoped_hooks(hooks):
                yield
        finally:
            crewai_event_bus.flush(_FLUSH_SECONDS)
            for kind, handler in handlers.items():
                crewai_event_bus.off(kind, handler)
            reset_provider(provider)
            repeating.reset(mine)

    # ---- hooks: any other exception than HookAborted would be dropped

    def _request(self, context: Any) -> None:
        executor = context.executor
        if executor is not None and context.agent is self.agent:
            self.last = _plain(executor.messages)
        self.stopped = self.stopped or self.used_up()
        if self.asked or self.stopped:
            raise _aborted("the run ends here")
        from crewai.events import crewai_event_bus

        crewai_event_bus.flush(_FLUSH_SECONDS)  # the usage so far, for the cap on tokens
        try:
            self.run.request()
        except (CapReached, asyncio.CancelledError) as error:
            raise _aborted(str(error)) from error
        if executor is not None:
            self._executors[id(executor)] = executor
            if any(message.get("role") == "assistant" for message in self.last):
                self.run.checkpoint({"messages": self.last})

    def _tool(self, context: Any) -> None:
        name, arguments = context.tool_name, context.tool_input
        if name in self.ask_before:
            self.asked.append((f"waits-{self.run.work_id}-{len(self.asked)}-", name, dict(arguments)))
            self._marks[id(arguments)] = self.asked[-1][0]
            raise _aborted("a person is asked")
        try:
            self.run.tool(name, arguments)
        except (CapReached, asyncio.CancelledError) as error:
            raise _aborted(str(error)) from error

    def _tool_ended(self, context: Any) -> str | None:
        return self._marks.pop(id(context.tool_input), None)

    # ---- events, of this run and of others

    def _answered(self, source: Any, event: Any) -> None:
        from crewai.types.usage_metrics import UsageMetrics

        if self._is_mine() and (used := UsageMetrics.from_provider_dict(event.usage)) is not None:
            self.run.used(ModelUsage(1, used.prompt_tokens, used.completion_tokens, event.model))

    def _failed(self, source: Any, event: Any) -> None:
        if self._is_mine():
            self.run.tool_ended(event.tool_name, event.error)

    def _is_mine(self) -> bool:
        from crewai.core.providers.human_input import get_provider

        return get_provider() is self

    # ---- CrewAI's provider of human input, which also provides the first messages

    def setup_messages(self, context: Any) -> bool:
        if self.messages is None or context.agent is not self.agent:
            return False
        context.messages.extend(self.messages)
        self.messages = None
        return True

    def post_setup_messages(self, context: Any) -> None:
        pass

    def handle_feedback(self, formatted_answer: Any, context: Any) -> Any:
        self.stopped = "a task has human_input=True, which a bot cannot give: let a reviewer judge the result"
        raise _aborted(self.stopped)

    async def handle_feedback_async(self, formatted_answer: Any, context: Any) -> Any:
        return self.handle_feedback(formatted_answer, context)

    def used_up(self) -> str | None:
        """Return the limit after which CrewAI asks the model for an answer at once; None: it is not reached."""
        for executor in self._executors.values():
            if executor.iterations >= executor.max_iter:
                return f"max_iter={executor.max_iter} of the agent {executor.agent.role}"
        return None


def _refused(agent: Any, ask_before: set[str]) -> str | None:
    """Return why the option cannot be followed: a call that it means to hold back would be made without asking."""
    from crewai.utilities.string_utils import sanitize_tool_name

    if ask_before and hasattr(agent, "tasks"):
        return "ask_before: a crew cannot ask a person, only a single agent can"
    names = {sanitize_tool_name(tool.name) for tool in getattr(agent, "tools", None) or ()}
    if (unknown := ask_before - names) and not (getattr(agent, "mcps", None) or getattr(agent, "apps", None)):
        return f"ask_before names {', '.join(sorted(unknown))}; the tools are {', '.join(sorted(names)) or 'none'}"
    return None


def _aborted(reason: str) -> Exception:
    from crewai.hooks import HookAborted

    aborted: Exception = HookAborted(reason, source="swarmkeeper")
    return aborted


def _plain(messages: Any) -> list[Any]:
    """Return messages as JSON, without objects of a provider's library."""
    kept = [{name: value for name, value in each.items() if name != "raw_tool_call_parts"} for each in messages]
    plain: list[Any] = json.loads(json.dumps(kept, default=str))
    return plain


async def _continued(agent: Any, resumed: Resumed, ask_before: set[str], run: AgentRun) -> list[Any]:
    """Return the messages so far; the calls that a person decided about are made now, if they are approved."""
    try:
        text = json.dumps(resumed.state["messages"])
        calls = [(mark, name, dict(arguments)) for mark, name, arguments in resumed.state.get("calls", ())]
        if not all(isinstance(each["role"], str) for each in resumed.state["messages"]):
            raise StaleState("a message has no role")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StaleState(f"{type(error).__name__}: {error}"[:200]) from error
    if any(name not in ask_before for _, name, _ in calls):
        raise StaleState("it holds a call that needs no approval")
    approved = resumed.waited and resumed.answer in ("approve", True)
    for mark, name, arguments in calls:
        result = await _result(agent, name, arguments, run) if approved else f"Denied by a person: {resumed.answer}"
        text = text.replace(mark, json.dumps(result)[1:-1])
    messages: list[Any] = json.loads(text)
    return messages


async def _result(agent: Any, name: str, arguments: dict[str, Any], run: AgentRun) -> str:
    from crewai.utilities.string_utils import sanitize_tool_name

    run.tool(name, arguments)
    tool = next((each for each in agent.tools or () if sanitize_tool_name(each.name) == name), None)
    if tool is None:
        return f"There is no tool {name}"
    try:
        return str(await asyncio.to_thread(tool.run, **arguments))
    except Exception as error:  # CrewAI shows the model what went wrong in a tool
        run.tool_ended(name, error)
        return f"Error executing tool: {error}"


ADAPTER = CrewAiAdapter()
