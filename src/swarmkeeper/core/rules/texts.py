"""The rule for texts of one line: titles, names, skills, labels, versions. Tables and terminals show them."""

from __future__ import annotations

import re

# Control characters move a terminal's cursor, line separators start a line, direction characters show a text in another
# order than it is compared in, and invisible ones make two different names look the same. The joiners of emoji and
# Persian (U+200C, U+200D) are allowed. The API description has the same ranges.
NOT_IN_A_LINE = (
    r"\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
)
LINE_RULE = "must be one line, without control or invisible characters"
_FOUND = re.compile(f"[{NOT_IN_A_LINE}]")


def is_line(text: str) -> bool:
    """Whether the text is one line without control or invisible characters."""
    return text.isprintable() or _FOUND.search(text) is None
