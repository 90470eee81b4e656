"""Loads users' own code for a run, given by file: bots (`mine.py:swarm`) and invariants. For how faults affect their
bots, see user_bots.py.

The file is executed again for each run and for each process of a bot, so that its state does not outlive a process.
Modules that it imports are loaded once.
"""

from __future__ import annotations

import inspect
import re
import stat
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import TYPE_CHECKING

from swarmkeeper.sdk.processes.loading import RunWhileLoading, loading
from swarmkeeper.sim.oracle.user_invariants import Check, UserInvariant

if TYPE_CHECKING:
    from swarmkeeper.sdk.bots import BaseBot
    from swarmkeeper.sim.oracle.records import Commit, Records

SWARM = "swarm"  # default name of the bots in a file
# A run that ends with this "invariant" says nothing about the system: the user's code could not be run.
TROUBLE = "0.own-code"
_FOUND_MAX = 100
_SIM_FOLDER = Path(__file__).parent
# Name of the user's bot or invariant that runs now; "" if none does.
PLAYED: ContextVar[str] = ContextVar("swarmkeeper_sim_played", default="")


class UserCodeFails(Exception):
    """The user's own code cannot be run. The message names the line and says what to do."""


class UserCodeNotFound(UserCodeFails):
    """The file does not exist, or does not define that name."""


@dataclass(frozen=True, slots=True)
class UserBot:
    """One of the user's bots. `make` creates an instance, one for each process."""

    type: str
    word: str  # the name of its processes
    named: bool  # its author gave it a name
    skills: frozenset[str]
    dedicated: bool
    make: Callable[[], BaseBot]


# ---- bots ----------------------------------------------------------------------------------------------------------


def swarm_of(target: str) -> list[UserBot]:
    """Load the bots that `FILE.py:NAME` names: a list of instances or classes, a single one, or a function that returns
    either.

    Raises:
        UserCodeFails: the file cannot be loaded, or has no bots.
    """

    found: list[UserBot] = []
    for place, bot in enumerate(_bots(target)):
        word = re.sub(r"[^A-Za-z0-9._-]", "-", bot.name or bot.source_name() or bot.type)[:64]
        if any(other.word == word for other in found):
            word = f"{word}-{place + 1}"
        skills, named = frozenset(bot.skills), bot.name is not None
        found.append(UserBot(bot.type, word, named, skills, bot.dedicated, lambda place=place: _bots(target)[place]))  # type: ignore[misc]  # mypy does not know the default's type
    return found


def _bots(target: str) -> Sequence[BaseBot]:
    from swarmkeeper.sdk.bots import BaseBot

    path, name = _parts(target)
    module = load(path)
    value = getattr(module, name, None)
    if value is None:
        raise UserCodeNotFound(f"{Path(path).name}: there is no `{name}` in it")
    try:
        if inspect.isfunction(value):
            value = value()
        listed = list(value) if isinstance(value, Iterable) else [value]
        bots = [bot() if isinstance(bot, type) and issubclass(bot, BaseBot) else bot for bot in listed]
        for bot in bots:
            if not isinstance(bot, BaseBot) or type(bot).__dict__.get("type", getattr(bot, "type", None)) is None:
                raise UserCodeNotFound(f"{Path(path).name}: `{name}` must hold only bots of the SDK")
            if isinstance(bot.skills, str):
                raise TypeError(f"{type(bot).__name__}.skills must be a set of strings, not one string")
            if not all(isinstance(skill, str) for skill in bot.skills):
                raise TypeError(f"{type(bot).__name__}.skills must be a set of strings")
            bot.code()
    except UserCodeFails:
        raise
    except (Exception, SystemExit) as error:
        raise UserCodeFails(f"{Path(path).name}: `{name}` cannot be created: {describe_error(error, path)}") from None
    if not bots:
        raise UserCodeNotFound(f"{Path(path).name}: there are no bots in `{name}`")
    return bots


def path_of(target: str) -> str:
    return _parts(target)[0]


def _parts(target: str) -> tuple[str, str]:
    path, colon, name = target.rpartition(":")
    return (path, name) if colon and name.isidentifier() else (target, SWARM)


# ---- invariants ----------------------------------------------------------------------------------------------------


def invariants_of(path: str) -> list[UserInvariant]:
    """Load all invariants that the file makes with `@invariant`. One that raises ends its run as a fault of user code.

    Raises:
        UserCodeFails: the file cannot be loaded, or has no invariants.
    """
    found = [value for value in vars(load(path)).values() if isinstance(value, UserInvariant)]
    if not found:
        raise UserCodeNotFound(f'{Path(path).name}: there is no invariant in it; make one with @invariant("words")')
    return [UserInvariant(each.name, each.words, _watched(each, path)) for each in found]


