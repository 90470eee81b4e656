"""An event of the feed as CloudEvents 1.0, and how a stream of them is framed as Server-Sent Events (WHATWG HTML §9.2).

A client that resumes sends the id of the last event it saw as `Last-Event-ID`; that id is the feed's cursor.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from swarmkeeper.wire.answers import Page
from swarmkeeper.wire.shapes import Answer, Json, Object, Time, rfc3339

SOURCE = "/swarmkeeper"
_TYPE_PREFIX, _TYPE_VERSION = "io.swarmkeeper.", ".v1"

# A comment: tells proxies and the reader's timeout that the stream lives, and nothing else.
SSE_ALIVE = b": alive\n\n"
SSE_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back
}


class CloudEvent(Answer):
    """A fact in the feed."""

    specversion: Literal["1.0"] = "1.0"
    id: Annotated[str, Field(description="Its place in the feed: resume after it.")]
    source: str = SOURCE
    type: Annotated[str, Field(examples=["io.swarmkeeper.task.planned.v1"])]
    subject: Annotated[str | None, Field(examples=["tasks/tsk_01J8"])] = None
    time: Time
    sequence: Annotated[int, Field(description="1, 2, 3 … within a task, without gap.")] = 0
    data: Object = Field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What happened, in the engine's own word, such as task.planned."""
        return self.type.removeprefix(_TYPE_PREFIX).removesuffix(_TYPE_VERSION)


class EventPage(Page[CloudEvent]):
    """Events, in order."""


def cloud_event(
    *, cursor: str, at: int, kind: str, subject: str | None, sequence: int, data: Json, source: str = SOURCE
) -> dict[str, Json]:
    """An event as it is sent; `at` is in microseconds, `kind` the engine's word, `subject` such as tasks/tsk_…."""
    return {
        "specversion": "1.0",
        "id": cursor,
        "source": source,
        "type": f"{_TYPE_PREFIX}{kind}{_TYPE_VERSION}",
        "subject": subject,
        "time": rfc3339(at),
        "sequence": sequence,
        "data": data,
    }


def sse(data: bytes, *, id: str) -> bytes:  # noqa: A002  the field's name in the standard
    """One event of a stream; `data` is JSON on one line.

    It has no `event:` field, since a browser hands named events only to those who listen for each name.
    """
    assert b"\n" not in data, "JSON is written on one line"
    assert b"\r" not in data, "JSON is written on one line"
    assert not set(id) & set("\r\n\0"), "an id is one line"
    return b"id: %s\ndata: %s\n\n" % (id.encode(), data)


class SseEvent(NamedTuple):
    id: str  # of the last event that had one
    data: str


class SseReader:
    """Takes a stream apart, however it was cut on its way.

    A line ends with LF, CR or CRLF; what follows the last whole event is kept for the next piece.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._rest = ""
        self._id = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[SseEvent]:
        text = self._rest + self._decoder.decode(piece)
        # A CR at the end may be half of a CRLF.
        held = "\r" if text.endswith("\r") else ""
        *lines, self._rest = text.removesuffix(held).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest += held
        for line in lines:
            if not line:
                if self._data:
                    yield SseEvent(self._id, "\n".join(self._data))
                    self._data = []
                continue
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                self._data.append(value)
            elif name == "id" and "\0" not in value:
                self._id = value
