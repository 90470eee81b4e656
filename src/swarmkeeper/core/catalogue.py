"""What describes a kind of event: its name, its fields, and which of them redaction scans. events.py has the kinds.

A field's type carries one of these marks:

- `Own[T]`: the engine made the value itself: an id, a digest, a number or a word of its own. Redaction does not scan
  it. All other fields are scanned: their values come from outside, or stand beside such.
- `Omitted[T]`: the field is left out where its value is None. A field without this mark is always there.

A trailing underscore is not sent: `from_` is `from` in the feed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, TypeVar, dataclass_transform, get_args, get_origin

from swarmkeeper.core.model import Json


class Mark(Enum):
    OWN = "own"
    OMITTED = "omitted"


T = TypeVar("T")
Own = Annotated[T, Mark.OWN]
Omitted = Annotated[T | None, Mark.OMITTED]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a kind of event."""

    name: str  # in JSON
    attribute: str  # of the class
    type: Any  # without its marks, and without None where it may be left out
    own: bool
    omitted: bool
    is_enum: bool  # its value is sent


class Part:
    """Some fields of a kind of event, and how they are read from an event. Every event is, so this is kept quick."""

    __slots__ = ("_enums", "_omitted", "_pairs", "fields")

    def __init__(self, fields: Iterable[Field]) -> None:
        self.fields = tuple(fields)
        self._pairs = tuple((one.name, one.attribute) for one in self.fields)
        self._enums = tuple(one.name for one in self.fields if one.is_enum)
        self._omitted = tuple(one.name for one in self.fields if one.omitted)

    def of(self, event: EventBody) -> dict[str, Json]:
        """The fields of an event by their names in JSON, with plain values."""
        found = {name: getattr(event, attribute) for name, attribute in self._pairs}
        for name in self._enums:
            found[name] = found[name].value
        for name in self._omitted:
            if found[name] is None:
                del found[name]
        return found


class EventBody:
    """The members of an event that its kind defines. The feed adds its task, work item, actor and audit record."""

    __slots__ = ()

    KIND: ClassVar[str]
    OWN: ClassVar[Part]
    SCANNED: ClassVar[Part]

    @classmethod
    def fields(cls) -> tuple[Field, ...]:
        """All of them, in the order in which they are stored and sent."""
        return (*cls.OWN.fields, *cls.SCANNED.fields)

    def own(self) -> dict[str, Json]:
        """The members that redaction does not scan."""
        return self.OWN.of(self)

    def scanned(self) -> dict[str, Json]:
        """The members that redaction scans."""
        return self.SCANNED.of(self)


_kinds: dict[str, type[EventBody]] = {}
CATALOGUE: Mapping[str, type[EventBody]] = MappingProxyType(_kinds)  # by kind, in the order of events.py
_Body = TypeVar("_Body", bound=EventBody)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def event(kind: str) -> Callable[[type[_Body]], type[_Body]]:
    """Make a class a frozen dataclass, and enter it in the catalogue under its kind."""

    def enter(plain: type[_Body]) -> type[_Body]:
        # No `__eq__`: nothing compares events, and to make the method takes a third of the time of making the class.
        made: type[_Body] = dataclass(frozen=True, slots=True, kw_only=True, eq=False)(plain)
        found = tuple(_field(one.name, one.type) for one in fields(made))  # type: ignore[arg-type]  # it is one now
        made.KIND = kind
        made.OWN = Part(one for one in found if one.own)
        made.SCANNED = Part(one for one in found if not one.own)
        assert found == made.fields(), "own fields come first, as they are stored"
        assert kind not in _kinds, "one class for each kind"
        _kinds[kind] = made
        return made

    return enter


def _field(name: str, type_: Any) -> Field:
    marks: list[Any] = []
    if get_origin(type_) is Annotated:
        type_, *marks = get_args(type_)
    if Mark.OMITTED in marks:
        type_, _ = get_args(type_)
    is_enum = isinstance(type_, type) and issubclass(type_, Enum)
    return Field(name.removesuffix("_"), name, type_, Mark.OWN in marks, Mark.OMITTED in marks, is_enum)
