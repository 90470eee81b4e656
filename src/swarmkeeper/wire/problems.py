"""Problem records (RFC 9457), and the translation of Pydantic errors into our pointers, codes and texts.

Input is never repeated: a pointer shows indexes and names of our own schema, any other name goes through the caller's
`safe` (the redactor), and texts come from the tables here. The codes are defined in core/errors.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from swarmkeeper.core.errors import Detail
from swarmkeeper.wire.parsing.instead import ASKED, INSTEAD

Path = tuple[str | int, ...]
Safe = Callable[[str], str]

# More than anybody fixes by hand. Without a limit, the answer could be longer than the request.
ERRORS_MAX = 1000
SEGMENT_LENGTH_MAX = 64
_OURS = "swarmkeeper."  # begins the type of an error of our own validators

# Every field name of every request, added by shapes.Request. Showing one of these reveals nothing about the input.
SCHEMA_NAMES: set[str] = set()


class FieldError(BaseModel):
    """An error and its position in the request."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)

    pointer: str = Field(description="JSON Pointer (RFC 6901) into the request.", examples=["/subtasks/0/key"])
    code: str = Field(examples=["required"])
    detail: str = Field(examples=["is required"])


class Problem(BaseModel):
    """Why a request was refused, as `application/problem+json`."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)

    type: str = Field(description="URL of the page about this code.")
    title: str
    status: int = Field(examples=[422])
    detail: str
    code: str = Field(
        description="One of a fixed set of codes. Programs should act on this field.", examples=["invalid"]
    )
    retryable: bool = Field(description="Whether the same request may succeed later.")
    request_id: str
    errors: list[FieldError] = Field(default_factory=list)
    oldest_cursor: str | None = Field(
        default=None, description="With `cursor_too_old`: events after this cursor are all there."
    )


def hidden(name: str) -> str:
    """Hide a name that is not in our schema. Used when the caller has no redactor."""
    return "…"


def pointer(path: Iterable[str | int], safe: Safe = hidden) -> str:
    """Return the JSON Pointer of `path`. Names that are not in our schema go through `safe`, cut to 64 characters."""
    return "".join(f"/{_segment(part, safe)}" for part in path)


def _segment(part: str | int, safe: Safe) -> str:
    if isinstance(part, int):
        return str(part)
    # A name may contain a lone surrogate, which neither the redactor nor the answer can encode.
    shown = part if part in SCHEMA_NAMES else safe(part.encode(errors="replace").decode())[:SEGMENT_LENGTH_MAX]
    return shown.replace("~", "~0").replace("/", "~1")


def broken_rule(code: str, text: str) -> PydanticCustomError:
    """Return the error for our validators to raise. The caller gets `code` and `text`, which must not contain input."""
    return PydanticCustomError(_OURS + code, text)


def details_of(error: ValidationError, *, safe: Safe = hidden, at: Path = ()) -> tuple[Detail, ...]:
    """Translate Pydantic's errors, at most a thousand; `at` is the path of the validated value."""
    found = error.errors(include_url=False, include_input=False)
    return tuple(
        (pointer((*at, *_path(item["loc"])), safe), *_code_and_detail(item, error.title)) for item in found[:ERRORS_MAX]
    )


def _code_and_detail(item: Mapping[str, Any], record: str) -> tuple[str, str]:
    kind = item["type"]
    if kind.startswith(_OURS):
        return kind.removeprefix(_OURS), item["msg"]
    if kind == "extra_forbidden" and record in ASKED and (name := item["loc"][-1]) in INSTEAD:
        return "not_supported", f"is not a field here; instead: {INSTEAD[name]}"
    code, text = _WORDS.get(kind, ("invalid", "is not valid"))
    return code, text.format_map(item.get("ctx", {}))


def _path(loc: Path) -> Path:
    # Pydantic appends "[key]" if the key itself is wrong.
    return loc[:-1] if loc and loc[-1] == "[key]" else loc


# Pydantic's error type → (our code, our text). The placeholders are bounds of the schema, never input.
_WORDS: Mapping[str, tuple[str, str]] = {
    "missing": ("required", "is required"),
    "extra_forbidden": ("unknown", "is not a field here"),
    "string_type": ("type", "must be a string"),
    "string_unicode": ("character", "must be text that can be encoded as UTF-8"),
    "string_too_long": ("too_long", "must have at most {max_length} characters"),
    "string_too_short": ("too_short", "must have at least {min_length} characters"),
    "int_type": ("type", "must be an integer"),
    "int_from_float": ("type", "must be an integer"),
    "float_type": ("type", "must be a number"),
    "finite_number": ("out_of_range", "must be a finite number"),
    "bool_type": ("type", "must be true or false"),
    "list_type": ("type", "must be a list"),
    "dict_type": ("type", "must be an object"),
    "model_type": ("type", "must be an object"),
    "model_attributes_type": ("type", "must be an object"),
    "greater_than_equal": ("out_of_range", "must be at least {ge}"),
    "greater_than": ("out_of_range", "must be more than {gt}"),
    "less_than_equal": ("out_of_range", "must be at most {le}"),
    "less_than": ("out_of_range", "must be less than {lt}"),
    "too_long": ("too_long", "must have at most {max_length} entries"),
    "too_short": ("too_short", "must have at least {min_length} entries"),
    "literal_error": ("not_allowed", "must be {expected}"),
    "enum": ("not_allowed", "must be {expected}"),
    "is_instance_of": ("not_allowed", "must be one of the values of this field"),
}
