"""Reads the files of redaction rules that the settings name. govern/redaction/packs.py defines their format."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

from swarmkeeper.govern.redaction.packs import BadRules
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.settings import BadSetting, Settings

BYTES_MAX = 4 << 20  # of one file; ten times the shipped rules plus all rules of gitleaks


def load(files: Sequence[str]) -> Redactor:
    """Return the shipped rules, followed by those of these files.

    Raises:
        BadRules: a file cannot be read or is invalid; says which and why.
    """
    texts = [_text(file) for file in files]
    try:
        return Redactor.default(*texts)
    except BadRules as error:
        # The first pack is the shipped one.
        message = str(error)
        for number, file in enumerate(files, 2):
            message = message.replace(f"rule pack {number}", file)
        raise BadRules(message) from None


def rulebook_of(settings: Settings) -> Rulebook:
    """Return the rules that the settings name.

    Raises:
        BadSetting: a file cannot be read or is invalid.
    """
    try:
        return Rulebook(load(settings.redaction))
    except BadRules as error:
        raise BadSetting(f"redaction: {error}") from None


def _text(file: str) -> str:
    try:
        # Reading a pipe without a writer would block for ever, and with it a server that stops.
        if not stat.S_ISREG(Path(file).stat().st_mode):
            raise BadRules(f"{file}: is no plain file")
        with Path(file).open("rb") as opened:
            raw = opened.read(BYTES_MAX + 1)
        if len(raw) > BYTES_MAX:
            raise BadRules(f"{file}: larger than {BYTES_MAX >> 20} MiB")
        return raw.decode()
    except OSError as error:
        raise BadRules(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadRules(f"{file}: is not UTF-8") from None
