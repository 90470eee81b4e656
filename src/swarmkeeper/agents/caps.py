"""Bounds on what one attempt of an agent may use. There is always one: a model in a loop spends until it is stopped."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caps:
    """What one attempt may use at most.

    Attributes:
        requests: model requests.
        tool_calls: calls of tools.
        tokens: tokens, input and output together. It is checked after each request, so the last one may go beyond.

    Raises:
        ValueError: a cap is not a positive integer.
    """

    requests: int = 50
    tool_calls: int = 100
    tokens: int = 1_000_000

    def __post_init__(self) -> None:
        for name in ("requests", "tool_calls", "tokens"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"Caps.{name} is an integer of at least 1, not {value!r}: there is always a cap")


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """What a model has used: one request, or several.

    Attributes:
        model: the provider's name of the model; None: unknown.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    model: str | None = None

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


class CapReached(Exception):
    """An attempt reached a cap. The work fails for good: another attempt would probably reach it again."""

    def __init__(self, cap: str, most: int) -> None:
        super().__init__(
            f"the agent reached its cap of {most:,} {cap.replace('_', ' ')} without a result; "
            f"Caps({cap}=…) sets another cap"
        )
        self.cap = cap
        self.most = most