def _watched(user_invariant: UserInvariant, path: str) -> Check:
    def check(model: Records, commit: Commit) -> Iterable[str | tuple[str, str]]:
        played = PLAYED.set(user_invariant.name)
        try:
            # The first finding ends the run, and a generator may be endless: the first few are enough.
            found = list(islice(_yielded(user_invariant.check(model, commit)), _FOUND_MAX))
            for finding in found:
                if not isinstance(finding, str) and not _is_pair(finding):
                    raise TypeError("it must yield a message, or an id and a message")
            return found
        except Exception as error:
            model.broken(TROUBLE, "-", f"the invariant `{user_invariant.name}` fails: {describe_error(error, path)}")
            return ()
        finally:
            PLAYED.reset(played)

    return check


def _yielded(answer: object) -> Iterable[str | tuple[str, str]]:
    if answer is None:
        return ()
    if isinstance(answer, str) or not isinstance(answer, Iterable):
        raise TypeError("it must yield findings, or return a list of them")
    return answer


def _is_pair(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, str) for part in value)


# ---- files ---------------------------------------------------------------------------------------------------------


def load(path: str) -> ModuleType:
    """Execute a file and return it as a module.

    Raises:
        UserCodeFails: the file does not exist, or raises.
    """
    file = Path(path).resolve()
    try:
        stamp = file.stat()
        if not stat.S_ISREG(stamp.st_mode):  # reading a pipe could block for ever
            raise UserCodeNotFound(f"{Path(path).name or path}: this is not a file")
        code = _compiled(file, stamp.st_mtime_ns, stamp.st_size)
    except OSError as error:
        raise UserCodeNotFound(f"{Path(path).name}: the file cannot be read: {error.strerror}") from None
    except (SyntaxError, ValueError) as error:
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise UserCodeFails(f"{file.name}{where}: {getattr(error, 'msg', error)}") from None
    if (folder := str(file.parent)) not in sys.path:
        sys.path.insert(0, folder)  # so that it can import modules of its folder
    name = f"swarmkeeper_own_{file.stem}"  # does not collide with an imported module
    module = ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module  # dataclasses and pydantic look it up there
    try:
        with loading():
            exec(code, module.__dict__)  # noqa: S102  # the user's own file, which the user asked for
    except (SystemExit, RunWhileLoading):
        why = 'it runs bots or ends the program; start bots below `if __name__ == "__main__":` alone'
        raise UserCodeFails(f"{file.name} cannot be loaded: {why}") from None
    except Exception as error:
        raise UserCodeFails(f"{file.name} cannot be loaded: {describe_error(error, path)}") from None
    return module


@lru_cache(maxsize=16)
def _compiled(file: Path, _changed: int, _size: int) -> CodeType:
    # Not by an importer, which would write cache files into the user's folder.
    return compile(file.read_bytes(), str(file), "exec", dont_inherit=True)


# ---- locations -----------------------------------------------------------------------------------------------------


def describe_error(error: BaseException, *paths: str) -> str:
    """Describe an error, with the last line of the user's code in its traceback."""
    words, line = "".join(traceback.format_exception_only(error)).strip(), line_of(error, *paths)
    return words if line is None else f"{words} ({line})"


def line_of(error: BaseException, *paths: str) -> str | None:
    folders = {Path(path).resolve().parent for path in paths}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent in folders]
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else None


def line_now(paths: Collection[str]) -> str | None:
    """Return the innermost line of user code (in the folders of `paths`) on the call stack, or None."""
    folders = {str(Path(path).resolve().parent) for path in paths}
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if str(Path(frame.f_code.co_filename).parent) in folders:
            return f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"
        frame = frame.f_back
    return None


_INSTEAD: tuple[tuple[str | tuple[str, ...], str], ...] = (
    ("os._exit", "raise an exception, which is a failed attempt"),
    (("os.system", "os.fork", "os.posix_spawn"), "put a stand-in there that takes as long as the program does"),
    ("time.sleep", "wait with `await asyncio.sleep(seconds)`, which takes virtual time"),
    ("time.", "ask `asyncio.get_running_loop().time()`, which is virtual time"),
    (
        ("random.", "secrets.", "uuid.", "os."),
        "draw from `random.Random(context.work_id)`, so that a run can be repeated",
    ),
    ("Thread", "call it directly: what it does takes no virtual time"),
)
_STAND_IN = "put a stand-in there that takes as long as the real thing: `await asyncio.sleep(seconds)`"
_LOGGING = "log warnings at most, which are dropped in a rehearsal"


def touched(words: str, paths: Collection[str]) -> str | None:
    """Return the message for user code that hit a guard; None if other code did."""
    line, who = line_now(paths), PLAYED.get()
    if line is None and not who:
        return None
    name, by = words.partition(" ")[0], _called_by()
    instead = _STAND_IN
    if by.endswith("logging/__init__.py"):
        instead = _LOGGING
    elif str(Path(by).parent) in {str(Path(path).resolve().parent) for path in paths}:
        instead = next((way for begins, way in _INSTEAD if name.startswith(begins)), _STAND_IN)
    return f"{line or f'something that {who} calls'} reaches for {name}, which is not there in a rehearsal: {instead}"


def _called_by() -> str:
    """Return the file that hit a guard: the first frame outside the simulator."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _SIM_FOLDER in Path(frame.f_code.co_filename).parents:
        frame = frame.f_back
    return "" if frame is None else Path(frame.f_code.co_filename).as_posix()
