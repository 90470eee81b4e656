"""Agents that call agents: what the inner ones use is counted, and bounded with the outer one."""

from typing import Any

from agents import Agent as OpenAiAgent
from pydantic_ai import Agent, RunContext

from swarmkeeper.agents import Caps, agent_bot
from swarmkeeper.testing import run_swarm
from tests.agents.frameworks.openai_agents import ScriptedResponses
from tests.agents.frameworks.pydantic_ai import scripted
from tests.agents.script import INPUT_TOKENS, OUTPUT_TOKENS, Call, Say, Script

TOKENS = INPUT_TOKENS + OUTPUT_TOKENS
JOB = {"key": "job", "description": "Do it", "required_skills": ["write"], "max_attempts": 1}


def ended(agent: Any, **settings: Any) -> tuple[Any, int]:
    [task] = run_swarm([agent_bot(agent, skills="write", **settings)], [{"title": "t", "subtasks": [JOB]}])
    return task.outcome, task.usage.tokens


def delegating(*steps: Any) -> Any:
    inner, outer = Agent(scripted(Script(Say("inner")))), Agent(scripted(Script(*steps)))

    @outer.tool
    async def ask(ctx: RunContext, text: str) -> str:
        return (await inner.run(text, usage=ctx.usage)).output

    return outer


def with_a_tool(*steps: Any) -> Any:
    inner = OpenAiAgent(name="inner", model=ScriptedResponses(Script(Say("inner"))))
    tool = inner.as_tool("ask", "Ask the inner agent.")
    return OpenAiAgent(name="outer", model=ScriptedResponses(Script(*steps)), tools=[tool])


def test_an_agent_of_pydantic_ai_in_a_tool_is_counted() -> None:
    assert ended(delegating(Call("ask", {"text": "x"}), Say("done"))) == ("accepted", 3 * TOKENS)
    assert ended(delegating(Call("ask", {"text": "x"})), caps=Caps(requests=5)) == ("failed", 6 * TOKENS)


def test_an_agent_of_openai_in_a_tool_is_counted() -> None:
    assert ended(with_a_tool(Call("ask", {"input": "x"}), Say("done"))) == ("accepted", 3 * TOKENS)
    assert ended(with_a_tool(Call("ask", {"input": "x"})), caps=Caps(requests=5)) == ("failed", 6 * TOKENS)
