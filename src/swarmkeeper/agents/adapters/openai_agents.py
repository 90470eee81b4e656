"""OpenAI Agents SDK: run hooks follow the run, approvals are the questions, `RunState` or the items are the state.

Its traces go to OpenAI's service unless they are switched off. So they are off, unless `options` has a `run_config`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from swarmkeeper.agents.adapter import AgentQuestion, Resumed, StaleState, Turn
from swarmkeeper.agents.caps import ModelUsage
from swarmkeeper.agents.prompt import Prompt
from swarmkeeper.agents.run import AgentRun


class OpenAiAgentsAdapter:
    """See `Adapter`."""

    name = "openai-agents"

    def accepts(self, agent: object) -> bool:
        return hasattr(agent, "handoffs") and hasattr(agent, "instructions")

    async def start(self, agent: Any, prompt: Prompt, resumed: Resumed | None, run: AgentRun) -> Turn:
        from agents import RunConfig, Runner

        given = dict(run.options)
        config = given.pop("run_config", None) or RunConfig(tracing_disabled=True)
        if config.tool_error_formatter is None:
            config = replace(config, tool_error_formatter=_reports_errors(run))
        metadata = {**(config.trace_metadata or {}), "traceparent": run.traceparent or ""}
        config = replace(config, group_id=config.group_id or run.task_id, trace_metadata=metadata)
        # Its own bound on turns is off, because ours counts every model request of the attempt.
        given = {"max_turns": None, "hooks": _hooks(run), "run_config": config, **given}
        start = prompt.text() if resumed is None else await _continued(agent, resumed)
        result = await Runner.run(agent, start, **given)
        if not result.interruptions:
            return Turn(result.final_output)
        named = ", ".join(f"{each.name}({each.arguments or ''})" for each in result.interruptions)
        question = AgentQuestion(f"May the agent call {named}?", ("approve", "deny"))
        return Turn(question=question, state={"run": result.to_state().to_json()})


def _hooks(run: AgentRun) -> Any:
    from agents import RunHooks

    before: list[tuple[int, int]] = []  # what a state from an earlier attempt brought along

    def count(context: Any) -> None:
        """Agents that are tools have their own hooks, and their use appears in the totals."""
        used = (context.usage.requests, context.usage.total_tokens)
        before[:] = before or [used]
        run.used_at_least(used[0] - before[0][0], used[1] - before[0][1])

    class Watching(RunHooks[Any]):
        async def on_llm_start(self, context: Any, agent: Any, system_prompt: Any, input_items: Any) -> None:
            count(context)
            run.request()
            if len(input_items) > 1:
                run.checkpoint({"items": input_items})

        async def on_llm_end(self, context: Any, agent: Any, response: Any) -> None:
            model = agent.model if isinstance(agent.model, str) else getattr(agent.model, "model", None)
            run.used(ModelUsage(1, response.usage.input_tokens, response.usage.output_tokens, model))

        async def on_tool_start(self, context: Any, agent: Any, tool: Any) -> None:
            count(context)
            run.tool(tool.name, getattr(context, "tool_arguments", None))

        async def on_tool_end(self, context: Any, agent: Any, tool: Any, result: Any) -> None:
            count(context)

    return Watching()


def _reports_errors(run: AgentRun) -> Any:
    def reported(failed: Any) -> None:
        run.tool_ended(failed.tool_name, failed.error or failed.default_message)  # None: the SDK's own message is used

    return reported


async def _continued(agent: Any, resumed: Resumed) -> Any:
    """Return what to run: the items so far, or the state with the person's decision."""
    from agents import RunState

    try:
        if not resumed.waited:
            return list(resumed.state["items"])
        state = await RunState.from_json(agent, resumed.state["run"])
        for each in state.get_interruptions():
            if resumed.answer in ("approve", True):
                state.approve(each)
            else:
                state.reject(each)
    except Exception as error:  # of the SDK: whatever a state of another version makes it raise
        raise StaleState(f"{type(error).__name__}: {error}"[:200]) from error
    return state


ADAPTER = OpenAiAgentsAdapter()
