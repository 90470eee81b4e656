"""Checks the JSON Schemas that bots give for answers, and the answers against them.

A schema comes from a bot, and the engine checks an answer while all callers wait. So a schema must neither fetch
anything nor take long: patterns are matched in linear time (the `regex` engine) and stay small, references stay within
the schema and must not repeat, a few short references cannot unfold into millions of parts, and a large answer is not
checked against a large schema.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from swarmkeeper.core.errors import Detail
from swarmkeeper.core.model import Json

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

Safe = Callable[[str], str]  # makes a caller's name safe to show

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BYTES_MAX = 16 * 1024
# Counted with each reference unfolded: checking an answer takes this many steps, times the parts of the answer.
PARTS_MAX = 1000
# A pattern counts as this many parts, because compiling it takes longer, and may compile to this many bytes.
PATTERN_PARTS = 20
PATTERN_BYTES_MAX = 100_000
# Parts of a schema times bytes of an answer. Above the first, an answer is refused unread; below it, a check takes a
# few tenths of a second at most. Above the second, errors are not listed: that would take a thousand times as long.
WORK_MAX = 10_000_000
WORK_LISTED_MAX = 100_000
ERRORS_MAX = 20
REFERENCES_DEEP_MAX = 32
# They name places within a schema, or change the meaning of `#`. References by path are enough.
_NOT_HERE = frozenset({"$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"})
# These evaluate their neighbouring keywords once more, and so do nested ones: each level doubles the work.
_TOO_COSTLY = frozenset({"unevaluatedItems", "unevaluatedProperties"})


class _Unusable(Exception):
    def __init__(self, detail: Detail) -> None:
        super().__init__(detail)
        self.detail = detail


def check_schema(schema: Mapping[str, Json], safe: Safe) -> tuple[Detail, ...]:
    """Return the errors for which a schema (draft 2020-12) cannot be used; pointers are below `/schema`."""
    from jsonschema_rs import ReferencingError, ValidationError

    if len(json.dumps(schema)) > BYTES_MAX:
        return (("/schema", "too_long", f"must have at most {BYTES_MAX} bytes of JSON"),)
    if schema.get("$schema", DIALECT) != DIALECT:
        return (("/schema/$schema", "invalid", f"must be {DIALECT}, or left out"),)
    try:
        _Unfolded(schema, safe).parts(schema, ("schema",))
        _validator(schema)
    except _Unusable as error:
        return (error.detail,)
    except ValidationError as error:
        where = _pointer(("schema", *error.instance_path), safe)
        return ((where, "invalid", "is not valid JSON Schema (draft 2020-12)"),)
    except (ReferencingError, ValueError):
        return (("/schema", "invalid", "is not a valid JSON Schema (draft 2020-12)"),)
    return ()


def check_answer(schema: Mapping[str, Json], answer: Json, safe: Safe) -> tuple[Detail, ...]:
    """Return where an answer violates the schema; pointers are below `/answer`. Names keywords, repeats no values."""
    work = _Unfolded(schema, safe).parts(schema, ("schema",)) * len(json.dumps(answer))
    if work > WORK_MAX:
        return (("/answer", "too_long", "is too long to be checked against a schema of this size"),)
    validator = _validator(schema)
    if validator.is_valid(answer):
        return ()
    if work > WORK_LISTED_MAX:
        return (("/answer", "schema", "does not match the question's schema"),)
    found = []
    for error in validator.iter_errors(answer):
        where = _pointer(("answer", *error.instance_path), safe)
        # The keyword is safe to show; the library's message would quote the answer.
        found.append((where, "schema", f"violates `{error.kind.name}` of the question's schema"))
        if len(found) == ERRORS_MAX:
            break
    return tuple(found)


def _validator(schema: Mapping[str, Json]) -> Draft202012Validator:
    # Imported here: the library is large, and few processes check answers.
    from jsonschema_rs import Draft202012Validator, RegexOptions

    return Draft202012Validator(
        dict(schema),
        pattern_options=RegexOptions(size_limit=PATTERN_BYTES_MAX),
        validate_formats=True,
        ignore_unknown_formats=True,
        offline=True,
    )


class _Unfolded:
    """Counts the parts of a schema with every reference replaced by its target."""

    def __init__(self, schema: Mapping[str, Json], safe: Safe) -> None:
        self._schema, self._safe = schema, safe
        self._known: dict[str, int] = {}
        self._open: list[str] = []  # references being followed

    def parts(self, node: Json, at: tuple[str | int, ...]) -> int:
        if isinstance(node, list):
            return sum(self.parts(item, (*at, place)) for place, item in enumerate(node))
        if not isinstance(node, dict):
            return 0
        count = 1
        for name, value in node.items():
            if name in _NOT_HERE:
                raise self._no((*at, name), "not_supported", "a schema for an answer may refer only by path")
            if name in _TOO_COSTLY:
                raise self._no(
                    (*at, name), "not_supported", "costs too much to check: use additionalProperties or items"
                )
            if name == "pattern" and isinstance(value, str):
                count += PATTERN_PARTS
            elif name == "patternProperties" and isinstance(value, dict):
                count += PATTERN_PARTS * len(value)
            count += self._behind(value, (*at, name)) if name == "$ref" else self.parts(value, (*at, name))
        if count > PARTS_MAX:
            raise self._no(at, "too_long", f"unfolds into more than {PARTS_MAX} parts")
        return count

    def _behind(self, reference: Json, at: tuple[str | int, ...]) -> int:
        if not isinstance(reference, str):  # a property of this name, or an error that the library reports
            return self.parts(reference, at)
        if reference in self._open:
            raise self._no(at, "recursive", "a schema for an answer cannot contain itself")
        if len(self._open) >= REFERENCES_DEEP_MAX:
            raise self._no(at, "too_long", f"more than {REFERENCES_DEEP_MAX} references lead to each other")
        if reference not in self._known:
            self._open.append(reference)
            self._known[reference] = self.parts(self._target(reference, at), ("schema", *_segments(reference)))
            self._open.pop()
        return self._known[reference]

    def _target(self, reference: str, at: tuple[str | int, ...]) -> Json:
        if not reference.startswith("#/"):
            raise self._no(at, "not_supported", "must refer to a place in this schema, such as #/$defs/name")
        node: Json = self._schema
        for name in _segments(reference):
            node = node.get(name) if isinstance(node, dict) else None
            if node is None:
                raise self._no(at, "unknown", "refers to a place that does not exist")
        return node

    def _no(self, at: Iterable[str | int], code: str, words: str) -> _Unusable:
        return _Unusable((_pointer(at, self._safe), code, words))


def _segments(reference: str) -> list[str]:
    return [segment.replace("~1", "/").replace("~0", "~") for segment in reference[2:].split("/")]


_OWN = frozenset({"schema", "answer"})


def _pointer(path: Iterable[str | int], safe: Safe) -> str:
    """Return a JSON Pointer in which names from the caller are redacted."""
    first, *rest = path
    assert first in _OWN, "errors are below one of our own fields"
    names = [str(name) if isinstance(name, int) else safe(name) for name in rest]
    return "/" + "/".join([str(first), *(name.replace("~", "~0").replace("/", "~1") for name in names)])
