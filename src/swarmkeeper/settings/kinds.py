"""The kinds of settings' values: each function takes text, from a flag or the environment, or a value of TOML.

Each raises ValueError with the rule that the value breaks.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")

Parser = Callable[[Any], Any]  # takes text (flags, environment) or a TOML value; raises ValueError with the rule


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a string")
    return value


def nonempty(value: Any) -> str:
    if not text(value).strip():
        raise ValueError("expected a string that is not empty")
    return text(value)


def _number(value: Any, *, least: float, most: float, whole: bool = False) -> float:
    kind = "a whole number" if whole else "a number"
    rule = f"expected {kind} from {least:g} to {most:g}"
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(rule)
    try:
        number = int(value) if whole and not isinstance(value, float) else float(value)
    except ValueError:
        raise ValueError(rule) from None
    if (whole and number != int(number)) or not least <= number <= most:
        raise ValueError(rule)
    return int(number) if whole else number


def whole(least: int, most: int) -> Parser:
    return partial(_number, least=least, most=most, whole=True)


def bound(least: int, most: int) -> Parser:
    """Parse a bound from `least` (what a single call may need) to `most`; 0 means no bound."""

    def parse(value: Any) -> int:
        try:
            number = int(_number(value, least=0, most=most, whole=True))
        except ValueError:
            number = -1
        if number and not least <= number <= most:
            raise ValueError(f"expected an integer from {least} to {most}, or 0 for no limit")
        return number

    return parse


def seconds(least: float, most: float) -> Parser:
    return partial(_number, least=least, most=most)


def seconds_or_never(least: float, most: float) -> Parser:
    def parse(value: Any) -> float:
        try:
            number = _number(value, least=0, most=most)
        except ValueError:
            number = -1.0
        if number != 0 and number < least:
            raise ValueError(f"expected 0, or a number from {least:g} to {most:g}")
        return number

    return parse


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE + _FALSE:
        return value.lower() in _TRUE
    raise ValueError("expected true or false")


def choice(words: Sequence[str]) -> Parser:
    def parse(value: Any) -> str:
        if not isinstance(value, str) or value.lower() not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return value.lower()

    return parse


def url(value: Any) -> str:
    parts = urlsplit(text(value))
    if not value:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError("expected a URL like http://host:port, without user or password")
    return text(value).rstrip("/")


def root_path(value: Any) -> str:
    path = text(value).rstrip("/")
    if path and (not path.startswith("/") or "?" in path or "#" in path):
        raise ValueError("expected a path that begins with /")
    return path


def _texts(value: Any, expected: str) -> tuple[str, ...]:
    listed = value.split(",") if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or not all(isinstance(text, str) for text in listed):
        raise ValueError(expected)
    return tuple(text.strip() for text in listed if text.strip())


def networks(value: Any) -> tuple[str, ...]:
    expected = "expected networks like 10.0.0.0/8, separated by commas"
    try:
        return tuple(str(ipaddress.ip_network(network)) for network in _texts(value, expected))
    except ValueError:
        raise ValueError(expected) from None


def files(value: Any) -> tuple[str, ...]:
    return _texts(value, "expected names of files, separated by commas")


def broker(value: Any) -> str:
    if not text(value):
        return ""
    from swarmkeeper.broker.addresses import checked

    return checked(text(value))


def stream_name(value: Any) -> str:
    name = text(value)
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) or name == "swarmkeeper-hints":
        raise ValueError("expected 1 to 64 letters, digits, _ or -, and not swarmkeeper-hints")
    return name


def shown_store(value: str) -> str:
    from swarmkeeper.storage.opening import shown

    return shown(value)


def shown_broker(value: str) -> str:
    from swarmkeeper.broker.addresses import shown

    return shown(value) if value else ""


def key_place(value: Any) -> str:
    kind, _, rest = text(value).partition(":")
    if value and (kind not in ("file", "command", "vault") or not rest.strip()):
        raise ValueError("expected file:/path, command:program arguments, or vault:/path")
    return text(value)


def shown_place(value: str) -> str:
    return "command:…" if value.startswith("command:") else value  # its arguments may be secret
