"""Feed events as CloudEvents 1.0; reads and writes streams of Server-Sent Events (WHATWG HTML §9.2).

To resume, a client sends the id of the last event it saw as `Last-Event-ID`: the id is the feed's cursor.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from swarmkeeper.wire.answers import Page
from swarmkeeper.wire.shapes import Answer, Object, Time

_TYPE_PREFIX, _TYPE_VERSION = "io.swarmkeeper.", ".v1"

# A comment: keeps proxies and the reader's timeout from closing an idle stream.
SSE_ALIVE = b": alive\n\n"
SSE_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would buffer events
}


class CloudEvent(Answer):
    """An event of the feed."""

    specversion: Literal["1.0"] = "1.0"
    id: Annotated[
        str,
        Field(description="A cursor of the feed: resume after it. Ids are equal or not; they have no order."),
    ]
    source: str = "/swarmkeeper"
    type: Annotated[str, Field(examples=["io.swarmkeeper.task.planned.v1"])]
    subject: Annotated[str | None, Field(examples=["tasks/tsk_01J8"])] = None
    time: Time
    sequence: Annotated[int, Field(description="1, 2, 3 … within a task, without gaps.")] = 0
    data: Object = Field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The event kind as the engine names it, such as task.planned."""
        return self.type.removeprefix(_TYPE_PREFIX).removesuffix(_TYPE_VERSION)


class EventPage(Page[CloudEvent]):
    """Events, in order."""


def sse(data: bytes, *, id: str) -> bytes:  # noqa: A002  the field's name in the standard
    """Frame one event of a stream; `data` is JSON on one line.

    It has no `event:` field, because a browser passes named events only to listeners for that name.
    """
    assert b"\n" not in data, "data must be one line"
    assert b"\r" not in data, "data must be one line"
    assert not set(id) & set("\r\n\0"), "the id must be one line"
    return b"id: %s\ndata: %s\n\n" % (id.encode(), data)


class SseEvent(NamedTuple):
    id: str  # the last id sent, by this event or an earlier one
    data: str


class SseReader:
    """Parses a stream that arrives in pieces of any size.

    A line ends with LF, CR or CRLF. An incomplete event is kept until the next piece arrives.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._rest = ""
        self._id = ""
        self._data: list[str] = []

    @property
    def last_id(self) -> str:
        """The last id sent, also one without an event."""
        return self._id

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
