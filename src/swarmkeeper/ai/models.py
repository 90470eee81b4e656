"""Models by name: `anthropic:…`, `openai:…`, an OpenAI-compatible address, `python:FILE.py:NAME`, and `local`.

Keys come from the environment, when a model is made; they are neither written down nor put into messages.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarmkeeper.ai.keys import LOCAL, PROVIDER_KEYS, missing_key, missing_local
from swarmkeeper.ai.pace import ModelPace
from swarmkeeper.ai.python_files import CannotLoad, loaded

try:
    from pydantic_ai.exceptions import (
        ModelConnectionError,
        ModelHTTPError,
        ModelRequestTimeout,
        ModelServerError,
        ModelUnavailableError,
        UserError,
    )
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model, ModelRequestParameters, infer_model
    from pydantic_ai.models.fallback import FallbackModel
    from pydantic_ai.models.wrapper import WrapperModel
    from pydantic_ai.providers import Provider, infer_provider_class
    from pydantic_ai.settings import ModelSettings
except ImportError as error:
    raise ImportError("model bots need the extra `ai`: pip install 'swarmkeeper[ai]'") from error

# Down: not reachable, or broken on its side. A rate limit is not: the orchestrator then holds the work back, which
# costs no try, and a second provider would be paid for what the first does for less in a minute.
_DOWN = (ModelConnectionError, ModelRequestTimeout, ModelServerError, ModelUnavailableError)


def _is_down(error: Exception) -> bool:
    return isinstance(error, _DOWN) or (isinstance(error, ModelHTTPError) and error.status_code >= 500)


class CannotMakeModel(ValueError):
    """A model cannot be made: a key, a package or a file is missing. The message says which, and never a key."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which models to use, and how.

    Attributes:
        use: names; each after the first is used where the one before is down.
        folder: where the files of `python:` names are.
        key_env: the variable with the key for an address in `use`.
        pace: shared by all bots with this choice; None: not bounded.
    """

    use: Sequence[str]
    folder: Path = Path()
    key_env: str | None = None
    temperature: float | None = None
    max_output_tokens: int | None = None
    timeout_seconds: float | None = None
    pace: ModelPace | None = None


def model_of(choice: ModelChoice, environ: Mapping[str, str] = os.environ) -> Model:
    """Make the model. Make one for each bot: its connections belong to the event loop that uses them.

    Raises:
        CannotMakeModel: see there.
    """
    if not choice.use:
        raise CannotMakeModel("name at least one model")
    named: list[Model] = [_Named(_one(name, choice, environ), name) for name in choice.use]
    model = named[0] if len(named) == 1 else FallbackModel(named[0], *named[1:], fallback_on=_is_down)
    return _Paced(model, choice)


def _one(name: str, choice: ModelChoice, environ: Mapping[str, str]) -> Model:
    if name == LOCAL:
        return _local()
    if name.startswith(("http://", "https://")):
        return _at_address(name, choice, environ)
    if name.startswith("python:"):
        return _of_file(name, choice.folder)
    if (needed := missing_key(name, environ)) is not None:
        raise CannotMakeModel(f"the model {name} needs the environment variable {needed}")

    def provider(called: str) -> Provider[Any]:
        # From `environ`, not from the process's own environment, which providers would read.
        key = next((environ[each] for each in PROVIDER_KEYS.get(called, ()) if environ.get(each)), None)
        made: Any = infer_provider_class(called)
        return made() if key is None else made(api_key=key)  # type: ignore[no-any-return]  # made by its name

    try:
        return infer_model(name, provider)
    except (UserError, ValueError) as error:
        raise CannotMakeModel(f"the model {name}: {str(error).splitlines()[0]}") from None
    except ImportError:
        package = name.partition(":")[0]
        text = f"the model {name} needs a package: pip install 'pydantic-ai-slim[{package}]'"
        raise CannotMakeModel(text) from None


def _local() -> Model:
    if (command := missing_local()) is not None:
        raise CannotMakeModel(f"the local model is not installed: {command}")
    from swarmkeeper.ai.local import local_model

    return local_model()


def _at_address(name: str, choice: ModelChoice, environ: Mapping[str, str]) -> Model:
    address, _, called = name.partition("#")
    key = "none"  # servers on one's own machine take any
    if choice.key_env is not None:
        key = environ.get(choice.key_env, "")
        if not key:
            raise CannotMakeModel(f"the model {name} needs the environment variable {choice.key_env}")
    try:
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider
    except ImportError:
        raise CannotMakeModel("an address needs a package: pip install 'pydantic-ai-slim[openai]'") from None
    return OpenAIChatModel(called, provider=OpenAIProvider(base_url=address, api_key=key))


def _of_file(name: str, folder: Path) -> Model:
    from pydantic_ai.models.function import FunctionModel

    try:
        found = loaded(name, folder)
    except CannotLoad as error:
        raise CannotMakeModel(str(error)) from None
    if isinstance(found, Model):
        return found
    if callable(found):
        return FunctionModel(found, model_name=name)
    raise CannotMakeModel(f"{name} is neither a model nor a function (messages, info) -> ModelResponse")


class _Named(WrapperModel):
    """A model whose answers have the name that the user wrote: prices and the ledger know the model by it."""

    def __init__(self, wrapped: Model, name: str) -> None:
        super().__init__(wrapped)
        self._called = name

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        response = await super().request(messages, model_settings, model_request_parameters)
        response.model_name = self._called
        return response


class _Paced(WrapperModel):
    """A model with the settings and the pace of its choice."""

    def __init__(self, wrapped: Model, choice: ModelChoice) -> None:
        super().__init__(wrapped)
        self._pace = choice.pace
        # No repetitions inside a provider's library: they would be neither counted nor paced, and the orchestrator
        # repeats the work with the waiting time that the provider said.
        self._own: ModelSettings = {"max_retries": 0}
        if choice.temperature is not None:
            self._own["temperature"] = choice.temperature
        if choice.max_output_tokens is not None:
            self._own["max_tokens"] = choice.max_output_tokens
        if choice.timeout_seconds is not None:
            self._own["timeout"] = choice.timeout_seconds

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        settings: ModelSettings = {**self._own, **(model_settings or {})}
        if self._pace is None:
            return await super().request(messages, settings, model_request_parameters)
        async with self._pace.turn():
            response = await super().request(messages, settings, model_request_parameters)
        self._pace.used(response.usage.input_tokens + response.usage.output_tokens)
        return response
