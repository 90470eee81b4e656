"""The last checkpoint of a graph, as JSON that any other bot can continue from.

Only the types that LangGraph calls safe are read back: by default its serializer imports and calls whatever the
content names, and here the content may come from any bot. Types of your own need a checkpointer of the graph's own.
"""

from __future__ import annotations

import threading
from base64 import b64decode, b64encode
from typing import Any

from swarmkeeper.agents.adapter import StaleState

Json = Any
_IN_MEMORY = "swarmkeeper-in-memory"  # the kind of a value that could not be serialized
_KIND = "msgpack"


class UnkeptState(ValueError):
    """A graph's state cannot travel. The run can go on, but not in another attempt."""


def saver_in_memory() -> Any:
    """Return a checkpointer for one attempt, which also holds values that cannot be serialized."""
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    class Tolerant(JsonPlusSerializer):
        """An integer of 70 bits in the state must not end the run: without a checkpointer it would not."""

        def __init__(self) -> None:
            super().__init__(allowed_msgpack_modules=None)
            self._held: dict[str, Any] = {}

        def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
            try:
                kind, content = super().dumps_typed(obj)
                if not _blocked(self, kind, content):
                    return kind, content
            except Exception:  # noqa: S110 - of the serializer or of the author's classes; kept as it is, just below
                pass
            name = str(len(self._held))
            self._held[name] = obj
            return _IN_MEMORY, name.encode()

        def loads_typed(self, data: tuple[str, bytes]) -> Any:
            return self._held[data[1].decode()] if data[0] == _IN_MEMORY else super().loads_typed(data)

    return InMemorySaver(serde=Tolerant())


def kept(saver: Any, thread: str) -> Json:
    """Return the last checkpoint of the graph and of each of its subgraphs. None: the graph's own checkpointer has it.

    Raises:
        UnkeptState: a part of it cannot be serialized, or would not be read back.
    """
    if saver is None:
        return None
    made = []
    for name in list(saver.storage[thread]):
        last = saver.get_tuple({"configurable": {"thread_id": thread, "checkpoint_ns": name}})
        kind, content = saver.serde.dumps_typed([last.checkpoint, last.metadata, last.pending_writes or []])
        if kind != _KIND:
            raise UnkeptState(
                "the graph's state holds values that cannot be kept for another attempt: use types that LangGraph "
                "calls safe, or compile the graph with a checkpointer of its own"
            )
        made.append([name, kind, b64encode(content).decode()])
    return made


def fill(saver: Any, thread: str, state: Json) -> None:
    """Put a kept state into an empty checkpointer.

    Raises:
        StaleState: it cannot be read.
    """
    try:
        for name, kind, content in state:
            raw = b64decode(content, validate=True)
            if kind != _KIND or not isinstance(name, str) or (blocked := _blocked(saver.serde, kind, raw)):
                raise StaleState(f"it holds {blocked}" if kind == _KIND else "it has another form")
            checkpoint, metadata, writes = saver.serde.loads_typed((kind, raw))
            config = {"configurable": {"thread_id": thread, "checkpoint_ns": name}}
            config = saver.put(config, checkpoint, metadata, checkpoint["channel_versions"])
            for task, channel, value in writes:
                saver.put_writes(config, [(channel, value)], task)
    except Exception as error:  # of the deserializer: whatever bytes of another version make it raise
        saver.storage.clear()
        raise StaleState(f"{type(error).__name__}: {error}"[:200]) from error


def _blocked(serde: Any, kind: str, content: bytes) -> str:
    """Return the types in it that are not read back; "" if there are none."""
    from langgraph.checkpoint.serde.event_hooks import register_serde_event_listener
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    here, found = threading.get_ident(), set[str]()

    def listen(event: Any) -> None:
        if threading.get_ident() == here and "blocked" in event["kind"]:
            found.add(f"{event['module']}.{event['name']}")

    forget = register_serde_event_listener(listen)
    try:
        JsonPlusSerializer.loads_typed(serde, (kind, content))
    finally:
        forget()
    return ", ".join(sorted(found))
