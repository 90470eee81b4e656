"""What is told of an exception of a bot's code: type, message, and the line of the author's own that it came from."""

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
    """Write the traceback of a record so that a file can take it: half a surrogate pair in it would lose the record."""
    if record.exc_info and record.exc_info[1] is not None and not record.exc_text:
        record.exc_text = readable("".join(traceback.format_exception(record.exc_info[1])).rstrip())
    return True


logging.getLogger("swarmkeeper.bot").addFilter(_readable_traceback)


class RaisedElsewhere(Exception):
    """Stands for an exception that another process raised, or for its crash; what is told of it was made there."""

    def __init__(self, kind: str, said: str, trace: str = "", failure: Failed | None = None) -> None:
        super().__init__(said)
        self.kind = kind  # the type's name
        self.said = said
        self.trace = trace  # as text; empty where there is none
        self.failure = failure or Failed(said)


class OwnCode:
    """Tells an author's files from those of libraries: what lies beside the bot's code, and outside all libraries."""

    def __init__(self, code: Callable[..., Any]) -> None:
        file = _file_of(code)
        path = Path(file).resolve() if file else None
        # A bot that is one file among the installed ones owns that file alone.
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
        """The author's own place that was passed last, or else the last of all. `places` go inwards."""
        own = [place for place in places if self.owns(place[0])]
        return own[-1] if own else places[-1] if places else None

    def told(self, error: BaseException) -> str:
        """An exception as the outcome of an attempt. The server redacts it, a hook may before."""
        if isinstance(error, RaisedElsewhere):
            return error.said
        said, leaf = _said(error), _leaf(error)
        frames = traceback.extract_tb(leaf.__traceback__) or traceback.extract_tb(error.__traceback__)
        place = self.innermost([(frame.filename, frame.lineno or 0, frame.name) for frame in frames])
        return readable(said if place is None else f"{said} (at {shown(place)})")


def _file_of(code: Callable[..., Any]) -> str | None:
    for one in (code, type(code)):  # an object that can be called is of a class of the author's
        with contextlib.suppress(TypeError, OSError):
            return inspect.getsourcefile(inspect.unwrap(one))
    return None


def kind_of(error: BaseException) -> str:
    """The name of its type, where it was raised."""
    return error.kind if isinstance(error, RaisedElsewhere) else type(error).__name__


def shown(place: Place) -> str:
    file, line, function = place
    # The file's name without its folders: those tell of the machine, not of the fault.
    return f"{Path(file).name}:{line} in {function}"


def places_of(frame: FrameType | None) -> list[Place]:
    """Where a thread stands, from its outermost call inwards."""
    places = []
    while frame is not None:
        places.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back
    return places[::-1]


def _said(error: BaseException) -> str:
    said = "".join(traceback.format_exception_only(error)).strip()
    if isinstance(error, BaseExceptionGroup):
        leaves = _leaves(error)
        more = f"; and {len(leaves) - _LEAVES_MAX} more" if len(leaves) > _LEAVES_MAX else ""
        said += ": " + "; ".join(_said(leaf) for leaf in leaves[:_LEAVES_MAX]) + more
    return said


def _leaf(error: BaseException) -> BaseException:
    return _leaves(error)[0] if isinstance(error, BaseExceptionGroup) else error


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for each in group.exceptions:
        found += _leaves(each) if isinstance(each, BaseExceptionGroup) else [each]
    return found
