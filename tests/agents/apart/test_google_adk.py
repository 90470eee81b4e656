"""Agents of Google ADK as bots: the twelve scenarios, with a scripted model of the framework's own kind."""

from typing import Any

import pytest
from google.adk.agents import LlmAgent, SequentialAgent
from google.adk.apps import App
from google.adk.tools import LongRunningFunctionTool
from google.adk.tools.agent_tool import AgentTool

from swarmkeeper import Context, Done, SubTask
from swarmkeeper.testing.test_server import running_test_server
from tests.agents.apart.guide import bot_of_the_guide
from tests.agents.frameworks.google_adk import GoogleAdk, ScriptedLlm
from tests.agents.script import Call, Say, Script
from tests.agents.suite import TOKENS, AgentSuite, asked, error_of, note, submit
from tests.sdk.bot_thread import at_work


def agent(script: Script, name: str = "scripted", **given: Any) -> Any:
    return LlmAgent(name=name, model=ScriptedLlm(model="scripted", script=script), **given)


class TestGoogleAdk(AgentSuite):
    framework = GoogleAdk()

    def test_the_guides_example_is_a_bot(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert bot_of_the_guide("google_adk", monkeypatch).adapter.name == "google-adk"

    async def test_an_app_and_a_sequence_of_agents_work_too(self) -> None:
        first, second = Script(Say("a draft")), Script(Say("a poem"))
        whole = SequentialAgent(name="whole", sub_agents=[agent(first, "one"), agent(second, "two")])
        async with running_test_server() as server:
            task, _ = await self.done(server, self.bot(App(name="poems", root_agent=whole)))

        assert task.result == {"job": {"text": "a poem"}}
        assert task.usage.tokens == 2 * TOKENS
        assert "a draft" in second.seen[0]

    async def test_an_agent_that_is_a_tool_is_counted(self) -> None:
        inner = agent(Script(Say("inner")), "helper", description="Help")
        script = Script(Call("helper", {"request": "please"}), Say("outer"))
        async with running_test_server() as server:
            task, _ = await self.done(server, self.bot(agent(script, tools=[AgentTool(inner)])))

        assert task.result == {"job": {"text": "outer"}}
        assert task.usage.tokens == 3 * TOKENS

    async def test_the_session_of_an_agent_as_a_tool_is_no_checkpoint(self, monkeypatch: pytest.MonkeyPatch) -> None:
        kept: list[Any] = []
        at = Context(task_id="tsk_1", work_id="sub_1", lease_id="lse_1", attempt=1)
        monkeypatch.setattr(at, "checkpoint", kept.append)
        inner = agent(Script(Call("note", {"text": "a"}), Say("inner")), "helper", description="Help", tools=[note])
        script = Script(Call("helper", {"request": "please"}), Say("outer"))
        done = await self.bot(agent(script, tools=[AgentTool(inner)])).execute(SubTask(description="Write"), at)

        assert done == Done({"text": "outer"})
        assert [each["state"]["events"][0]["content"]["parts"] for each in kept] == [[{"text": "Write"}]]

    async def test_a_person_gives_the_result_of_a_long_running_tool(self) -> None:
        def approval_of(text: str) -> dict[str, str]:
            """Ask the manager."""
            return {"status": "pending"}

        script = Script(Call("approval_of", {"text": "five"}), Say("I wait"), Say("settled"))
        made = agent(script, tools=[LongRunningFunctionTool(approval_of)])
        async with running_test_server() as server, at_work(server, self.bot(made)):
            task = await submit(server)
            question = await asked(server, task.id)
            await server.client.answer(question.id, "yes, says the manager")
            ended = await server.client.wait(task.id, timeout=30)

        assert "approval_of" in (question.question or "")
        assert ended.result == {"job": {"text": "settled"}}
        assert "yes, says the manager" in script.seen[-1]

    @pytest.mark.parametrize("reason", ["MAX_TOKENS", "SAFETY"])
    async def test_an_answer_that_was_cut_off_or_filtered_is_a_failure(self, reason: str) -> None:
        made = agent(Script(Say("half of")))
        made.model.finish_reason = reason
        async with running_test_server() as server:
            task, job = await self.done(server, self.bot(made))

        assert (task.outcome, len(job.attempts)) == ("failed", 1)
        assert reason in error_of(job)
