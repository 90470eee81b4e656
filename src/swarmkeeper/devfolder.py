"""Reads the files in a folder that name the server for its commands and bots. For the command line and the SDK.

`swarmkeeper dev` writes `.swarmkeeper/settings.toml`; people may write `swarmkeeper.toml`. The meaning and validity of
settings is known to settings.py only.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "swarmkeeper.toml"
DEV_FOLDER = ".swarmkeeper"
DEV_FILE = "settings.toml"

# The nearest first.
FILES = (f"{DEV_FOLDER}/{DEV_FILE}", FILE)


def content_of(folder: Path, file: str) -> dict[str, Any]:
    """Return the content of one of these files; empty if the file does not exist.

    Raises:
        ValueError: it cannot be read, or is not TOML. The message names the file.
    """
    try:
        return tomllib.loads((folder / file).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file}: not TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: cannot be read ({type(error).__name__})") from None


@dataclass(frozen=True, slots=True)
class KeptServer:
    """The server that one file names; None for what it does not set."""

    url: str | None = None
    api_key: str | None = None
    api_key_file: str | None = None

    @property
    def has_key(self) -> bool:
        return self.api_key is not None or self.api_key_file is not None


def kept_servers(folder: Path) -> list[KeptServer]:
    """Return the servers that these files name, the nearest file first.

    Raises:
        ValueError: a file cannot be used. The message names the file and the setting, never its value.
    """
    return [_server(file, content_of(folder, file)) for file in FILES]


def _server(file: str, content: Mapping[str, Any]) -> KeptServer:
    found = {}
    for name in ("url", "api_key", "api_key_file"):
        value = content.get(name)
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{file}: {name}: expected a string")
        found[name] = value or None
    if found["api_key"] and found["api_key_file"]:
        raise ValueError(f"{file}: api_key and api_key_file cannot be used together: keep one")
    return KeptServer(**found)
