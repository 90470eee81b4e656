"""References to secrets in inputs: `secret://name`, `secret://name@version`, `secret://name#field`, or both.

A reference is a whole string value, not a part of one. The value itself is never in an input: a bot asks for it under
its lease.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from swarmkeeper.core.model import Json

SCHEME = "secret://"
NAME_MAX = 200
_NAME = re.compile(rf"[A-Za-z0-9._/-]{{1,{NAME_MAX}}}")
_PART = re.compile(r"[A-Za-z0-9._-]{1,64}")
SHAPE = (
    "a reference is secret://NAME, with @VERSION and #FIELD if needed; a name has letters, digits and . _ - /,"
    " and no part of it is empty or begins with a point"
)


@dataclass(frozen=True, slots=True)
class SecretReference:
    name: str
    version: str | None = None  # None: the newest
    field: str | None = None  # of a secret that is a JSON object

    def __str__(self) -> str:
        """Return the reference as it is written after `secret://`."""
        version = "" if self.version is None else f"@{self.version}"
        return f"{self.name}{version}" + ("" if self.field is None else f"#{self.field}")


def is_name(text: str) -> bool:
    """Whether this may be the name of a secret. `..` is no part of a name, so a name is safe in a path."""
    return _NAME.fullmatch(text) is not None and all(part and part[0] not in ".-" for part in text.split("/"))


def parse(text: str) -> SecretReference | None:
    """Return the reference that is written so after `secret://`; None if it is malformed."""
    rest, hash_, field = text.partition("#")
    name, at, version = rest.partition("@")
    if not is_name(name):
        return None
    if (hash_ and not _PART.fullmatch(field)) or (at and not _PART.fullmatch(version)):
        return None
    return SecretReference(name, version if at else None, field if hash_ else None)


def held(value: Json) -> set[str]:
    """Return what follows `secret://` in each reference of an input; malformed ones are left out."""
    written = {text.removeprefix(SCHEME) for _, text in _texts(value)}
    return {text for text in written if parse(text) is not None}


def malformed(value: Json, at: str) -> Iterator[tuple[str, ...]]:
    """Yield where a malformed reference is: the pointer `at`, then the keys and indexes below it."""
    for place, text in _texts(value):
        if parse(text.removeprefix(SCHEME)) is None:
            yield at, *place


def _texts(value: Json) -> Iterator[tuple[tuple[str, ...], str]]:
    waiting: list[tuple[tuple[str, ...], Json]] = [((), value)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, str):
            if value.startswith(SCHEME):
                yield place, value
        elif isinstance(value, dict):
            waiting += [((*place, key), inner) for key, inner in value.items() if isinstance(inner, str | dict | list)]
        elif isinstance(value, list):
            waiting += [
                ((*place, str(n)), inner) for n, inner in enumerate(value) if isinstance(inner, str | dict | list)
            ]
