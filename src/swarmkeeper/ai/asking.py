"""Asks a model once for a typed answer, with caps, usage after each request, and errors turned into failures.

Planner and evaluator use it. An executor is an agent with tools: swarmkeeper.agents runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_ai import Agent, ModelRetry, UnexpectedModelBehavior
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import UsageLimits

from swarmkeeper.agents.caps import Caps, ModelUsage
from swarmkeeper.agents.faults import failure_of
from swarmkeeper.agents.masking import masked_json, masker
from swarmkeeper.agents.run import AgentRun, Cost
from swarmkeeper.sdk.answers import SCOPE_LENGTH_MAX, Failed
from swarmkeeper.sdk.context import Context

# How often a model may correct its answer within one attempt. It costs a request each time.
CORRECTIONS_MAX = 3

Typed = TypeVar("Typed", bound=BaseModel)
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class ModelWork:
    """What a model bot works with.

    Attributes:
        model: made for this bot alone.
        caps: what one attempt may use.
        cost: the price of a request in micro-USD; None: nothing is priced.
        small: the model is so weak that only the type of an answer keeps it to the rules: plans and verdicts get types
            in which nothing wrong can be written.
    """

    model: Model
    caps: Caps = field(default_factory=Caps)
    cost: Cost | None = None
    small: bool = False

    @property
    def labels(self) -> dict[str, str]:
        """The labels of a bot that works with it: bots of one model share its rate limits."""
        return {"model": model_scope(self.model)}


@dataclass(frozen=True, slots=True)
class CachedUsage(ModelUsage):
    """What one request has used, with what the provider's cache did. Both are part of the input."""

    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


class NotGood(ValueError):
    """A model's answer breaks rules; the message tells the model what to correct."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


async def ask(
    work: ModelWork,
    context: Context,
    *,
    instructions: str,
    prompt: str,
    shape: type[Typed],
    made: Callable[[Typed], Made],
) -> Made | Failed:
    """Ask the model and return what `made` makes of its answer, or why there is none.

    Args:
        shape: the type of the answer.
        made: turns the answer into what the bot returns. It raises `NotGood` where the answer breaks rules: the model
            is then told so and answers again, at most three times.
    """
    masked = masker()
    run = AgentRun(context, work.caps, work_id=context.work_id, cost=work.cost, masked=masked)
    agent: Agent[None, Typed] = Agent(
        output_type=shape,
        instructions=instructions,
        deps_type=type(None),
        retries=CORRECTIONS_MAX,
    )
    good: list[Made] = []
    bad: list[str] = []

    @agent.output_validator
    def check(answer: Typed) -> Typed:
        try:
            good.append(made(_masked(answer, masked)))
        except NotGood as error:
            bad.append(str(error))
            context.log(masked(f"the model's answer is corrected: {error}"))
            told = "\n".join(f"- {problem}" for problem in error.problems)
            raise ModelRetry(f"This answer cannot be used:\n{told}\nCorrect it and answer again.") from None
        return answer

    try:
        await agent.run(prompt, model=_Metered(work.model, run), usage_limits=UsageLimits(request_limit=None))
        run.check()
    except Exception as error:
        failed = _failed(error, run, bad)
        if failed is None:
            raise
        scope = model_scope(work.model) if failed.kind == "rate_limited" else None
        return replace(failed, why=masked(failed.why), scope=scope)
    return good[-1]


def _masked(answer: Typed, masked: Callable[[str], str]) -> Typed:
    """Return the answer without values of this process's secrets: a prompt may have had one in its data."""
    if masked is str:
        return answer
    plain = answer.model_dump(mode="json", by_alias=True)
    hidden = masked_json(plain, masked)
    if hidden == plain:
        return answer
    try:
        return type(answer).model_validate(hidden)
    except ValidationError:
        raise NotGood(["it has the value of a secret in a place where that cannot be hidden"]) from None


def model_scope(model: Model) -> str:
    """Return the scope of a model's rate limits, such as `anthropic:claude-sonnet-4-5`."""
    name, system = model.model_name, model.system
    named = name if name.startswith("fallback:") else f"{system}:{name}"  # of several models in turn
    return "".join(filter(str.isprintable, named))[:SCOPE_LENGTH_MAX]


def _failed(error: Exception, run: AgentRun, bad: Sequence[str]) -> Failed | None:
    """Return what an error means for the work; None: the SDK's own rule applies."""
    known = failure_of(run.cap_reached or error)
    if known is None and isinstance(error, UnexpectedModelBehavior):
        last = bad[-1] if bad else str(error)
        known = Failed(f"the model gave no answer that can be used, also after {CORRECTIONS_MAX} corrections: {last}")
    return known


class _Metered(WrapperModel):
    """A model whose requests are counted and reported by the attempt that uses it."""

    def __init__(self, wrapped: Model, run: AgentRun) -> None:
        super().__init__(wrapped)
        self._attempt = run

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        self._attempt.request()
        response = await super().request(messages, model_settings, model_request_parameters)
        self._attempt.used(usage_of(response))
        return response


def usage_of(response: Any) -> CachedUsage:
    """Return what a response of a model has used."""
    usage = response.usage
    return CachedUsage(
        requests=1,
        input_tokens=usage.input_tokens or 0,
        output_tokens=usage.output_tokens or 0,
        model=response.model_name,
        cache_read_tokens=usage.cache_read_tokens or 0,
        cache_write_tokens=usage.cache_write_tokens or 0,
    )
