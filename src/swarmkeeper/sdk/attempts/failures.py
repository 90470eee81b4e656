"""Describes an exception of a bot's code: type, message, and the line of the author's code that it came from."""

from __future__ import annotations

import contextlib
import inspect
import logging
import sysconfig
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from swarmkeeper.sdk.answers import Failed
from swarmkeeper.sdk.attempts.sendable import readable

_OURS = str(Path(__file__).resolve().parent.parent)
_LIBRARIES = ("site-packages", "dist-packages")
_STANDARD = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
_LEAVES_MAX = 3  # of an exception group

Place = tuple[str, int, str]  # file, line, function


def _readable_traceback(record: logging.LogRecord) -> bool:
    """Make a record's traceback encodable: with a lone surrogate in it the record could not be written."""
    if record.exc_info and record.exc_info[1] is not None and not record.exc_text:
        record.exc_text = readable("".join(traceback.format_exception(record.exc_info[1])).rstrip())
    return True


logging.getLogger("swarmkeeper.bot").addFilter(_readable_traceback)


class RaisedElsewhere(Exception):
    """An exception or a crash of another process, which made this description."""

    def __init__(self, kind: str, description: str, trace: str = "", failure: Failed | None = None) -> None:
        super().__init__(description)
        self.kind = kind  # the type's name
        self.description = description
        self.trace = trace  # the traceback as text; may be empty
        self.failure = failure or Failed(description)


class OwnCode:
    """Tells an author's files from library files. The author's lie beside the bot's code, or outside all libraries."""

    def __init__(self, code: Callable[..., Any]) -> None:
        file = _file_of(code)
        path = Path(file).resolve() if file else None
        # A bot installed as a single file among the libraries owns only that file.
        self._home = None if path is None else str(path if path.parent.name in _LIBRARIES else path.parent)

    def owns(self, file: str) -> bool:
        if file.startswith("<"):
            return False
        path = Path(file).resolve()
        if self._home is not None and path.is_relative_to(self._home):
            return True
        return not (
            path.is_relative_to(_OURS)
            or any(part in _LIBRARIES for part in path.parts)
            or any(path.is_relative_to(folder) for folder in _STANDARD)
        )

    def innermost(self, places: Sequence[Place]) -> Place | None:
        """Return the innermost place in the author's code, else the innermost of all. `places` go inwards."""
        own = [place for place in places if self.owns(place[0])]
        return own[-1] if own else places[-1] if places else None

    def describe(self, error: BaseException) -> str:
        """Describe an exception for an attempt's outcome. The server redacts it; a hook may redact it before."""
        if isinstance(error, RaisedElsewhere):
            return error.description
        description, leaf = _described(error), _leaves(error)[0]
        frames = traceback.extract_tb(leaf.__traceback__) or traceback.extract_tb(error.__traceback__)
        place = self.innermost([(frame.filename, frame.lineno or 0, frame.name) for frame in frames])
        return readable(description if place is None else f"{description} (at {shown(place)})")


def _file_of(code: Callable[..., Any]) -> str | None:
    for source in (code, type(code)):  # a callable object's class is the author's
        with contextlib.suppress(TypeError, OSError):
            return inspect.getsourcefile(inspect.unwrap(source))
    return None


def kind_of(error: BaseException) -> str:
    """The name of the exception's type, also if another process raised it."""
    return error.kind if isinstance(error, RaisedElsewhere) else type(error).__name__


def shown(place: Place) -> str:
    file, line, function = place
    # Without the folders, which describe the machine and not the error.
    return f"{Path(file).name}:{line} in {function}"


def places_of(frame: FrameType | None) -> list[Place]:
    """Return a thread's current calls, outermost first."""
    places = []
    while frame is not None:
        places.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back
    return places[::-1]


def _described(error: BaseException) -> str:
    description = "".join(traceback.format_exception_only(error)).strip()
    if isinstance(error, BaseExceptionGroup):
        leaves = _leaves(error)
        more = f"; and {len(leaves) - _LEAVES_MAX} more" if len(leaves) > _LEAVES_MAX else ""
        description += ": " + "; ".join(_described(leaf) for leaf in leaves[:_LEAVES_MAX]) + more
    return description


def _leaves(error: BaseException) -> list[BaseException]:
    """Return the exceptions in a group and in its inner groups; of another exception, itself."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
