"""The model `local`: a small model from wheels (SmolLM2, 135 million parameters), for a first try without a key.

It is weak, and says so. Its answers are constrained by a grammar made from the JSON Schema that was asked for, so that
a plan or a verdict is one, whatever stands in it. It calls no tools. All bots of a process share one server process.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError, UserError
from pydantic_ai.messages import (
    FinishReason,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.usage import RequestUsage

from swarmkeeper.agents.prompt import shortened
from swarmkeeper.ai.keys import LOCAL, local_file, missing_local

Json = Any

WEAK = "the model `local` is weak (135 million parameters): it shows how a swarm works, do not trust what it says"
# Of the whole conversation. The model was trained on 8,192, but reads only 150 to 400 a second on a small machine.
CONTEXT_TOKENS = 2_048
ANSWER_TOKENS_MAX = 150
# Of one text or list in a typed answer: without bounds, a weak model writes on until its answer is cut off.
_TEXT_LENGTH_MAX = 300
_ITEMS_MAX = 5
_TOKEN_LENGTH = 3.0  # characters of a token, at least, in usual text
_LOAD_SECONDS_MAX = 60.0
_TIMEOUT_SECONDS = 300.0  # a request may wait for those before it
# Half of the processors: its threads wait for each other in loops, so a thread that has to share its processor makes
# all of them ten times slower.
_THREADS_MAX = 4
_TRIES = 2  # a process that was killed is started again, and has no memory that an answer depends on
_SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSW", "CREDENTIAL")


def local_model() -> FunctionModel:
    """Make the model. Its process starts with the first request, and ends with this process.

    Raises:
        ImportError: it is not installed.
    """
    if (command := missing_local()) is not None:
        raise ImportError(f"the local model is not installed: {command}")
    profile = ModelProfile(
        supports_tools=False,
        supports_json_schema_output=True,
        default_structured_output_mode="native",
        supports_image_input=False,
    )
    return FunctionModel(_answer, model_name=LOCAL, profile=profile)


async def _answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    if info.function_tools or info.output_tools:
        raise UserError("the local model calls no tools")
    settings = info.model_settings or {}
    output = info.model_request_parameters.output_object
    body: dict[str, Json] = {
        "messages": list(_chat(messages, info.instructions)),
        "temperature": settings.get("temperature", 0),
        "seed": 1,
        "repeat_penalty": 1.1,
        # What the process keeps of a longer prompt differs in the last digit from what it computes for a shorter one:
        # with it, the answer to a question would depend on what others have asked before.
        "cache_prompt": False,
        "max_tokens": min(settings.get("max_tokens", ANSWER_TOKENS_MAX), ANSWER_TOKENS_MAX),
    }
    if output is not None:
        schema = {"name": "answer", "schema": bounded(output.json_schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return _response(await _sent(body, settings.get("timeout")))


def _chat(messages: Sequence[ModelMessage], instructions: str | None) -> Iterator[dict[str, str]]:
    """Return the messages as a chat of texts.

    Raises:
        UserError: there is something else than text.
    """
    if instructions:
        yield {"role": "system", "content": instructions}
    for message in messages:
        if not isinstance(message, ModelRequest):
            yield {"role": "assistant", "content": message.text or ""}
            continue
        for part in message.parts:
            match part:
                case SystemPromptPart():
                    yield {"role": "system", "content": part.content}
                case UserPromptPart(content=str(text)):
                    yield {"role": "user", "content": text}
                case RetryPromptPart():
                    yield {"role": "user", "content": part.model_response()}
                case _:
                    raise UserError("the local model reads texts only")


async def _sent(body: dict[str, Json], timeout_seconds: Any) -> dict[str, Json]:
    """Send a request; what does not fit into the model's context is shortened, with a note in its place."""
    length = int((CONTEXT_TOKENS - ANSWER_TOKENS_MAX) * _TOKEN_LENGTH)
    whole = body["messages"]
    while True:
        body["messages"] = fitted(whole, length)
        status, answer = await _posted(body, timeout_seconds)
        error = answer.get("error") if isinstance(answer, dict) else None
        if status == 400 and isinstance(error, dict) and error.get("type") == "exceed_context_size_error":
            length //= 2  # text of an unusual kind: fewer characters a token
            if length >= _TEXT_LENGTH_MAX:
                continue
        if status != 200 or not isinstance(answer, dict):
            raise ModelHTTPError(status, LOCAL, error if error is not None else answer)
        return answer


