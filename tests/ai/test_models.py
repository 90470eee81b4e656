"""Models by name: which are made, what is missing, the second where the first is down, and the pace they keep."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from swarmkeeper.ai.models import CannotMakeModel, ModelChoice, model_of
from swarmkeeper.ai.pace import ModelPace
from swarmkeeper.sim.kernel.loop import virtual_loop

MODELS = """
from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models.test import TestModel

calls = []


def answer(messages, info):
    calls.append(info.model_settings)
    return ModelResponse(parts=[TextPart("from the function")])


def unreachable(messages, info):
    raise ModelConnectionError("m", "no route")


def broken(messages, info):
    raise ModelHTTPError(503, "m")


def limited(messages, info):
    raise ModelHTTPError(429, "m")


ready = TestModel(custom_output_text="from the model")
number = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models.py").write_text(MODELS)
    return tmp_path


def asked(choice: ModelChoice, environ: dict[str, str] | None = None) -> Any:
    return asyncio.run(Agent(model_of(choice, environ or {})).run("hello"))


def in_file(folder: Path, *names: str, **more: Any) -> ModelChoice:
    return ModelChoice([f"python:models.py:{name}" for name in names], folder=folder, **more)


@pytest.mark.parametrize(("name", "text"), [("answer", "from the function"), ("ready", "from the model")])
def test_a_function_or_a_model_of_a_file_is_a_model(folder: Path, name: str, text: str) -> None:
    assert asked(in_file(folder, name)).output == text


@pytest.mark.parametrize("down", ["unreachable", "broken"])
def test_the_second_is_used_where_the_first_is_down_and_is_named_in_the_answer(folder: Path, down: str) -> None:
    result = asked(in_file(folder, down, "answer"))

    assert result.output == "from the function"
    assert result.response.model_name == "python:models.py:answer"


def test_an_answer_has_the_name_that_the_user_wrote_for_its_model(folder: Path) -> None:
    assert asked(in_file(folder, "ready")).response.model_name == "python:models.py:ready"


def test_a_rate_limit_of_the_first_is_not_answered_by_the_second(folder: Path) -> None:
    with pytest.raises(ModelHTTPError) as caught:
        asked(in_file(folder, "limited", "answer"))

    assert caught.value.status_code == 429


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (["anthropic:claude-sonnet-4-5"], "needs the environment variable ANTHROPIC_API_KEY"),
        (["openai:gpt-5.2"], "needs the environment variable OPENAI_API_KEY"),
        (["opneai:gpt-5.2"], "opneai:gpt-5.2"),
        (["python:models.py:number"], "neither a model nor a function"),
        (["python:models.py:nothing"], "has no nothing"),
        ([], "at least one"),
    ],
)
def test_a_model_that_cannot_be_made_says_what_is_missing(
    folder: Path, use: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CannotMakeModel, match=said):
        model_of(ModelChoice(use, folder=folder), {})


def test_the_key_of_an_address_comes_from_the_variable_that_is_named() -> None:
    choice = ModelChoice(["http://127.0.0.1:9/v1#m"], key_env="MY_KEY")

    with pytest.raises(CannotMakeModel, match="needs the environment variable MY_KEY"):
        model_of(choice, {})
    made: Any = model_of(choice, {"MY_KEY": "the-key-of-mine"})
    assert "the-key-of-mine" not in repr(made)
    assert str(made.base_url).startswith("http://127.0.0.1:9/v1")


def test_a_server_that_is_not_there_is_down(folder: Path) -> None:
    choice = ModelChoice(["http://127.0.0.1:9/v1#m", "python:models.py:answer"], folder=folder)

    assert asked(choice).output == "from the function"
    with pytest.raises(ModelConnectionError):
        asked(ModelChoice(["http://127.0.0.1:9/v1#m"]))


def test_settings_of_the_choice_reach_the_model(folder: Path) -> None:
    from swarmkeeper.ai.python_files import loaded

    asked(in_file(folder, "answer", temperature=0.5, max_output_tokens=99))

    assert loaded("python:models.py:calls", folder)[-1] == {"temperature": 0.5, "max_tokens": 99, "max_retries": 0}


# ---- pace


def run_virtually(work: Any) -> Any:
    loop = virtual_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


def test_requests_of_any_minute_stay_within_the_bound() -> None:
    sent: list[float] = []

    async def all_of_them() -> None:
        pace = ModelPace(requests_per_minute=5)

        async def one() -> None:
            async with pace.turn():
                sent.append(asyncio.get_running_loop().time())

        await asyncio.gather(*(one() for _ in range(17)))

    run_virtually(all_of_them())
    for first in sent:
        assert sum(first <= at < first + 60 for at in sent) <= 5
    assert sent[-1] - sent[0] < 181


def test_tokens_of_a_minute_hold_the_next_request_back_until_they_are_old() -> None:
    async def story() -> float:
        pace, loop = ModelPace(tokens_per_minute=100), asyncio.get_running_loop()
        async with pace.turn():
            pace.used(250)
        before = loop.time()
        async with pace.turn():
            return loop.time() - before

    assert 60 <= run_virtually(story()) < 61


def test_no_more_requests_run_at_a_time_than_allowed_and_a_cancelled_one_takes_no_place() -> None:
    most = running = 0

    async def story() -> None:
        nonlocal most, running
        pace = ModelPace(max_concurrent=2)

        async def one() -> None:
            nonlocal most, running
            async with pace.turn():
                running += 1
                most = max(most, running)
                await asyncio.sleep(1)
                running -= 1

        tasks = [asyncio.create_task(one()) for _ in range(9)]
        await asyncio.sleep(0.5)
        for task in tasks[3:6]:
            task.cancel()
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert asyncio.get_running_loop().time() - began <= 2.6

    run_virtually(story())
    assert most == 2


def test_a_place_that_is_offered_to_a_request_which_is_just_cancelled_goes_to_the_next() -> None:
    async def story() -> float:
        pace, loop = ModelPace(max_concurrent=1), asyncio.get_running_loop()
        entered: list[float] = []

        async def one() -> None:
            async with pace.turn():
                entered.append(loop.time())

        async with pace.turn():
            second, third = asyncio.create_task(one()), asyncio.create_task(one())
            await asyncio.sleep(1)
            left = loop.time()
        second.cancel()
        await asyncio.gather(second, third, return_exceptions=True)
        return entered[0] - left

    assert run_virtually(story()) < 0.1


def test_bots_with_loops_of_their_own_share_one_pace() -> None:
    import threading

    pace = ModelPace(max_concurrent=1)
    running: list[int] = []
    most: list[int] = []

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart("x")])

    async def work() -> None:
        for _ in range(20):
            async with pace.turn():
                running.append(1)
                most.append(len(running))
                await Agent(FunctionModel(answer)).run("x")
                running.pop()

    threads = [threading.Thread(target=lambda: asyncio.run(work())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(most) == 60
    assert max(most) == 1
