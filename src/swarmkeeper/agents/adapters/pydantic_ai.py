"""pydantic-ai: hooks follow the run, deferred tool calls are the questions, the messages are the state."""

from __future__ import annotations

import json
from typing import Any

from swarmkeeper.agents.adapter import AgentQuestion, Resumed, StaleState, Turn
from swarmkeeper.agents.caps import ModelUsage
from swarmkeeper.agents.prompt import Prompt
from swarmkeeper.agents.run import AgentRun


class PydanticAiAdapter:
    """See `Adapter`."""

    name = "pydantic-ai"

    def accepts(self, agent: object) -> bool:
        return hasattr(agent, "iter") and hasattr(agent, "output_type")

    async def start(self, agent: Any, prompt: Prompt, resumed: Resumed | None, run: AgentRun) -> Turn:
        from pydantic_ai import DeferredToolRequests, RunUsage, UsageLimits
        from pydantic_ai.messages import ModelMessagesTypeAdapter as Messages

        given = dict(run.options)
        if not getattr(agent, "_output_validators", None) and "output_type" not in given:
            given["output_type"] = [agent.output_type, DeferredToolRequests]  # else a tool cannot ask for approval
        given.setdefault("usage_limits", UsageLimits(request_limit=None))  # ours count what failed as well
        given["capabilities"] = [*given.get("capabilities", ()), _hooks(run, Messages)]
        used = given.setdefault("usage", RunUsage())
        if resumed is None:
            given["user_prompt"] = prompt.text()
        else:
            given |= _continued(resumed, Messages)
        try:
            result = await agent.run(**given)
        finally:
            run.used_at_least(used.requests, used.total_tokens)
        if not isinstance(result.output, DeferredToolRequests):
            return Turn(result.output)
        asked = result.output
        state = {
            "messages": Messages.dump_python(result.all_messages(), mode="json"),
            "approvals": [call.tool_call_id for call in asked.approvals],
            "calls": [call.tool_call_id for call in asked.calls],
        }
        named = ", ".join(f"{call.tool_name}({_text(call.args)})" for call in [*asked.approvals, *asked.calls])
        if asked.calls:
            return Turn(question=AgentQuestion(f"What is the result of {named}?"), state=state)
        return Turn(question=AgentQuestion(f"May the agent call {named}?", ("approve", "deny")), state=state)


def _hooks(run: AgentRun, messages: Any) -> Any:
    from pydantic_ai import ApprovalRequired, CallDeferred
    from pydantic_ai.capabilities import Hooks

    async def request(ctx: Any, *, request_context: Any, handler: Any) -> Any:
        run.request()
        if len(request_context.messages) > 1:
            run.checkpoint({"messages": messages.dump_python(request_context.messages, mode="json")})
        response = await handler(request_context)
        used = response.usage
        run.used(ModelUsage(1, used.input_tokens, used.output_tokens, response.model_name))
        return response

    async def tool(ctx: Any, *, call: Any, tool_def: Any, args: Any, handler: Any) -> Any:
        run.tool(call.tool_name, args)
        try:
            result = await handler(args)
            run.used_at_least(ctx.usage.requests, ctx.usage.total_tokens)  # an agent in the tool may have used it, too
            return result
        except (ApprovalRequired, CallDeferred):
            raise
        except Exception as error:
            run.tool_ended(call.tool_name, error)
            raise

    async def invalid(ctx: Any, *, call: Any, tool_def: Any, args: Any, error: Any) -> Any:
        run.tool_ended(call.tool_name, error)
        raise error

    return Hooks(model_request=request, tool_execute=tool, tool_validate_error=invalid)


def _continued(resumed: Resumed, messages: Any) -> dict[str, Any]:
    from pydantic_ai import DeferredToolResults, ToolDenied

    try:
        given: dict[str, Any] = {"message_history": messages.validate_python(resumed.state["messages"])}
        if resumed.waited:
            approved = True if resumed.answer in ("approve", True) else ToolDenied(f"Denied: {resumed.answer}")
            given["deferred_tool_results"] = DeferredToolResults(
                approvals=dict.fromkeys(resumed.state["approvals"], approved),
                calls=dict.fromkeys(resumed.state["calls"], resumed.answer),
            )
    except (KeyError, TypeError, ValueError) as error:
        raise StaleState(str(error)[:200]) from error
    return given


def _text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False, default=str)


ADAPTER = PydanticAiAdapter()
