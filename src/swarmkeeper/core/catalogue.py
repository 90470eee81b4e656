"""What describes a kind of event: its name, its fields, and which of them redaction scans. events.py has the kinds.

A field's type carries one of these marks:

- `Own[T]`: the engine made the value itself: an id, a digest, a number or a word of its own. Redaction does not scan
  it. All other fields are scanned: their values come from outside, or stand beside such.
- `Omitted[T]`: the field is left out where its value is None. A field without this mark is always there.

A trailing underscore is not sent: `from_` is `from` in the feed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


class EventBody:
    """The members of an event that its kind defines. The feed adds its task, work item, actor and audit record."""

    __slots__ = ()

    KIND: ClassVar[str]
    OWN: ClassVar[tuple[Field, ...]]
    SCANNED: ClassVar[tuple[Field, ...]]

    @classmethod
    def fields(cls) -> tuple[Field, ...]:
        """All of them, in the order in which they are stored and sent."""
        return (*cls.OWN, *cls.SCANNED)

    def own(self) -> dict[str, Json]:
        """The members that redaction does not scan."""
        return self._members(self.OWN)

    def scanned(self) -> dict[str, Json]:
        """The members that redaction scans."""
        return self._members(self.SCANNED)

    def _members(self, part: tuple[Field, ...]) -> dict[str, Json]:
        found = {}
        for field in part:
            value = getattr(self, field.attribute)
            if value is not None or not field.omitted:
                found[field.name] = value.value if field.is_enum else value
        return found


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
        made.OWN = tuple(one for one in found if one.own)
        made.SCANNED = tuple(one for one in found if not one.own)
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
