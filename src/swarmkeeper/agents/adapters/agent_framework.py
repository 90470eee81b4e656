"""Microsoft Agent Framework: middleware follows the run, approvals are the questions, session or messages the state."""

from __future__ import annotations

from typing import Any

from swarmkeeper.agents.adapter import AgentQuestion, Resumed, StaleState, Turn
from swarmkeeper.agents.caps import CapReached, ModelUsage
from swarmkeeper.agents.prompt import Prompt
from swarmkeeper.agents.run import AgentRun

_CUT_OFF = {"length": "the model's answer is cut off at its length", "content_filter": "a content filter ended it"}


class _NoMoreTools(Exception):
    """The framework asks the model for a last answer without tools, because a limit of its own was reached."""


class AgentFrameworkAdapter:
    """See `Adapter`."""

    name = "agent-framework"

    def accepts(self, agent: object) -> bool:
        return hasattr(agent, "client") and hasattr(agent, "create_session")

    async def start(self, agent: Any, prompt: Prompt, resumed: Resumed | None, run: AgentRun) -> Turn:
        given = dict(run.options)
        given["middleware"] = [*given.get("middleware", ()), *_middleware(agent, run)]
        messages, session = (prompt.text(), None) if resumed is None else _continued(resumed)
        given["session"] = session or agent.create_session(session_id=run.work_id)
        try:
            response = await agent.run(messages, **given)
        except _NoMoreTools:
            limits = "max_iterations, max_function_calls, max_duration_seconds or max_consecutive_errors_per_request"
            return Turn(silent_cap=f"function_invocation_configuration of its client ({limits})")
        requests = response.user_input_requests
        if any(each.type != "function_approval_request" for each in requests):
            return Turn(silent_cap=f"it waits for what a bot cannot give: {', '.join(e.type for e in requests)}")
        if requests:
            calls = [each.function_call for each in requests]
            named = ", ".join(f"{call.name}({call.arguments or ''})" for call in calls)
            state = {"session": given["session"].to_dict(), "requests": [each.to_dict() for each in requests]}
            return Turn(question=AgentQuestion(f"May the agent call {named}?", ("approve", "deny")), state=state)
        output = response.messages[-1].text if response.value is None and response.messages else response.value
        return Turn(output, silent_cap=_CUT_OFF.get(response.finish_reason))


def _middleware(agent: Any, run: AgentRun) -> list[Any]:
    from agent_framework import MiddlewareFailure, chat_middleware, function_middleware
    from agent_framework.exceptions import UserInputRequiredException

    own = {**getattr(agent, "default_options", {}), **run.options.get("options", {})}

    async def request(context: Any, call_next: Any) -> None:
        sent = context.options or {}
        if sent.get("tool_choice") == "none" and own.get("tool_choice") != "none":
            raise _NoMoreTools
        run.request()
        if len(context.messages) > 1 and not sent.get("conversation_id"):  # else the service has the other messages
            run.checkpoint({"messages": [each.to_dict() for each in context.messages]})
        await call_next()
        used = context.result.usage_details or {}
        counts = (used.get("input_token_count") or 0, used.get("output_token_count") or 0)
        run.used(ModelUsage(1, *counts, context.result.model))

    async def tool(context: Any, call_next: Any) -> None:
        name = context.function.name
        try:
            run.tool(name, context.arguments)
        except CapReached as error:
            raise MiddlewareFailure(str(error)) from error  # another exception would be a result that the model sees
        try:
            await call_next()
        except (MiddlewareFailure, UserInputRequiredException):
            raise
        except Exception as error:
            run.tool_ended(name, error)
            raise

    return [chat_middleware(request), function_middleware(tool)]


def _continued(resumed: Resumed) -> tuple[Any, Any]:
    """Return the messages to run with, and the session that they belong to, if they answer its questions."""
    from agent_framework import AgentSession, Content, Message

    try:
        if not resumed.waited:
            return [Message.from_dict(each) for each in resumed.state["messages"]], None
        approved = resumed.answer in ("approve", True)
        asked = [Content.from_dict(each) for each in resumed.state["requests"]]
        answers = [each.to_function_approval_response(approved) for each in asked]
        return Message("user", answers), AgentSession.from_dict(resumed.state["session"])
    except Exception as error:  # of the framework: whatever a state of another version makes it raise
        raise StaleState(f"{type(error).__name__}: {error}"[:200]) from error


ADAPTER = AgentFrameworkAdapter()
