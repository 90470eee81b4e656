"""docs/reference/data-classification.md as data: the one list of everything that is stored or shown, and its plane."""

import re
from functools import cache

from tests.tidy.tree import ROOT

PAGE = ROOT / "docs" / "reference" / "data-classification.md"
PLANES = ("work", "evidence", "neither")


@cache
def _section(name: str) -> list[list[str]]:
    """Return the rows of the section's table as lists of cells."""
    text = re.split(rf"^## {name}$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1].split("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip(" |") for cell in row] for row in rows]


def columns(section: str = "Store") -> list[tuple[str, str, str]]:
    """Return table, column and plane of everything that is stored, or of what only another store has."""
    return [
        (table.strip("`"), column, plane)
        for table, plane, names in _section(section)
        for column in re.findall(r"`(\w+)`", names)
    ]


def listed(section: str) -> dict[str, str]:
    """Return the entries of a section, with their planes."""
    rows = _section(section)
    found = {name.strip("`"): plane for name, plane, *_ in rows}
    assert len(found) == len(rows), f"{section}: an entry is listed twice"
    return found
