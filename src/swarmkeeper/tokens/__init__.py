"""Tokens (JWT) of identity providers as credentials. A file names the trusted issuers, and what a token becomes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from swarmkeeper.core.ports import Clock, LogWriter

if TYPE_CHECKING:
    from swarmkeeper.tokens.verifying import Tokens


def tokens_of(file: str, clock: Clock, log: LogWriter) -> Tokens | None:
    """Return the verifier for a file of issuers; None if the name is empty. Connects to nothing.

    Raises:
        BadIdentity: the file cannot be used.
    """
    if not file:
        return None
    from swarmkeeper.tokens.file import read
    from swarmkeeper.tokens.verifying import Tokens

    return Tokens(read(Path(file)), clock, log)
