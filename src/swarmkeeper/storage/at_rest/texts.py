"""Columns with texts of people and bots that are encrypted, beside the bodies: feedback, questions, answers, decisions.

They are never searched or compared in SQL. What is encrypted begins with a control character, so a text that a person
wrote does not look like it; one that looks like it, but cannot have been encrypted by us, is taken as it is.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

PREFIX = "\x01sk1:"
_GONE = "[erased]"


@dataclass(frozen=True, slots=True)
class Texts:
    """The encrypted columns of a table."""

    id: str  # the column with what a text is bound to, which each read has
    columns: Mapping[str, str | None]  # with what is read if the data key was destroyed


TEXTS: Mapping[str, Texts] = MappingProxyType(
    {
        "feedback": Texts("work", {"text": _GONE}),
        "answered": Texts("work", {"question": _GONE, "answer": f'"{_GONE}"'}),
        "approval": Texts(
            "id", {"question": _GONE, "choices": "[]", "schema": None, "subject": None, "decision": None}
        ),
    }
)
# Every read that returns such columns, with their table. tests/storage/test_at_rest.py finds those that are missing.
READS: Mapping[str, str] = MappingProxyType(
    {
        "feedback_of_works": "feedback",
        "doctor_rows_feedback": "feedback",
        "answers_of_works": "answered",
        "doctor_rows_answered": "answered",
        "approval_row": "approval",
        "approvals_page": "approval",
        "approvals_page_of_task": "approval",
        "approvals_by_id": "approval",
        "open_approvals": "approval",
        "doctor_rows_approval": "approval",
    }
)


def wrapped(sealed: bytes) -> str:
    return PREFIX + base64.b64encode(sealed).decode()


def unwrapped(stored: str | None, least: int) -> bytes | None:
    """Return the encrypted bytes of a text; None if it is plain.

    Args:
        least: how many bytes an encrypted text has at least.
    """
    if stored is None or not stored.startswith(PREFIX):
        return None
    try:
        sealed = base64.b64decode(stored[len(PREFIX) :], validate=True)
    except (binascii.Error, ValueError):
        return None
    return sealed if len(sealed) >= least else None
