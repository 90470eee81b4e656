"""Output of commands: data to stdout, messages to stderr, errors in one shape, documented exit codes.

Text from others (titles, outputs, messages of bots) passes `shown` before it reaches a terminal.
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
    """Exit codes of the process."""

    OK = 0
    ERROR = 1
    USAGE = 2
    TASK_FAILED = 3
    NOT_ALLOWED = 4
    NOT_FOUND = 5
    CONFLICT = 6
    TIMED_OUT = 7
    NEEDS_APPROVAL = 8
    UNREACHABLE = 10
    VIOLATION = 11
    INTERRUPTED = 130


@dataclass(slots=True)
class OutputFormat:
    """Output settings of this process, set by the flags of the command."""

    as_json: bool = False


output_format = OutputFormat()


class CliError(Exception):
    """A command cannot do its work; `main` prints this on stderr.

    `facts` are labelled lines, `fix` says what to type or change.
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

    def report(self) -> None:
        if output_format.as_json:
            fields: dict[str, Json] = {
                "code": self.code,
                "detail": self.detail,
                "facts": list(map(list, self.facts)),
            }
            whole = {"error": fields | {"fix": self.fix, "exit_code": int(self.exit_code)}}
            talk(_json_shown(json.dumps(whole, ensure_ascii=False)))
            return
        lines = [f"error[{self.code}]: {shown(self.detail)}"]
        facts = [*self.facts, *([("fix", self.fix)] if self.fix else [])]
        width = max((len(label) for label, _ in facts), default=0)
        lines += [f"  {label:<{width}}  {shown(text)}" for label, text in facts]
        talk("\n".join(lines))


def stop(exit_code: Exit) -> NoReturn:
    """End the command with this exit code, without printing anything."""
    import typer

    raise typer.Exit(int(exit_code))


def say(text: str = "") -> None:
    """Print a line of data on stdout.

    Raises:
        CliError: stdout cannot be written.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:  # the reader has gone: see `main`
        raise
    except OSError as error:
        raise CliError("stdout", f"stdout cannot be written: {error.strerror}") from None


def talk(text: str) -> None:
    """Print a message on stderr. If stderr cannot be written, the command continues."""
    if sys.stderr is not None:  # None: the parent process closed it
        with suppress(OSError, ValueError):
            print(text, file=sys.stderr, flush=True)


@contextmanager
def stdout_kept() -> Iterator[None]:
    """Redirect output of foreign code to stderr while the block lasts, also that of C libraries on file descriptor 1
    and on `sys.__stdout__`. Data of `say` still goes to the real stdout.
    """
    former = sys.stdout
    try:
        is_descriptor_1 = former.fileno() == 1
    except (AttributeError, OSError, ValueError):  # closed, or not a file of the system
        is_descriptor_1 = False
    if not is_descriptor_1:
        yield
        return
    former.flush()
    kept = os.fdopen(os.dup(1), "w", encoding=former.encoding, errors=former.errors)
    os.dup2(2, 1)
    sys.stdout = kept
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            former.flush()  # text written to it is a message, too, and would come last
        sys.stdout = former
        os.dup2(kept.fileno(), 1)
        with suppress(OSError):  # the write error was reported already
            kept.close()


def say_json(value: Json) -> None:
    """Print one value: on one line for programs, indented on a terminal."""
    indent = 2 if sys.stdout is not None and sys.stdout.isatty() else None  # None: the parent process closed it
    say(_json_shown(json.dumps(value, ensure_ascii=False, indent=indent)))


def say_record(record: BaseModel) -> None:
    """Print an answer of the server as it came: fields that it omitted are omitted here."""
    say_json(record.model_dump(mode="json", by_alias=True, exclude_unset=True))


def _json_shown(text: str) -> str:
    """Escape characters in JSON that could control a terminal: JSON itself leaves C1 and direction marks unescaped."""
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
    """Format rows in columns under headings; ids are not cut, and there is no colour."""
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
    """Make text safe for a terminal: control and direction characters are spelled out."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else _spelled(letter) for letter in text)


def on_one_line(text: str) -> str:
    """Like `shown`, on one line: a title with a line break could imitate the next line."""
    return shown(text).replace("\n", "\\n")


def _spelled(letter: str) -> str:
    code = ord(letter)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def is_live() -> bool:
    """Return whether stdout is a terminal that can be redrawn, watched by a person."""
    return sys.stdout.isatty() and not output_format.as_json and os.environ.get("TERM") != "dumb"
