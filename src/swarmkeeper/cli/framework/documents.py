"""Reads input: a file, stdin or an argument. Input that cannot be used ends the command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from swarmkeeper.cli.framework.terminal import CliError, Exit

BYTES_MAX = 16 << 20  # the server's limit for a body
STDIN = "-"


def read(name: str, *, what: str) -> Any:
    """Read the value in a file, by the ending of its name; `-` is JSON on stdin, and a file without an ending is JSON.

    Raises:
        CliError: it cannot be read or parsed, or is too large.
    """
    from swarmkeeper.wire.parsing.documents import ENDINGS

    ending = Path(name).suffix.lower()
    return parse(text_of(name, what=what), ending if ending in ENDINGS else ".json", what=what)


def argument(text: str, *, what: str) -> Any:
    """Read the JSON value of an argument; `@FILE` reads a file, `@-` stdin.

    Raises:
        CliError: it is not JSON.
    """
    return parse(text_of(text[1:], what=what) if text.startswith("@") else text, ".json", what=what)


def parse(text: str, ending: str, *, what: str) -> Any:
    """Parse a document by its ending: `.json`, `.yaml` or `.toml`.

    Raises:
        CliError: the text is not such a document.
    """
    from swarmkeeper.wire.parsing.documents import Unreadable
    from swarmkeeper.wire.parsing.documents import parse as parsed

    try:
        return parsed(text, ending)
    except Unreadable as error:
        kind = "JSON" if ending == ".json" else ending[1:].upper()
        raise CliError("input", f"{what} cannot be read as {kind}: {error}", exit_code=Exit.USAGE) from None


def text_of(name: str, *, what: str) -> str:
    """Return the text of a file or of stdin.

    Raises:
        CliError: it cannot be read, is not UTF-8, or is longer than the server's limit.
    """
    try:
        if name == STDIN:
            text = sys.stdin.read(BYTES_MAX + 1)
        else:
            with Path(name).open(encoding="utf-8-sig") as opened:
                text = opened.read(BYTES_MAX + 1)
    except OSError as error:
        raise CliError("file", f"{what}: the file cannot be read: {error.strerror}", exit_code=Exit.USAGE) from None
    except UnicodeDecodeError:
        raise CliError("file", f"{what} is not UTF-8", exit_code=Exit.USAGE) from None
    if len(text) > BYTES_MAX:
        detail = f"{what} is longer than {BYTES_MAX >> 20} MiB, the server's limit"
        raise CliError("file", detail, exit_code=Exit.USAGE)
    return text
