"""Loads bots from a Python file or module, for `bot run`."""

from __future__ import annotations

import shlex
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmkeeper.cli.framework import running
from swarmkeeper.cli.framework.terminal import CliError, Exit

if TYPE_CHECKING:
    from types import ModuleType

    from swarmkeeper.sdk.bots import BaseBot


def load(target: str) -> BaseBot:
    """Load the only bot of a file or module, or the one named after a colon.

    Raises:
        CliError: there is no such file, module or bot, or there are several, or its code fails.
    """
    source, wanted = parted(target)
    module = _loaded(source)
    found = _bots_in(module)
    if wanted:
        if not _is_bot(value := getattr(module, wanted, None)):
            raise _no_such(source, wanted, found)
        return _made(source, value)
    if not found:
        raise _no_such(source, wanted, found)
    if len(found) > 1:
        listed = [("run", _command(source, name)) for name in found]
        detail = f"it contains several bots: {', '.join(found)}"
        fix = f"name one, or run all of them in one process: {_command(source)} --all"
        raise CliError("no_bot", detail, exit_code=Exit.USAGE, facts=listed, fix=fix)
    return _made(source, next(iter(found.values())))


def load_all(target: str) -> list[BaseBot]:
    """Load all bots of a file or module, in the order of its names.

    Raises:
        CliError: there is no such file or module, or no bot in it, or its code fails.
    """
    source, wanted = parted(target)
    if wanted:
        raise CliError("invalid", "--all runs all bots of a file: leave out the bot's name", exit_code=Exit.USAGE)
    found = _bots_in(_loaded(source))
    if not found:
        raise _no_such(source, wanted, found)
    return [_made(source, value) for value in found.values()]


def parted(target: str) -> tuple[str, str]:
    """Split into file or module and the bot's name, which may be empty."""
    source, colon, wanted = target.rpartition(":")
    return (source, wanted) if colon else (target, "")


def _loaded(source: str) -> ModuleType:
    from swarmkeeper.sdk.processes.loading import RunWhileLoading, loading

    with _own_errors(source):
        try:
            with loading():
                return _module(source)
        except RunWhileLoading as error:
            raise _runs_itself(error) from None


def _runs_itself(error: Exception) -> CliError:
    """Return the error for a file that runs its bots on import: the line, and what to write there."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name == "<module>"]
    where = frames[-1]  # the innermost imported file
    line = (where.line or "run(…)").strip()
    return CliError(
        "runs_itself",
        "the file runs a bot while it is loaded: leave that to `bot run`",
        exit_code=Exit.USAGE,
        facts=[("where", f"{where.filename}:{where.lineno}: {line}")],
        fix=f'let only `python FILE` run it:\n       if __name__ == "__main__":\n           {line}',
    )


def _is_bot(value: object) -> bool:
    from swarmkeeper.sdk.bots import BaseBot

    return isinstance(value, BaseBot) or (isinstance(value, type) and issubclass(value, BaseBot))


def _bots_in(module: ModuleType) -> dict[str, Any]:
    """Return bots, and classes of bots that the module defines, by name. A class without its work method is a base."""
    found: dict[str, Any] = {}
    for name, value in vars(module).items():
        if not _is_bot(value) or any(value is known for known in found.values()):
            continue
        if isinstance(value, type) and value.__module__ != module.__name__:
            continue
        found[name] = value
    whole = {name: value for name, value in found.items() if hasattr(value, getattr(value, "method", ""))}
    return whole or found  # if all are bases, the error names the missing method


def _made(source: str, value: Any) -> BaseBot:
    with _own_errors(source):
        bot: BaseBot = value() if isinstance(value, type) else value
        bot.code()
        return bot


def _command(source: str, name: str | None = None) -> str:
    target = source if name is None else f"{source}:{name}"
    return f"{running.program()} bot run {shlex.quote(target)}"


def _no_such(source: str, wanted: str, found: dict[str, Any]) -> CliError:
    if wanted:
        detail = f"it contains no bot {wanted!r}"
        listed = [("run", _command(source, name)) for name in found]
        return CliError("no_bot", detail, exit_code=Exit.USAGE, facts=listed)
    fix = "derive a class from PlannerBot, ExecutorBot or EvaluatorBot, or decorate a function with @executor"
    return CliError("no_bot", "it contains no bot", exit_code=Exit.USAGE, fix=fix)


@contextmanager
def _own_errors(source: str) -> Iterator[None]:
    """Turn an error of the bot's code into a failure that names its place.

    Raises:
        CliError: the code raised an error.
    """
    try:
        yield
    except CliError:
        raise
    except Exception as error:
        message = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"
        facts = [("where", where)] if (where := _where(error, source)) else []
        raise CliError("bot_fails", f"the bot cannot be loaded: {message}", facts=facts) from None


def _where(error: Exception, source: str) -> str | None:
    """Return file and line: in the bot's folder if the traceback passes it, else where the error was raised."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}, line {error.lineno}"
    folder = str((Path(source).parent if source.endswith(".py") else Path()).resolve())
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and frame.filename != __file__
    ]
    own = [frame for frame in frames if str(Path(frame.filename).resolve().parent) == folder] or frames
    return f"{own[-1].filename}, line {own[-1].lineno}" if own else None


def _module(source: str) -> ModuleType:
    if not source:
        raise CliError("no_file", "expected a file or module", exit_code=Exit.USAGE)
    if not source.endswith(".py"):
        sys.path.insert(0, str(Path.cwd()))
        try:
            return import_module(source)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{source}.".startswith(f"{error.name}."):
                raise  # the module exists, but not one that it imports
            raise CliError("no_module", f"there is no module {error.name}", exit_code=Exit.USAGE) from None
    file = Path(source)
    if not file.is_file():
        raise CliError("no_file", "there is no such file", exit_code=Exit.USAGE)
    sys.path.insert(0, str(file.resolve().parent))  # so that it can import its neighbours
    spec = spec_from_file_location(file.stem, file)
    assert spec is not None, "expected a Python file"
    assert spec.loader is not None, "expected a Python file"
    module = module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module
