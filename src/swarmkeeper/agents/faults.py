"""Tells what an error of a provider or a framework means for the work: wait, try again, or give up.

It imports no provider's library: their errors carry a status, a code, or words that all of them use.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from swarmkeeper.agents.caps import CapReached
from swarmkeeper.sdk.answers import MESSAGE_LENGTH_MAX, SCOPE_LENGTH_MAX, Failed
from swarmkeeper.sdk.attempts.rate_limits import causes, rate_limit, status_of
from swarmkeeper.sdk.attempts.sendable import cut, readable

# A provider that says "quota" and no time: an account is topped up, or a day's quota begins, within minutes at best.
QUOTA_SECONDS = 60.0

_QUOTA = re.compile(
    r"insufficient[_ ]quota|exceeded your current quota|quota[_ ]exceeded|resource[_ ]?exhausted|"
    r"credit balance is too low|billing[_ ]hard[_ ]limit|payment required",
    re.IGNORECASE,
)
_RATE = re.compile(
    r"rate[_ -]?limit(?:ed|[_ ](?:exceeded|error))?\b|too many requests|overloaded[_ ]error|throttl(?:ed|ing)",
    re.IGNORECASE,
)
# What no repetition changes, by what providers say. The first text explains it to the person who reads the failure.
_FOR_GOOD = (
    (
        "the prompt is too long for the model",
        re.compile(
            r"context[_ ]length|context window|maximum context|prompt is too long|too many tokens in|"
            r"input (?:token count|is too long)|string_above_max_length",
            re.IGNORECASE,
        ),
    ),
    (
        "the provider's content filter refused it",
        re.compile(
            r"content[_ ]?filter|content[_ ]policy|content management policy|responsible ?ai|guardrail.{0,20}interven|"
            r"blocked by safety|SAFETY|usage policies",
        ),
    ),
    (
        "the provider does not accept the key",
        re.compile(
            r"invalid[_ ]api[_ ]key|incorrect api key|authentication[_ ]error|unauthenticated|invalid x-api-key|"
            r"permission[_ ]denied|api[_ ]key.{0,30}(?:not set|missing|must be set)|no api key",
            re.IGNORECASE,
        ),
    ),
)
_BY_STATUS = {
    401: "the provider does not accept the key",
    403: "the provider does not allow this with the key",
    404: "the provider does not know this model or address",
    413: "the prompt is too long for the model",
}
# These may pass by themselves, though they blame the request.
_MAY_PASS = frozenset({408, 409, 425})
# Frameworks raise these when a model or an author made a mistake that the next try repeats.
_NOT_RETRYABLE_TYPES = frozenset(
    {
        "ContentFilterError", "ContextWindowOverflowException", "GraphRecursionError", "LlmCallsLimitExceededError",
        "MaxTokensReachedException", "MaxTurnsExceeded", "UnkeptState", "UsageLimitExceeded", "UserError",
    }
)  # fmt: skip


def failure_of(error: Exception) -> Failed | None:
    """Return what an error means for the work; None: nothing is known about it, and the SDK's own rule applies.

    Rate limits and quotas become `rate_limited`, with the provider's waiting time if it said one; a prompt that is too
    long, a refused key, a content filter and other refusals of the request itself become `not_retryable`.
    """
    chain = [each for each in causes(error) if isinstance(each, Exception)]
    if any(isinstance(each, CapReached) for each in chain):
        reached = next(each for each in chain if isinstance(each, CapReached))
        return Failed(str(reached), kind="not_retryable")
    said = "; ".join(dict.fromkeys(f"{type(each).__name__}: {_words(each)}" for each in chain))
    why = cut(said, MESSAGE_LENGTH_MAX - 200)
    if (limit := rate_limit(error)) is not None:
        wait = limit.retry_after_seconds
        if wait is None and _QUOTA.search(said):
            wait = QUOTA_SECONDS
        return Failed(why, kind="rate_limited", retry_after_seconds=wait, scope=scope_of(chain))
    if any(type(each).__name__ in _NOT_RETRYABLE_TYPES for each in chain):
        return Failed(why, kind="not_retryable")
    providers = [each for each in chain if _from_provider(each)]
    if not providers:
        return None  # of the author's code or of a tool: a 404 there says nothing about the model
    status = next((found for each in providers if (found := status_of(each)) is not None), None)
    if status == 402 or _QUOTA.search(said):
        return Failed(why, kind="rate_limited", retry_after_seconds=QUOTA_SECONDS, scope=scope_of(chain))
    if (status is None or status >= 500) and _RATE.search(said):
        return Failed(why, kind="rate_limited", scope=scope_of(chain))
    return _refusal(providers, said, why, status)


def scope_of(chain: Sequence[Exception]) -> str | None:
    """Return the model that an error names, as the scope of its rate limit; None: the error names none.

    Only some libraries name it. The label `scope` or `model` of a bot serves where they do not.
    """
    return next((named for each in chain if (named := _named_by(each))), None)


def _named_by(error: Exception) -> str | None:
    try:
        provider = getattr(error, "llm_provider", None)
        model = getattr(error, "model_name", None) or (getattr(error, "model", None) if provider else None)
    except Exception:  # from a property of another library
        return None
    if not isinstance(model, str):
        return None
    named = f"{provider}:{model}" if isinstance(provider, str) and provider else model
    return readable("".join(filter(str.isprintable, named)))[:SCOPE_LENGTH_MAX] or None


def _refusal(providers: list[Exception], said: str, why: str, status: int | None) -> Failed | None:
    """Return the failure for an error that a repetition would only repeat."""
    if status is not None and (status >= 500 or status in _MAY_PASS):
        return Failed(why)
    explained = next((text for text, words in _FOR_GOOD if words.search(said)), None)
    if explained is None and status is not None and 400 <= status < 500:
        explained = _BY_STATUS.get(status, "the provider refused the request")
    if explained is not None:
        return Failed(f"{explained}: {why}", kind="not_retryable")
    return None


_PROVIDERS = (
    "openai", "anthropic", "google", "mistralai", "cohere", "groq", "botocore", "litellm", "pydantic_ai", "agents",
    "langchain", "langgraph", "strands", "huggingface_hub", "ollama", "xai_sdk", "crewai", "agent_framework",
)  # fmt: skip


def _from_provider(error: Exception) -> bool:
    """Whether a provider's or a framework's library defines this error: words in others' errors mean nothing."""
    return any(kind.__module__.partition(".")[0].startswith(_PROVIDERS) for kind in type(error).__mro__)


def _words(error: Exception) -> str:
    """Return the message, and the body of the provider's answer where the message does not repeat it."""
    text = str(error)
    body = getattr(error, "body", None)
    return f"{text} {body}" if body is not None and str(body) not in text else text
