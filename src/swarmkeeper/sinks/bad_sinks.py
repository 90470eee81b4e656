"""The error of a file of sinks, and how secrets in files are read. Importing this loads nothing else."""

from __future__ import annotations

from collections.abc import Callable

ReadSecret = Callable[[str, str], str]  # takes the path and the name of the key; see settings.read_secret


class BadSinks(Exception):
    """The file of sinks cannot be used. The message names the file, the table and the key."""
