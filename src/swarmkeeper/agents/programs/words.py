"""Makes the words of a program from the bot's command and one attempt's prompt. No shell ever sees them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from swarmkeeper.sdk.attempts.sendable import readable

# Linux takes no longer word (MAX_ARG_STRLEN is 128 KiB, with the NUL at its end). The rest is for words around it.
PROMPT_WORD_BYTES_MAX = 120 * 1024
_PLACES = re.compile(r"\{(prompt|prompt_file|session)\}")
_PROMPT_PLACES = ("{prompt}", "{prompt_file}")
# A session's name becomes a word of a command: it must never read as an option or a path.
_SESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_:-]{0,127}")


class PromptTooLong(Exception):
    """The prompt does not fit into a word of a command, and this program cannot be asked to read a file."""


@dataclass(frozen=True, slots=True)
class ProgramCall:
    """What to start: the words, and the text for stdin; None: stdin is empty."""

    words: tuple[str, ...]
    stdin: str | None


def checked_command(command: object, what: str = "command") -> tuple[str, ...]:
    """Return a command as words. A program named by a relative path is looked for from the bot's folder, once.

    Raises:
        TypeError: it is not a list of words.
        ValueError: it is empty, or a word holds a NUL.
    """
    if isinstance(command, str | bytes) or not isinstance(command, Sequence):
        raise TypeError(f'{what} is a list of words, such as ["claude", "-p", "{{prompt}}"]: no shell reads it')
    for word in command:
        if not isinstance(word, str | os.PathLike):
            raise TypeError(f"{what} is a list of words; one of them is a {type(word).__name__}")
    words = [os.fsdecode(word) for word in command]
    if not words or not words[0]:
        raise ValueError(f"{what} is empty: its first word names the program")
    if any("\0" in word for word in words):
        raise ValueError(f"a word of {what} cannot hold a NUL")
    if _PLACES.search(words[0]):
        raise ValueError(f"the first word of {what} names the program: no task may choose it")
    if "/" in words[0]:
        words[0] = str(Path(words[0]).absolute())
    return tuple(words)


def takes_prompt(command: Sequence[str]) -> bool:
    """Whether the prompt is a word or a file; otherwise it goes to stdin."""
    return any(place in word for word in command for place in _PROMPT_PLACES)


def resumed_command(command: Sequence[str], resume: Sequence[str]) -> tuple[str, ...]:
    """Return the command that continues a session.

    If `resume` begins with the program's name it is the whole command; otherwise its words are added, before a `--`.
    """
    if resume[0] == command[0]:
        return tuple(resume)
    end = command.index("--") if "--" in command else len(command)
    return (*command[:end], *resume, *command[end:])


def call_of(
    command: Sequence[str], prompt: str, *, prompt_file: Path, session: str | None, reads_files: bool
) -> ProgramCall:
    """Put an attempt's values into the words.

    Args:
        prompt_file: a file that holds the prompt.
        reads_files: the program understands the request to read the prompt from the file, if it is too long for a word.

    Raises:
        PromptTooLong: it does not, and the prompt is too long.
    """
    shown = readable(prompt)
    if "{prompt}" in "\n".join(command) and len(os.fsencode(shown)) > PROMPT_WORD_BYTES_MAX:
        if not reads_files:
            raise PromptTooLong(
                f"the prompt has {len(os.fsencode(shown))} bytes; a word of a command holds {PROMPT_WORD_BYTES_MAX}. "
                "Leave {prompt} out of the command, then the prompt goes to stdin, or write {prompt_file}"
            )
        shown = f"Your task is in the file {prompt_file} (UTF-8 text). Read the whole file first, then do the task."
    values = {"prompt": shown, "prompt_file": str(prompt_file), "session": session or ""}
    words = [_filled(word, values) for word in command]
    return ProgramCall(tuple(words), None if takes_prompt(command) else readable(prompt))


def _filled(word: str, values: Mapping[str, str]) -> str:
    """Fill the places of one word, in one pass: what a prompt says about places is text."""
    filled = _PLACES.sub(lambda place: values[place.group(1)], word)
    # A prompt that begins with a dash would be an option. Every parser takes the word as text after a space.
    return f" {filled}" if filled.startswith("-") and word.startswith("{prompt}") else filled


def session_name(value: object) -> str | None:
    """Return the name of a session if it is one. It comes from a program, or from another bot's checkpoint."""
    return value if isinstance(value, str) and _SESSION.fullmatch(value) else None


def found_program(name: str, environment: Mapping[str, str]) -> str | None:
    """Return the path of the program; None if it is not on this machine.

    Only absolute folders of PATH count: the program runs in a checkout, whose files must not become programs.
    """
    folders = [folder for folder in environment.get("PATH", os.defpath).split(os.pathsep) if Path(folder).is_absolute()]
    return shutil.which(name, path=os.pathsep.join(folders))
