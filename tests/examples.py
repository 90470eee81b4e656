"""How many examples a property test draws: a share of what the Hypothesis profile says, so exploring scales all."""

from typing import Any

from hypothesis import settings

USUAL = 100  # what Hypothesis draws where nothing else is said
EXPLORED = 1_000


def examples(count: int, **more: Any) -> settings:
    """Return settings that draw `count` examples in `make test`, and ten times as many in `make explore`."""
    return settings(max_examples=count * settings().max_examples // USUAL, **more)


def exploring() -> bool:
    """Tell whether new examples are drawn: so in `make explore` alone."""
    return not settings().derandomize
