"""Hides the values of this process's own secrets in what an agent says.

The orchestrator redacts by patterns. A provider's key without a known form is known only here, by its value in the
environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

Json = Any
_SECRET_NAME = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|AUTH)(?:_?\w{0,2})?$", re.IGNORECASE)
_VALUE_LENGTH_MIN = 8  # a shorter value ("true", "1234") would be found in ordinary text


def masker(environment: Mapping[str, str] | None = None) -> Callable[[str], str]:
    """Return a function that replaces each value of a variable with a secret's name (`…_KEY`, `…_TOKEN`, …).

    Args:
        environment: by default the process's, as it is now.
    """
    known = {
        value: name
        for name, value in (os.environ if environment is None else environment).items()
        if _SECRET_NAME.search(name) and len(value) >= _VALUE_LENGTH_MIN
    }
    if not known:
        return str
    # The longest first: one secret may contain another.
    pattern = re.compile("|".join(re.escape(value) for value in sorted(known, key=len, reverse=True)))
    return lambda text: pattern.sub(lambda found: f"[hidden: {known[found.group()]}]", text)


def masked_json(value: Json, masked: Callable[[str], str]) -> Json:
    """Return a copy of the JSON value with all its texts masked, names of members included; a tuple becomes a list."""
    if masked is str:
        return value
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {masked(name): masked_json(inner, masked) for name, inner in value.items()}
    return [masked_json(inner, masked) for inner in value] if isinstance(value, list | tuple) else value
