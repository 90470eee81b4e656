"""How a bot is written, and the errors for an author who gets it wrong."""

import os
import signal
from typing import Any

import pytest

from swarmkeeper import (
    Context,
    Done,
    EvaluatorBot,
    ExecutorBot,
    Plan,
    PlannerBot,
    SubTask,
    evaluator,
    executor,
    planner,
)
from swarmkeeper.sdk.bots import takes_context
from swarmkeeper.sdk.context import Candidate
from swarmkeeper.sdk.runner import run
from swarmkeeper.wire.requests import TaskDefinition
from tests.sdk.script import Script, lease, orchestrator, refusal, served


def test_a_function_becomes_a_bot() -> None:
    @executor(skills={"text.count"}, capacity=2, name="counter")
    async def count(subtask: SubTask) -> Done:
        """Counts words."""
        return Done({"words": len(subtask.input["text"].split())})

    @planner
    def split(task: TaskDefinition) -> Plan:
        return Plan([{"description": task.title}])

    @evaluator(skills={"judge"})
    def judge(candidate: Candidate, context: Context) -> None: ...

    assert isinstance(count, ExecutorBot)
    assert (count.name, count.capacity, count.skills, count.__doc__) == ("counter", 2, {"text.count"}, "Counts words.")
    assert isinstance(split, PlannerBot)
    assert isinstance(judge, EvaluatorBot)
    assert takes_context(judge.code())
    assert not takes_context(count.code())


def test_a_setting_that_bots_do_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="no setting 'skill'"):

        @executor(skill={"x"})
        def nothing(subtask: SubTask) -> None: ...


def test_a_bot_without_its_method_gets_an_error_that_names_it() -> None:
    class Empty(ExecutorBot):
        pass

    with pytest.raises(TypeError, match="Empty needs a method execute"):
        Empty().code()


def test_a_method_with_other_parameters_is_refused_before_there_is_work() -> None:
    class Odd(PlannerBot):
        def plan(self, task: Any, context: Any, more: Any) -> None: ...

    class Keyword(PlannerBot):
        def plan(self, task: Any, *, more: Any) -> None: ...

    for bot in (Odd(), Keyword()):
        with pytest.raises(TypeError, match="takes the work"):
            bot.code()


def test_a_parameter_with_a_default_is_not_taken_for_the_context() -> None:
    class Tuned(ExecutorBot):
        def execute(self, subtask: SubTask, model: str = "small") -> None: ...

    class Contextual(ExecutorBot):
        def execute(self, subtask: SubTask, context: Context | None = None) -> None: ...

    assert not takes_context(Tuned().code())
    assert takes_context(Contextual().code())


def test_skills_given_as_one_text_are_refused() -> None:
    class Careless(ExecutorBot):
        skills = "text.count"

        def execute(self, subtask: SubTask) -> None: ...

    with pytest.raises(TypeError, match="set of words"):
        Careless().connect(Script().client())


def test_a_planner_is_given_the_task_and_an_evaluator_the_results() -> None:
    seen: list[Any] = []

    @planner(skills={"p"})
    async def plan(task: TaskDefinition) -> Plan:
        seen.append(task)
        return Plan([{"description": "one"}])

    @evaluator(skills={"e"})
    async def review(candidate: Candidate) -> None:
        seen.append(candidate)

    for bot, given in (
        (plan, lease(kind="plan", work_id="wrk_1")),
        (review, lease(kind="review", work_id="wrk_1", review={"of": "task", "results": {"a": {"x": 1}}})),
    ):
        served(orchestrator(given), bot)

    task, candidate = seen
    assert (task.id, task.title, task.input) == ("tsk_1", "Count", {"path": "/x"})
    assert (candidate.of, candidate.round, candidate.results, candidate.task.title) == (
        "task",
        2,
        {"a": {"x": 1}},
        "Count",
    )


def test_run_ends_on_a_signal() -> None:
    script = orchestrator(lease())

    @executor
    async def ending(subtask: SubTask) -> Done:
        os.kill(os.getpid(), signal.SIGTERM)
        return Done({"words": 4})

    run(ending, client=script.client())

    assert [call.body["output"] for call in script.to("POST", "/tasks/tsk_1/results")] == [{"words": 4}]
    assert script.closed


def test_run_exits_with_a_refusal_in_one_line() -> None:
    script = Script()
    script.on("POST", "/bots/register", refusal(403, "forbidden"))

    @executor
    async def nothing(subtask: SubTask) -> Done:
        return Done()

    with pytest.raises(SystemExit, match=r"swarmkeeper: it is forbidden \[forbidden\]"):
        run(nothing, client=script.client())


def test_two_bots_share_a_process() -> None:
    @executor(skills={"a"})
    async def one(subtask: SubTask) -> Done:
        return Done()

    @planner(skills={"b"})
    async def other(task: TaskDefinition) -> Plan:
        return Plan([{"description": "one"}])

    script = orchestrator(lease())

    served(script, one, other)

    assert [call.body["type"] for call in script.to("POST", "/bots/register")] == ["Executor", "Planner"]
