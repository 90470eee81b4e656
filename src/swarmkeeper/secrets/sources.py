"""Back ends that a secret is fetched from: environment variables and files. vault.py has the ones behind HTTP.

A source gets only names that `references.is_name` accepts. It answers with the value, or with None if there is none.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from swarmkeeper.secrets.config import BackendConfig

FILE_BYTES_MAX = 256 << 10


class SourceDown(Exception):
    """The back end does not answer, or refuses the server. The message has no value, and no path of a secret."""


Field = str | None  # of a secret that has several; None: the whole, or the only one


@dataclass(frozen=True, slots=True)
class Fetched:
    values: Mapping[Field, str]
    version: str
    loan: str = ""  # what the back end calls credentials that it has made for this call; empty: there are none
    seconds: int = 0  # after which it ends them by itself


class SecretSource(Protocol):
    async def fetch(self, key: str, version: str | None, fields: Sequence[Field]) -> Fetched | None:
        """Return these fields of a secret; None if there is no such secret or version, or one of the fields is not.

        Raises:
            SourceDown: it is not known whether there is one.
        """

    async def revoke(self, loan: str) -> None:
        """End credentials that `fetch` has made. Those that have ended already are no error.

        Raises:
            SourceDown: they may still be valid.
        """

    async def close(self) -> None: ...


def fields_of(text: str, fields: Sequence[Field], version: str) -> Fetched | None:
    """Return fields of a secret that is one text: None is all of it, others are texts in its JSON object."""
    values: dict[Field, str] = {}
    content: object = None
    for field in fields:
        if field is None:
            values[None] = text
            continue
        if content is None:
            try:
                content = json.loads(text)
            except (ValueError, RecursionError):
                return None
        value = content.get(field) if isinstance(content, dict) else None
        if not isinstance(value, str):
            return None
        values[field] = value
    return Fetched(values, version)


class EnvSource:
    """Environment variables of the server: a prefix, then the name in capitals, with _ for other characters."""

    def __init__(self, config: BackendConfig, environ: Mapping[str, str] | None = None) -> None:
        self._prefix = config.prefix
        self._environ = os.environ if environ is None else environ

    async def fetch(self, key: str, version: str | None, fields: Sequence[Field]) -> Fetched | None:
        if version is not None:
            return None
        variable = "".join(letter if letter.isalnum() else "_" for letter in key).upper()
        value = self._environ.get(self._prefix + variable)
        return None if value is None else fields_of(value, fields, "env")

    async def revoke(self, loan: str) -> None:
        del loan  # it makes none

    async def close(self) -> None: ...


class FileSource:
    """Files in a directory, as Kubernetes mounts a Secret: the name is the path, one line break at the end is dropped.

    Kubernetes swaps a symlink (`..data`) to change all files at once. Symlinks are followed as long as what they name
    is inside the directory.
    """

    def __init__(self, config: BackendConfig) -> None:
        self._directory = Path(config.directory)

    async def fetch(self, key: str, version: str | None, fields: Sequence[Field]) -> Fetched | None:
        if version is not None:
            return None
        # In a thread: a directory on the network may hang.
        try:
            async with asyncio.timeout(5):
                text = await asyncio.to_thread(self._read, key)
        except TimeoutError:
            raise SourceDown("the directory of secrets does not answer") from None
        return None if text is None else fields_of(text, fields, "file")

    def _read(self, key: str) -> str | None:
        try:
            root = self._directory.resolve(strict=True)
        except OSError:
            raise SourceDown("the directory of secrets cannot be read") from None
        try:
            path = (root / key).resolve(strict=True)
            if not path.is_relative_to(root) or not stat.S_ISREG(path.stat().st_mode):
                return None
            # Opened without following a link that was put there just now, and without waiting for a pipe.
            opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, RuntimeError):
            return None
        except OSError as error:
            raise SourceDown(f"a file of secrets cannot be read: {error.strerror}") from None
        with os.fdopen(opened, "rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise SourceDown("a file of secrets is not UTF-8") from None
        return text.removesuffix("\n").removesuffix("\r")

    async def revoke(self, loan: str) -> None:
        del loan  # it makes none

    async def close(self) -> None: ...
