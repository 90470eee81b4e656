"""Checks the page on OWASP's ASVS: every requirement has its line, each answer its test, and the counts are true."""

import ast
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tests.tidy.tree import ROOT, nodes

PAGE = ROOT / "docs" / "security" / "asvs.md"
ANSWERS = ("yes", "partly", "no", "n/a")
HOW_WORDS_MAX = 25
# Of each requirement of ASVS 5.0.0, its level: a line for each chapter, a word for each section. So 1.1.1 and 1.1.2 are
# of level 2, and 1.2.1 is of level 1. The page has those of levels 1 and 2.
LEVELS = """
22 1111122223 112222222223 222 123
122 112 12223 23
3 113 12223 11222233 11122333 3 22333
12233 23333 22 1222
2 112333 113 222
122 111111112222 11223333 112233 22222333 2223 33 2222
222 1111 22 11222 223 22
1233 1123 133 23
111 1222
22 223 22223 1111122222233333 22222 22 222
2233 22233 11233 1222 23 23 33
12233 11 22223
2333 222223 2233 1222233
22 12223333 122
12233 12233 1222222 3333
2 22222 2222 222 2223
23 22223333 22
"""


@dataclass(frozen=True)
class Line:
    id: str
    level: str
    asks: str
    answer: str
    how: str
    test: str


def lines_of(page: str) -> list[Line]:
    return [
        Line(*(cell.strip() for cell in row.strip("|").split("|")))
        for row in re.findall(r"^\|(?= \d+\.\d+\.\d+ \|).*\|$", page, re.MULTILINE)
    ]


def counts_of(page: str) -> dict[str, tuple[int, ...]]:
    """Return the table of counts: for each level, requirements, and how many have each answer."""
    found = re.findall(r"^\| (1|2|both) \| (\d+(?: \| \d+){4}) \|$", page, re.MULTILINE)
    return {level: tuple(map(int, numbers.split(" | "))) for level, numbers in found}


def counted(lines: Sequence[Line]) -> tuple[int, ...]:
    answers = Counter(line.answer for line in lines)
    return (len(lines), *(answers[answer] for answer in ANSWERS))


def fault_of(line: Line) -> str:
    """Return what is wrong with a line; nothing if it is right."""
    if line.answer not in ANSWERS:
        return f"the answer {line.answer} is none"
    if not line.asks or not 0 < len(line.how.split()) <= HOW_WORDS_MAX:
        return "the explanation is missing or too long"
    if (line.answer in ("yes", "partly")) != bool(line.test):
        return "a test is named for yes and partly, and for these alone"
    named = re.fullmatch(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", line.test)
    if not line.test:
        return ""
    if named is None or not (ROOT / named[1]).is_file():
        return f"there is no test {line.test}"
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = {node.name for node in nodes(ROOT / named[1]) if isinstance(node, functions)}
    if named[2] is None:
        return "" if any(name.startswith("test_") for name in names) else f"there is no test in {named[1]}"
    return "" if named[2].startswith("test_") and named[2] in names else f"there is no test {line.test}"


LINES = lines_of(PAGE.read_text(encoding="utf-8"))


def test_every_requirement_of_levels_1_and_2_has_one_line_in_order() -> None:
    wanted = [
        (f"{chapter}.{section}.{number}", level)
        for chapter, sections in enumerate(LEVELS.strip().splitlines(), 1)
        for section, levels in enumerate(sections.split(), 1)
        for number, level in enumerate(levels, 1)
        if level != "3"
    ]

    assert Counter(level for _, level in wanted) == {"1": 70, "2": 183}, "as the standard says"
    assert [(line.id, line.level) for line in LINES] == wanted


def test_every_line_has_a_known_answer_and_a_test_that_exists() -> None:
    assert [(line.id, fault) for line in LINES if (fault := fault_of(line))] == []


def test_the_counts_are_those_of_the_lines() -> None:
    of_level = {level: counted([line for line in LINES if line.level == level]) for level in "12"}

    assert counts_of(PAGE.read_text(encoding="utf-8")) == {**of_level, "both": counted(LINES)}


@pytest.mark.parametrize(
    ("answer", "test", "fault"),
    [
        ("mostly", "`tests/tidy/test_asvs.py`", "the answer mostly is none"),
        ("yes", "", "a test is named"),
        ("no", "`tests/tidy/test_asvs.py`", "a test is named"),
        ("partly", "`tests/tidy/test_nothing.py`", "there is no test"),
        ("yes", "`tests/tidy/tree.py`", "there is no test in"),
        ("yes", "`tests/tidy/test_asvs.py::test_nothing`", "there is no test"),
        ("yes", "`tests/tidy/test_asvs.py::fault_of`", "there is no test"),
    ],
)
def test_a_wrong_line_is_found(answer: str, test: str, fault: str) -> None:
    assert fault in fault_of(Line("1.1.1", "2", "asks", answer, "how", test))
