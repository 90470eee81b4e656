"""The environment of a program: what any program needs, what the bot's author names, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

# Where things are, who runs it, in which language and time zone it speaks, and which certificates it trusts.
_BASE = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"}
)
_BOT_CREDENTIALS = ("SWARMKEEPER_API_KEY", "SWARMKEEPER_TOKEN")


def checked_names(env: object) -> dict[str, str | None]:
    """Return the author's allow-list as names with values; None: the bot's own value.

    Raises:
        TypeError: it is not a list of names, or a mapping of names to values.
        ValueError: a name is none, or it is one of the bot's own (`SWARMKEEPER_…`).
    """
    if isinstance(env, str) or not isinstance(env, Iterable):
        raise TypeError('env is a list of names, such as ["ANTHROPIC_API_KEY"], or a mapping of names to values')
    named = dict(env) if isinstance(env, Mapping) else dict.fromkeys(env)
    for name, value in named.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise ValueError("env holds a name that no variable of an environment can have")
        if name.upper().startswith("SWARMKEEPER_"):
            raise ValueError(f"env names {name}: a program never gets the bot's own settings and key")
        if value is not None and (not isinstance(value, str) or "\0" in value):
            raise TypeError(f"env[{name!r}] is a text without NUL, or None for the bot's own value")
    return named


def environment_for(named: Mapping[str, str | None]) -> dict[str, str]:
    """Return a program's environment. A value with the bot's key or token is left out, whatever its name is."""
    own = os.environ
    passed = {name: value for name, value in own.items() if name in _BASE or name.startswith("LC_")}
    passed |= {name: own[name] if value is None else value for name, value in named.items() if value or name in own}
    secrets = [own[name] for name in _BOT_CREDENTIALS if own.get(name)]
    return {name: value for name, value in passed.items() if not any(secret in value for secret in secrets)}


def values_of(named: Mapping[str, str | None]) -> dict[str, str]:
    """Return the values of the allow-list: those that the author gave, else the bot's own."""
    return {name: value for name, given in named.items() if (value := given or os.environ.get(name, ""))}
