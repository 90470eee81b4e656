"""Agents of Strands as bots: the twelve scenarios, with a scripted model of the framework's own kind."""

from typing import Any

import pytest
from strands import Agent
from strands.types.exceptions import ModelThrottledException
from strands.vended_interventions.hitl import HumanInTheLoop

from swarmkeeper.testing.test_server import running_test_server
from tests.agents.apart.guide import bot_of_the_guide
from tests.agents.frameworks.strands import ScriptedModel, Strands
from tests.agents.script import INPUT_TOKENS, OUTPUT_TOKENS, Call, Say, Script
from tests.agents.suite import AgentSuite, asked, error_of, note, submit
from tests.sdk.bot_thread import at_work


class TestStrands(AgentSuite):
    framework = Strands()

    def test_the_guides_example_is_a_bot(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert bot_of_the_guide("strands", monkeypatch).adapter.name == "strands"

    async def test_a_throttled_request_is_not_repeated_by_the_framework(self) -> None:
        script = Script(lambda: ModelThrottledException("slow down"), Say("at last"))
        async with running_test_server() as server:
            task, job = await self.done(server, self.bot(Agent(ScriptedModel(script), callback_handler=None)))

        assert task.result == {"job": {"text": "at last"}}
        assert [(attempt.error or {}).get("class") for attempt in job.attempts] == ["rate_limited", None]

    async def test_an_agent_that_is_a_tool_is_counted(self) -> None:
        inner = Agent(ScriptedModel(Script(Say("inner"))), name="helper", description="Help", callback_handler=None)
        script = Script(Call("helper", {"input": "please"}), Say("outer"))
        async with running_test_server() as server:
            task, _ = await self.done(
                server, self.bot(Agent(ScriptedModel(script), tools=[inner], callback_handler=None))
            )

        assert task.result == {"job": {"text": "outer"}}
        assert task.usage.tokens == 3 * (INPUT_TOKENS + OUTPUT_TOKENS)

    async def test_a_limit_of_the_framework_is_a_failure(self) -> None:
        script = Script(Call("note", {"text": "a"}), Say("never said"))
        async with running_test_server() as server:
            bot = self.bot(self.framework.agent(script, [note]), options={"limits": {"turns": 1}})
            task, job = await self.done(server, bot)

        assert (task.outcome, len(job.attempts)) == ("failed", 1)
        assert "limit_turns" in error_of(job)

    async def test_two_attempts_of_one_agent_do_not_see_each_other(self) -> None:
        script = Script(Say("one"), Say("two"))
        async with running_test_server() as server, at_work(server, self.bot(self.framework.agent(script), capacity=2)):
            tasks = [await submit(server), await submit(server)]
            ended = [await server.client.wait(task.id, timeout=30) for task in tasks]

        assert sorted(task.result["job"]["text"] for task in ended if task.result) == ["one", "two"]
        assert [shown.count("Write a poem") for shown in script.seen] == [1, 1]

    async def test_an_agent_also_works_outside_of_its_bot(self) -> None:
        agent: Any = self.framework.agent(Script(Say("one"), Call("note", {"text": "a"}), Say("two")), [note])
        async with running_test_server() as server:
            await self.done(server, self.bot(agent))

        assert str(await agent.invoke_async("again")).strip() == "two"

    @pytest.mark.parametrize("approved", [True, False])
    async def test_the_frameworks_own_review_has_choices(self, approved: bool) -> None:
        called = []

        async def refund(text: str) -> str:
            """Pay money back."""
            called.append(text)
            return "refunded"

        from strands import tool

        script = Script(Call("refund", {"text": "five"}), Say("settled"))
        agent = Agent(
            ScriptedModel(script), tools=[tool(refund)], interventions=[HumanInTheLoop()], callback_handler=None
        )
        async with running_test_server() as server, at_work(server, self.bot(agent)):
            task = await submit(server)
            question = await asked(server, task.id)
            await server.client.answer(question.id, "approve" if approved else "deny")
            ended = await server.client.wait(task.id, timeout=30)

        assert question.choices == ["approve", "deny"]
        assert (ended.result, called) == ({"job": {"text": "settled"}}, ["five"] if approved else [])

    def test_an_agent_with_a_session_manager_is_refused(self, tmp_path: Any) -> None:
        from strands.session.file_session_manager import FileSessionManager

        manager = FileSessionManager(session_id="s", storage_dir=str(tmp_path))
        with pytest.raises(TypeError, match="session manager"):
            self.bot(Agent(ScriptedModel(Script(Say("x"))), session_manager=manager))
