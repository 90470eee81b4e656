"""Finds the line of each value of a TOML or YAML document, for messages. The parsers give values without lines.

The document is known to be valid. A value that is not found here has the line of what it is in.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence

import yaml

Path = tuple[str | int, ...]
_VALUES_MAX = 100_000  # YAML aliases may name one value many times
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}\n#]*")
_STRINGS = (
    re.compile(r'"""(?:\\.|[^\\])*?"""("{0,2})', re.DOTALL),
    re.compile(r"'''.*?'''('{0,2})", re.DOTALL),
    re.compile(r'"(?:\\.|[^"\\])*"'),
    re.compile(r"'[^']*'"),
)


class Positions:
    """The line of each value, by its path of names and indices."""

    def __init__(self, lines: dict[Path, int]) -> None:
        self._lines = {(): 1, **lines}

    def line(self, path: Sequence[str | int]) -> int:
        """Return the line of a value, or of the innermost value around it that has one. Lines are counted from 1."""
        at = tuple(path)
        while at not in self._lines:
            at = at[:-1]
        return self._lines[at]


def of_toml(text: str) -> Positions:
    return Positions(_Toml(text).scan())


def of_yaml(text: str) -> Positions:
    lines: dict[Path, int] = {}
    root = yaml.compose(text, yaml.SafeLoader)
    waiting: list[tuple[Path, yaml.Node]] = [] if root is None else [((), root)]
    while waiting and len(lines) < _VALUES_MAX:
        path, node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode):
                    lines[(*path, key.value)] = key.start_mark.line + 1
                    waiting.append(((*path, key.value), value))
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                lines[(*path, index)] = value.start_mark.line + 1
                waiting.append(((*path, index), value))
    return Positions(lines)


class _Toml:
    """Reads a valid TOML document again, for the places alone."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}  # of tables in each array of tables
        self._counted, self._line = 0, 1

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        while self._skip(_BLANK) < len(self._text):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)
            end = self._text.find("\n", self._at)
            self._at = len(self._text) if end < 0 else end + 1
        return self._lines

    def _header(self) -> Path:
        line = self._here()
        array = self._text.startswith("[[", self._at)
        self._at += 2 if array else 1
        names = self._key()
        path: Path = ()
        for number, name in enumerate(names):
            path = (*path, name)
            self._lines.setdefault(path, line)
            if array and number == len(names) - 1:
                self._counts[path] = self._counts.get(path, 0) + 1
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
                self._lines.setdefault(path, line)
        return path

    def _pair(self, table: Path) -> None:
        line, path = self._here(), table
        for name in self._key():
            path = (*path, name)
            self._lines.setdefault(path, line)
        self._at += 1  # the equals sign
        self._value(path)

    def _key(self) -> list[str]:
        """Read a dotted key, up to what follows it."""
        names = []
        while True:
            self._skip(_SPACE)
            if self._text[self._at] in "\"'":
                start = self._at
                self._string()
                names.append(_unquoted(self._text[start : self._at]))
            else:
                found = _BARE.match(self._text, self._at)
                assert found is not None, "the document is valid TOML"
                names.append(found.group())
                self._at = found.end()
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return names
            self._at += 1

    def _value(self, path: Path) -> None:
        self._skip(_BLANK)
        start = self._text[self._at : self._at + 1]
        if start == "[":
            self._members(path, "]")
        elif start == "{":
            self._members(path, "}")
        elif start in {'"', "'"}:
            self._string()
        else:
            self._skip(_SCALAR)

    def _members(self, path: Path, end: str) -> None:
        self._at += 1
        index = 0
        while self._skip(_BLANK) < len(self._text) and self._text[self._at] != end:
            if end == "]":
                self._lines[(*path, index)] = self._here()
                self._value((*path, index))
                index += 1
            else:
                self._pair(path)
            self._skip(_BLANK)
            if self._text.startswith(",", self._at):
                self._at += 1
        self._at += 1

    def _string(self) -> None:
        for pattern in _STRINGS:
            if found := pattern.match(self._text, self._at):
                self._at = found.end()
                return

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self._text, self._at)
        self._at = self._at if found is None else found.end()
        return self._at

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line


def _unquoted(written: str) -> str:
    name: str = tomllib.loads(f"name = {written}")["name"]
    return name
