"""What users bring to a run of their own, named by its file: bots (`mine.py:swarm`) and invariants. How their bots are
played among faults stands in user_bots.py.

A file is carried out anew for each run, and for each process of a bot: nothing that it keeps outlives what would end
with a real process. What it imports is loaded once.
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

SWARM = "swarm"  # what is looked for in a file where no name is given
# A run that ends with this "invariant" says nothing about the system: the user's code could not be played.
TROUBLE = "0.own-code"
_FOUND_MAX = 100
# Whose code runs now, where it is a user's.
_ROOM = Path(__file__).parent
PLAYED: ContextVar[str] = ContextVar("swarmkeeper_sim_played", default="")


class UserCodeFails(Exception):
    """The user's own code cannot be played. The message says which line, and what to do."""


class NotThere(UserCodeFails):
    """There is no such file, or nothing of that name in it."""


@dataclass(frozen=True, slots=True)
class UserBot:
    """One of the user's bots, as it is told from others; its instances are made by `make`, one for each process."""

    type: str
    word: str  # its processes are named by it
    named: bool  # by its author
    skills: frozenset[str]
    dedicated: bool
    make: Callable[[], BaseBot]


# ---- bots ----------------------------------------------------------------------------------------------------------


def swarm_of(target: str) -> list[UserBot]:
    """The bots that `FILE.py:NAME` names: a list of instances or classes, one of these, or a function that returns it.

    Raises:
        UserCodeFails: it cannot be loaded, or holds no bots.
    """

    found: list[UserBot] = []
    for place, bot in enumerate(_bots(target)):
        word = re.sub(r"[^A-Za-z0-9._-]", "-", bot.name or bot.source_name() or bot.type)[:64]
        if any(one.word == word for one in found):
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
        raise NotThere(f"{Path(path).name}: there is no `{name}` in it")
    try:
        if inspect.isfunction(value):
            value = value()
        listed = list(value) if isinstance(value, Iterable) else [value]
        bots = [one() if isinstance(one, type) and issubclass(one, BaseBot) else one for one in listed]
        for bot in bots:
            if not isinstance(bot, BaseBot) or type(bot).__dict__.get("type", getattr(bot, "type", None)) is None:
                raise NotThere(f"{Path(path).name}: `{name}` is to be bots of the SDK, and holds something else")
            if isinstance(bot.skills, str):
                raise TypeError(f"{type(bot).__name__}.skills is a set of words, not one text")
            if not all(isinstance(skill, str) for skill in bot.skills):
                raise TypeError(f"{type(bot).__name__}.skills is a set of words, and holds something else")
            bot.code()
    except UserCodeFails:
        raise
    except (Exception, SystemExit) as error:
        raise UserCodeFails(f"{Path(path).name}: `{name}` cannot be made: {said(error, path)}") from None
    if not bots:
        raise NotThere(f"{Path(path).name}: there are no bots in `{name}`")
    return bots


def path_of(target: str) -> str:
    return _parts(target)[0]


def _parts(target: str) -> tuple[str, str]:
    path, colon, name = target.rpartition(":")
    return (path, name) if colon and name.isidentifier() else (target, SWARM)


# ---- invariants ----------------------------------------------------------------------------------------------------


def invariants_of(path: str) -> list[UserInvariant]:
    """All that the file makes with `@invariant`; one that raises ends its run as trouble of the user's own.

    Raises:
        UserCodeFails: it cannot be loaded, or has none.
    """
    found = [one for one in vars(load(path)).values() if isinstance(one, UserInvariant)]
    if not found:
        raise NotThere(f'{Path(path).name}: there is no invariant in it; make one with @invariant("words")')
    return [UserInvariant(one.name, one.words, _watched(one, path)) for one in found]


def _watched(user_invariant: UserInvariant, path: str) -> Check:
    def check(model: Records, commit: Commit) -> Iterable[str | tuple[str, str]]:
        played = PLAYED.set(user_invariant.name)
        try:
            # The first thing that is wrong ends the run: of those that never end, the first few are enough.
            found = list(islice(_yielded(user_invariant.check(model, commit)), _FOUND_MAX))
            for one in found:
                if not isinstance(one, str) and not _is_pair(one):
                    raise TypeError("it is to yield words, or an id and words")
            return found
        except Exception as error:
            model.broken(TROUBLE, "-", f"the invariant `{user_invariant.name}` fails: {said(error, path)}")
            return ()
        finally:
            PLAYED.reset(played)

    return check


def _yielded(answer: object) -> Iterable[str | tuple[str, str]]:
    if answer is None:
        return ()
    if isinstance(answer, str) or not isinstance(answer, Iterable):
        raise TypeError("it is to yield what is wrong, or to return a list of it")
    return answer


def _is_pair(one: object) -> bool:
    return isinstance(one, tuple) and len(one) == 2 and all(isinstance(part, str) for part in one)


# ---- files ---------------------------------------------------------------------------------------------------------


def load(path: str) -> ModuleType:
    """Carry a file out.

    Raises:
        UserCodeFails: it is not there, or ends with an error.
    """
    file = Path(path).resolve()
    try:
        stamp = file.stat()
        if not stat.S_ISREG(stamp.st_mode):  # nobody waits for what somebody may write into a pipe
            raise NotThere(f"{Path(path).name or path}: this is not a file")
        code = _compiled(file, stamp.st_mtime_ns, stamp.st_size)
    except OSError as error:
        raise NotThere(f"{Path(path).name}: the file cannot be read: {error.strerror}") from None
    except (SyntaxError, ValueError) as error:
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise UserCodeFails(f"{file.name}{where}: {getattr(error, 'msg', error)}") from None
    if (folder := str(file.parent)) not in sys.path:
        sys.path.insert(0, folder)  # so that it can import what lies beside it
    name = f"swarmkeeper_own_{file.stem}"  # cannot be that of a module that somebody imports
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
        raise UserCodeFails(f"{file.name} cannot be loaded: {said(error, path)}") from None
    return module


@lru_cache(maxsize=16)
def _compiled(file: Path, _changed: int, _size: int) -> CodeType:
    # Not by an importer, which would leave files of its own beside it.
    return compile(file.read_bytes(), str(file), "exec", dont_inherit=True)


# ---- where ---------------------------------------------------------------------------------------------------------


def said(error: BaseException, *paths: str) -> str:
    """An error, and the user's own line that it passed last."""
    words, line = "".join(traceback.format_exception_only(error)).strip(), line_of(error, *paths)
    return words if line is None else f"{words} ({line})"


def line_of(error: BaseException, *paths: str) -> str | None:
    folders = {Path(path).resolve().parent for path in paths}
    frames = [one for one in traceback.extract_tb(error.__traceback__) if Path(one.filename).parent in folders]
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else None


def line_now(paths: Collection[str]) -> str | None:
    """The line of the user's own, in these files or beside them, from which we come; None where there is none."""
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
    """What is to be told where the user's own code reached for the real world; None where it was not theirs."""
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
    """Return the file that touched a guard: the first frame that is not of the simulator."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _ROOM in Path(frame.f_code.co_filename).parents:
        frame = frame.f_back
    return "" if frame is None else Path(frame.f_code.co_filename).as_posix()
