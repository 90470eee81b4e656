"""Agents of CrewAI as bots: the twelve scenarios, with a scripted LLM of the framework's own kind."""

import asyncio
import time
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from crewai.tools import tool

from swarmkeeper import Context, SubTask
from swarmkeeper.testing.test_server import running_test_server, soon
from tests.agents.apart.guide import bot_of_the_guide
from tests.agents.frameworks.crewai import TIMEOUT_SECONDS, CrewAi, llm
from tests.agents.script import Call, Hang, Say, Script
from tests.agents.suite import TOKENS, AgentSuite, error_of, note


def crew(*scripts: Script, **given: Any) -> Any:
    agents = [Agent(role=f"r{n}", goal="work", backstory="none", llm=llm(script)) for n, script in enumerate(scripts)]
    tasks = [Task(description="Do {prompt}", expected_output="it", agent=agent, **given) for agent in agents]
    return Crew(agents=agents, tasks=tasks)


class TestCrewAi(AgentSuite):
    framework = CrewAi()

    def bot(self, agent: Any, **settings: Any) -> Any:
        return super().bot(agent, **{"options": {"ask_before": self.framework.ask_before}, **settings})

    def test_the_guides_example_is_a_bot(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert bot_of_the_guide("crewai", monkeypatch).adapter.name == "crewai"

    async def test_a_crew_works_and_all_its_agents_are_counted(self) -> None:
        first, second = Script(Say("a draft")), Script(Say("a poem"))
        async with running_test_server() as server:
            task, _ = await self.done(server, self.bot(crew(first, second), options={}))

        assert task.result == {"job": {"text": "a poem"}}
        assert task.usage.tokens == 2 * TOKENS
        assert "about the sea" in first.seen[0]
        assert "a draft" in second.seen[0]

    async def test_a_crew_that_wants_to_ask_at_a_terminal_fails_for_good(self) -> None:
        async with running_test_server() as server:
            task, job = await self.done(server, self.bot(crew(Script(Say("a draft")), human_input=True), options={}))

        assert (task.outcome, len(job.attempts)) == ("failed", 1)
        assert "human_input" in error_of(job)

    @pytest.mark.parametrize("kind", ["crew", "agent"])
    async def test_an_approval_that_could_not_be_asked_for_is_refused(self, kind: str) -> None:
        script = Script(Say("x"))
        made = crew(script) if kind == "crew" else self.framework.agent(script, [note])
        async with running_test_server() as server:
            task, job = await self.done(server, self.bot(made, options={"ask_before": ["pay"]}))

        assert (task.outcome, len(job.attempts), script.seen) == ("failed", 1, [])
        assert "ask_before" in error_of(job)

    async def test_a_loop_of_equal_calls_is_ended_by_the_framework_and_not_repeated(self) -> None:
        script = Script(Call("note", {"text": "again"}))
        async with running_test_server() as server:
            task, job = await self.done(server, self.bot(self.framework.agent(script, [note])))

        assert (task.outcome, len(job.attempts)) == ("failed", 1)
        assert "not making progress" in error_of(job)

    async def test_the_frameworks_limit_of_iterations_is_a_failure(self) -> None:
        script = Script(*(Call("note", {"text": f"{number}"}) for number in range(3)), Say("a guess"))
        agent = Agent(role="scripted", goal="work", backstory="none", llm=llm(script), tools=[tool(note)], max_iter=3)
        async with running_test_server() as server:
            task, job = await self.done(server, self.bot(agent, options={}))

        assert (task.outcome, len(job.attempts)) == ("failed", 1)
        assert "max_iter=3" in error_of(job)

    async def test_a_cancelled_attempt_ends_before_the_request_that_nothing_can_cancel(self) -> None:
        script = Script(Hang())
        bot = self.bot(self.framework.agent(script))
        at = Context(task_id="tsk_1", work_id="sub_1", lease_id="lse_1", attempt=1)
        attempt = asyncio.create_task(bot.execute(SubTask(description="Write"), at))
        assert await soon(lambda: script.hung == 1, 20)
        began = time.monotonic()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt

        assert time.monotonic() - began < TIMEOUT_SECONDS / 2
        assert script.cancelled == 0, "it is still on its way"
