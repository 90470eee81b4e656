"""Agents of Microsoft Agent Framework as bots: the twelve scenarios, with a scripted client of the framework's kind."""

import pytest

from swarmkeeper.testing.test_server import running_test_server
from tests.agents.apart.guide import bot_of_the_guide
from tests.agents.frameworks.agent_framework import AgentFramework
from tests.agents.script import Call, Say, Script
from tests.agents.suite import TOKENS, AgentSuite, broken, error_of, note


class TestAgentFramework(AgentSuite):
    framework = AgentFramework()

    def test_the_guides_example_is_a_bot(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert bot_of_the_guide("agent_framework", monkeypatch).adapter.name == "agent-framework"

    async def test_a_limit_of_the_framework_is_a_failure_and_its_last_request_is_not_paid(self) -> None:
        script = Script(*(Call("note", {"text": f"{number}"}) for number in range(9)))
        agent = self.framework.agent(script, [note])
        agent.client.function_invocation_configuration["max_iterations"] = 3
        async with running_test_server() as server:
            task, job = await self.done(server, self.bot(agent))

        assert (task.outcome, len(job.attempts), len(script.seen)) == ("failed", 1, 3)
        assert "max_iterations" in error_of(job)
        assert task.usage.tokens == 3 * TOKENS

    async def test_errors_in_a_row_are_a_failure_too(self) -> None:
        script = Script(*(Call("broken", {"text": f"{number}"}) for number in range(9)))
        async with running_test_server() as server:
            task, job = await self.done(server, self.bot(self.framework.agent(script, [broken])))

        assert (task.outcome, len(job.attempts)) == ("failed", 1)
        assert "max_consecutive_errors_per_request" in error_of(job)

    async def test_an_agent_that_never_calls_tools_by_its_own_choice_has_a_result(self) -> None:
        agent = self.framework.agent(Script(Say("written")), [note])
        agent.default_options["tool_choice"] = "none"
        async with running_test_server() as server:
            task, _ = await self.done(server, self.bot(agent))

        assert task.result == {"job": {"text": "written"}}

    async def test_an_answer_that_was_cut_off_is_a_failure(self) -> None:
        agent = self.framework.agent(Script(Say("half of")))
        agent.client.finish_reason = "length"
        async with running_test_server() as server:
            task, job = await self.done(server, self.bot(agent))

        assert (task.outcome, len(job.attempts)) == ("failed", 1)
        assert "cut off" in error_of(job)
