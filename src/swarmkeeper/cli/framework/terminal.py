"""How commands speak: data to stdout, talk to stderr, errors in one shape, exit codes that mean something.

Whatever others wrote (titles, outputs, messages of bots) passes `shown` before a terminal sees it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from pydantic import BaseModel

Json = Any


class Exit(IntEnum):
    """What the process ends with."""

    OK = 0
    ERROR = 1
    USAGE = 2
    TASK_FAILED = 3
    NOT_ALLOWED = 4
    NOT_FOUND = 5
    CONFLICT = 6
    TIMED_OUT = 7
    NEEDS_APPROVAL = 8
    REFUSED = 9
    UNREACHABLE = 10
    VIOLATION = 11
    INTERRUPTED = 130


@dataclass(slots=True)
class Manner:
    """How this process speaks; set once by the flags of the command that runs."""

    as_json: bool = False


manner = Manner()


class Failure(Exception):
    """A command cannot do what it was asked; told by `main` on stderr.

    `facts` are lines of what and why, `fix` says what to type or change.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        exit_code: Exit = Exit.ERROR,
        facts: Sequence[tuple[str, str]] = (),
        fix: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.code, self.detail, self.exit_code = code, detail, exit_code
        self.facts, self.fix = tuple(facts), fix

    def tell(self) -> None:
        if manner.as_json:
            told: dict[str, Json] = {
                "code": self.code,
                "detail": self.detail,
                "facts": [list(one) for one in self.facts],
            }
            whole = {"error": told | {"fix": self.fix, "exit_code": int(self.exit_code)}}
            talk(_json_shown(json.dumps(whole, ensure_ascii=False)))
            return
        lines = [f"error[{self.code}]: {shown(self.detail)}"]
        facts = [*self.facts, *([("fix", self.fix)] if self.fix else [])]
        width = max((len(label) for label, _ in facts), default=0)
        lines += [f"  {label:<{width}}  {shown(text)}" for label, text in facts]
        talk("\n".join(lines))


def stop(exit_code: Exit) -> NoReturn:
    """End the command; what was to be said has been said."""
    import typer

    raise typer.Exit(int(exit_code))


def say(text: str = "") -> None:
    """A line of data.

    Raises:
        Failure: it cannot be written.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:  # nobody reads any more: see `main`
        raise
    except OSError as error:
        raise Failure("stdout", f"stdout cannot be written: {error.strerror}") from None


def talk(text: str) -> None:
    """A line for whoever watches. Where it cannot be written, nobody does, and the command goes on."""
    if sys.stderr is not None:  # None: it was closed by who began us
        with suppress(OSError, ValueError):
            print(text, file=sys.stderr, flush=True)


@contextmanager
def stdout_kept() -> Iterator[None]:
    """What other people's code writes meanwhile is talk, on whatever way: to `sys.__stdout__` or to number 1 itself, as
    libraries in C do. Data goes on to where it went.
    """
    ours = sys.stdout
    try:
        is_ours = ours.fileno() == 1
    except (AttributeError, OSError, ValueError):  # it is closed, or no file of the system
        is_ours = False
    if not is_ours:
        yield
        return
    ours.flush()
    kept = os.fdopen(os.dup(1), "w", encoding=ours.encoding, errors=ours.errors)
    os.dup2(2, 1)
    sys.stdout = kept
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            ours.flush()  # what they wrote to it is talk, too, and would else come last
        sys.stdout = ours
        os.dup2(kept.fileno(), 1)
        with suppress(OSError):  # what could not be written has been told
            kept.close()


def say_json(value: Json) -> None:
    """One value, on one line where a program reads it."""
    indent = 2 if sys.stdout is not None and sys.stdout.isatty() else None  # None: it was closed by who began us
    say(_json_shown(json.dumps(value, ensure_ascii=False, indent=indent)))


def say_record(record: BaseModel) -> None:
    """What the server answered, as it answered it: no default of ours stands for what it did not say."""
    say_json(record.model_dump(mode="json", by_alias=True, exclude_unset=True))


def _json_shown(text: str) -> str:
    """The same JSON, but what could steer a terminal is escaped: JSON by itself leaves C1 and direction marks alone."""
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(letter if letter.isprintable() or letter == "\n" else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def say_table(rows: Sequence[Mapping[str, Json]], columns: Sequence[str]) -> None:
    for line in table(rows, columns):
        say(line)


def table(rows: Sequence[Mapping[str, Json]], columns: Sequence[str]) -> list[str]:
    """Rows under headings, in columns; whole ids, no colour."""
    cells = [[column.upper().replace("_", " ") for column in columns]]
    cells += [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[number]) for line in cells) for number in range(len(columns))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]


def _cell(value: Json) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, list | tuple):
        return ",".join(on_one_line(str(item)) for item in value) or "-"
    return on_one_line(str(value))


def shown(text: str) -> str:
    """Text that a terminal cannot be told anything by: control and direction characters are spelled out."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else _spelled(letter) for letter in text)


def on_one_line(text: str) -> str:
    """The same for what belongs on one line: a title with a line end could say what only the next line may say."""
    return shown(text).replace("\n", "\\n")


def _spelled(letter: str) -> str:
    code = ord(letter)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def is_live() -> bool:
    """Whether a person watches stdout on a terminal that can be drawn on."""
    return sys.stdout.isatty() and not manner.as_json and os.environ.get("TERM") != "dumb"