async def _posted(body: Mapping[str, Json], timeout_seconds: Any) -> tuple[int, Json]:
    server = _Shared.server
    seconds = float(timeout_seconds) if isinstance(timeout_seconds, int | float) else _TIMEOUT_SECONDS
    for _ in range(_TRIES):
        url, key = await asyncio.to_thread(server.address)
        limit, password = aiohttp.ClientTimeout(total=seconds), {"authorization": f"Bearer {key}"}
        try:
            # A session of its own: bots have event loops of their own. Leaving early ends the request in the server.
            async with (
                aiohttp.ClientSession(timeout=limit) as session,
                session.post(f"{url}/v1/chat/completions", json=body, headers=password) as answer,
            ):
                return answer.status, await answer.json(content_type=None)
        except TimeoutError:
            raise ModelConnectionError(LOCAL, f"the local model gave no answer within {seconds:g} s") from None
        except (aiohttp.ClientError, ValueError):
            server.forget(url)
    raise ModelConnectionError(LOCAL, "the local model's process has ended, twice") from None


def _response(answer: Mapping[str, Json]) -> ModelResponse:
    choice, usage = answer["choices"][0], answer.get("usage") or {}
    reason: FinishReason = "length" if choice.get("finish_reason") == "length" else "stop"
    return ModelResponse(
        parts=[TextPart(choice["message"].get("content") or "")],
        usage=RequestUsage(
            input_tokens=int(usage.get("prompt_tokens", 0)), output_tokens=int(usage.get("completion_tokens", 0))
        ),
        finish_reason=reason,
    )


def fitted(messages: Sequence[Mapping[str, str]], length: int) -> list[dict[str, str]]:
    """Return the messages, the longest ones shortened until all together have at most so many characters."""
    lengths = [len(message["content"]) for message in messages]
    most = max(lengths, default=0)
    while most > 1 and sum(min(each, most) for each in lengths) > length:
        most = most * 9 // 10
    return [dict(message, content=shortened(message["content"], most)) for message in messages]


def bounded(schema: Json) -> Json:
    """Return a JSON Schema with bounds on each text and list, so that an answer ends."""
    if isinstance(schema, list):
        return [bounded(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    names = schema.get("properties")
    found = {name: bounded(value) for name, value in schema.items() if name not in ("properties", "const", "enum")}
    found |= {name: schema[name] for name in ("const", "enum") if name in schema}
    if isinstance(names, dict):  # a property may be called `type`
        found["properties"] = {name: bounded(value) for name, value in names.items()}
    if schema.get("type") == "string" and "enum" not in schema and "const" not in schema and "pattern" not in schema:
        found["maxLength"] = min(schema.get("maxLength", _TEXT_LENGTH_MAX), _TEXT_LENGTH_MAX)
        found["minLength"] = min(schema.get("minLength", 0), found["maxLength"])
    if schema.get("type") == "array":
        found["maxItems"] = max(min(schema.get("maxItems", _ITEMS_MAX), _ITEMS_MAX), schema.get("minItems", 0))
    return found


# ---- the process ---------------------------------------------------------------------------------------------------


class LocalServer:
    """The process with the model. It starts when it is needed; one that has ended is started again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._address: tuple[str, str] | None = None

    def address(self) -> tuple[str, str]:
        """Return address and password; starts the process and loads the model, if need be, which takes a second.

        Raises:
            ModelConnectionError: it does not start.
        """
        with self._lock:
            if self._address is None or self._process is None or self._process.poll() is not None:
                self._end()
                self._address = self._started()
            return self._address

    def forget(self, url: str) -> None:
        """Start another process for the next request, in place of the one at this address."""
        with self._lock:
            if self._address is not None and self._address[0] == url:
                self._end()

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._end()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def _started(self) -> tuple[str, str]:
        file = local_file()
        if file is None:
            raise ModelConnectionError(LOCAL, f"the local model is not installed: {missing_local()}")
        threads = max(1, min(_THREADS_MAX, (os.cpu_count() or 1) // 2))
        script = Path(__file__).with_name("local_server.py")
        arguments = [str(file), str(CONTEXT_TOKENS), str(threads), str(os.getpid())]
        self._process = process = subprocess.Popen(
            [sys.executable, "-P", str(script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if not _is_secret(name)},
            start_new_session=True,  # Ctrl-C in a terminal is for the command, which may still need an answer
        )
        giving_up = threading.Timer(_LOAD_SECONDS_MAX, process.kill)
        giving_up.start()
        assert process.stdout is not None, "it was asked for"
        try:
            said = json.loads(process.stdout.readline())
            return str(said["url"]), str(said["key"])
        except (ValueError, KeyError, TypeError):
            self._end()
            raise ModelConnectionError(LOCAL, "the local model cannot be loaded on this machine") from None
        finally:
            giving_up.cancel()

    def _end(self) -> None:
        process, self._process, self._address = self._process, None, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.kill()
        process.wait()


def _is_secret(name: str) -> bool:
    return any(word in name.upper() for word in _SECRET_WORDS)


class _Shared:
    server = LocalServer()


atexit.register(_Shared.server.close)
