"""Describe event kinds: the name, the fields, and which fields redaction scans. events.py defines the kinds.

A field's type carries one of these marks:

- `Own[T]`: the engine made the value: an id, a digest, a number or a fixed word. Redaction does not scan it. It scans
  all other fields: their values come from outside, or appear next to such values.
- `Omitted[T]`: the field is left out if its value is None. A field without this mark is always present.

A trailing underscore is dropped: `from_` is `from` in the feed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from operator import attrgetter
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
    """A field of an event kind."""

    name: str  # in JSON
    attribute: str  # of the class
    type: Any  # without its marks; without None if the field can be omitted
    own: bool
    omitted: bool
    is_enum: bool  # the feed has the member's value


class FieldGroup:
    """A group of fields of an event kind, and how to read them. This runs for every event, so it must be fast."""

    __slots__ = ("_enums", "_names", "_omitted", "_values", "fields")

    def __init__(self, fields: Iterable[Field]) -> None:
        self.fields = tuple(fields)
        self._names = tuple(field.name for field in self.fields)
        attributes = [field.attribute for field in self.fields]
        # With one name, `attrgetter` returns the bare value; with the last one twice, always a tuple.
        self._values = attrgetter(*attributes, attributes[-1]) if attributes else None
        self._enums = tuple(field.name for field in self.fields if field.is_enum)
        self._omitted = tuple(field.name for field in self.fields if field.omitted)

    def of(self, event: EventBody) -> dict[str, Json]:
        """Return the event's fields as plain values, by JSON name."""
        if self._values is None:
            return {}
        found = dict(zip(self._names, self._values(event), strict=False))
        for name in self._enums:
            found[name] = found[name]._value_
        for name in self._omitted:
            if found[name] is None:
                del found[name]
        return found


class EventBody:
    """The event members that its kind defines. The feed adds task, work item, actor and audit record."""

    __slots__ = ()

    KIND: ClassVar[str]
    OWN: ClassVar[FieldGroup]
    SCANNED: ClassVar[FieldGroup]

    @classmethod
    def fields(cls) -> tuple[Field, ...]:
        """Return all fields, in the order in which they are stored and sent."""
        return (*cls.OWN.fields, *cls.SCANNED.fields)

    def scanned(self) -> dict[str, Json]:
        """Return the members that redaction scans."""
        return self.SCANNED.of(self)


_kinds: dict[str, type[EventBody]] = {}
CATALOGUE: Mapping[str, type[EventBody]] = MappingProxyType(_kinds)  # by kind, in the order of events.py
_Body = TypeVar("_Body", bound=EventBody)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def event(kind: str) -> Callable[[type[_Body]], type[_Body]]:
    """Turn a class into a frozen dataclass and add it to the catalogue under `kind`."""

    def enter(plain: type[_Body]) -> type[_Body]:
        # No `__eq__`: nothing compares events, and generating it is a third of the cost of creating the class.
        made: type[_Body] = dataclass(frozen=True, slots=True, kw_only=True, eq=False)(plain)
        found = tuple(_field(each.name, each.type) for each in fields(made))  # type: ignore[arg-type]  # a dataclass
        made.KIND = kind
        made.OWN = FieldGroup(field for field in found if field.own)
        made.SCANNED = FieldGroup(field for field in found if not field.own)
        assert found == made.fields(), "own fields must come first, as they are stored"
        assert kind not in _kinds, "each kind has one class"
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
