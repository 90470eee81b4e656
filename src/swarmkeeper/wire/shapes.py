"""Base classes of all records, bounded field types, and times. Defines no record itself.

Bounds are defined only here. A number without a reason beside it is fixed by the documentation.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PydanticUserError,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import CoreSchema, PydanticSerializationError, core_schema, to_json

from swarmkeeper.core.errors import Invalid, NotSupported
from swarmkeeper.core.rules import texts
from swarmkeeper.wire.problems import SCHEMA_NAMES, Path, Safe, broken_rule, details_of, hidden

Json = Any  # what a JSON document can hold

MIB = 1024 * 1024
BODY_BYTES_MAX = MIB
HEARTBEAT_BODY_BYTES_MAX = 2 * MIB  # one checkpoint, and progress beside it
LONG_BODY_BYTES_MAX = 16 * MIB  # POST /tasks, /tasks:batch and results
WEEK_SECONDS = 7 * 24 * 3600
YEAR_SECONDS = 365 * 24 * 3600  # a longer deadline is a typo rather than a plan
BATCH_MAX = 500
LEASES_MAX = 1000  # of one bot: limits the entries of a heartbeat, and so the capacity


class Request(BaseModel):
    """Base of requests: types are strict, and unknown fields are refused, because they are typos."""

    longest_bytes: ClassVar[int] = 0  # of a whole body, if it may be longer than other bodies

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
        defer_build=True,  # a bot uses few of the records: build each on first use
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for name, field in cls.model_fields.items():
            SCHEMA_NAMES.add(field.validation_alias if isinstance(field.validation_alias, str) else name)


class Answer(BaseModel):
    """Base of answers: readers ignore unknown fields, because answers may gain some."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, validate_by_name=True, validate_by_alias=True, defer_build=True
    )


ReadRequest = TypeVar("ReadRequest", bound=Request)


def read(model: type[ReadRequest], raw: Json, *, safe: Safe = hidden, at: Path = ()) -> ReadRequest:
    """Validate a parsed document as a request of type `model`.

    Args:
        safe: redacts a name that is not in our schema, for error messages.
        at: path of `raw` in the request.

    Raises:
        Invalid: with every error and its position.
        NotSupported: every error is a field of a feature that this version does not have.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        details = details_of(error, safe=safe, at=at)
    if all(code == "not_supported" for _, code, _ in details):
        raise NotSupported("the request uses a feature that this version does not have", details=details)
    raise Invalid("the request has invalid fields", details=details)


ReadAnswer = TypeVar("ReadAnswer", bound=BaseModel)
_IN_ANSWER = "answer"  # validation context: validators that check only requests skip answers


def read_answer(model: type[ReadAnswer], raw: Json) -> ReadAnswer:
    """Validate a server's answer. Ignores unknown fields, even in records that refuse them in requests.

    Raises:
        ValidationError: `raw` is not an answer of this type.
    """
    return model.model_validate(raw, strict=False, extra="ignore", context=_IN_ANSWER)


# ---- field types ---------------------------------------------------------------------------------------------------


class Unread:
    """Accepts any JSON. It is validated separately later, so that its errors do not affect other fields.

    `documented` is the expected type; it is used only in the schema.
    """

    def __init__(self, documented: Any = None) -> None:
        self.documented = documented

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if self.documented is None:
            return core_schema.any_schema()
        return core_schema.no_info_wrap_validator_function(
            lambda value, handler: value,
            handler.generate_schema(self.documented),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: value, return_schema=core_schema.any_schema()
            ),
        )


def something_not_null(schema: dict[str, Any]) -> None:
    """Change the schema of a patch: at least one field is required, and fields are omitted rather than null."""
    schema["minProperties"] = 1
    for field in schema["properties"].values():
        (branch,) = (branch for branch in field.pop("anyOf") if branch != {"type": "null"})
        del field["default"]
        field.update(branch)


def json_within(bytes_max: int) -> AfterValidator:
    """Limit a value to `bytes_max` bytes as compact UTF-8 JSON."""

    def check(value: Json) -> Json:
        # Most values are empty or short strings and need no encoding: a character takes at most 6 bytes.
        if not value or (isinstance(value, str) and len(value) * 6 + 2 <= bytes_max):
            return value
        try:
            length = len(to_json(value))
        except (PydanticSerializationError, PydanticUserError, ValueError):
            raise broken_rule("type", "must be a JSON value") from None
        if length > bytes_max:
            raise broken_rule("too_long", f"must have at most {bytes_max} bytes of JSON")
        return value

    return AfterValidator(check)


def _plain(seconds: float) -> float:
    return int(seconds) if seconds.is_integer() else seconds


# Shows 900 as 900, not as 900.0.
_Plain = AfterValidator(_plain)


def _one_line(text: str, info: ValidationInfo) -> str:
    # Text that an older version accepted must still be readable.
    if info.context != _IN_ANSWER and not texts.is_line(text):
        raise broken_rule("character", texts.LINE_RULE)
    return text


# Valid as a Python and as a JSON Schema pattern.
_LINE_PATTERN = f"^[^{texts.NOT_IN_A_LINE}]*$"
_Line = AfterValidator(_one_line)
_Pattern = Field(json_schema_extra={"pattern": _LINE_PATTERN})

# Others may be sent to this address one day: no script, no file, and no password that lists would show.
_WEB_ADDRESS = re.compile(
    r"[Hh][Tt][Tt][Pp][Ss]?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%-]+)(:[0-9]{1,5})?([/?#][!-~]*)?", re.ASCII
)


def _web_address(text: str, info: ValidationInfo) -> str:
    if info.context != _IN_ANSWER and _WEB_ADDRESS.fullmatch(text) is None:
        raise broken_rule("not_allowed", "must be a URL of http or https, without user or password")
    return text


WebAddress = Annotated[
    str,
    Field(max_length=2048, json_schema_extra={"pattern": f"^{_WEB_ADDRESS.pattern}$"}),
    AfterValidator(_web_address),
]

Title = Annotated[str, Field(min_length=1, max_length=500), _Line, _Pattern]
Description = Annotated[str, Field(max_length=64 * 1024)]
Id = Annotated[str, Field(min_length=1, max_length=64)]
KeyScope = Literal["own", "tenant"]
Name = Annotated[str, Field(min_length=1, max_length=128), _Line, _Pattern]
NameOrNone = Annotated[str, Field(max_length=128), _Line, _Pattern]  # "" is the name of the only instance
# Pydantic would use the pattern as a property name, which client generators cannot read.
_LabelName = Annotated[str, Field(min_length=1, max_length=128), _Line]
_LABEL_NAMES = {"propertyNames": {"minLength": 1, "maxLength": 128, "pattern": _LINE_PATTERN}}
Text = Annotated[str, Field(max_length=8 * 1024)]
Texts = Annotated[list[Text], Field(max_length=100)]
Skills = Annotated[list[Name], Field(max_length=100)]


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise broken_rule("network", "must be a network like 10.0.0.0/8, without bits beyond its length") from None


_Network = Annotated[str, Field(max_length=64), AfterValidator(_network)]
Networks = Annotated[list[_Network], Field(min_length=1, max_length=32)]
Labels = Annotated[dict[_LabelName, NameOrNone], Field(max_length=32, json_schema_extra=_LABEL_NAMES)]
Object = dict[str, Json]
Metadata = Annotated[Object, json_within(16 * 1024), Field(description="Any object of at most 16 KiB, handed to bots.")]
Input = Annotated[Object, json_within(MIB), Field(description="Input of the work; at most 1 MiB.")]
Output = Annotated[Json, json_within(8 * MIB), Field(description="Any JSON of at most 8 MiB.")]
Checkpoint = Annotated[Json, json_within(MIB), Field(description="Any JSON of at most 1 MiB, for the next attempt.")]
Priority = Annotated[int, Field(ge=0, le=9, description="0 to 9; 9 goes first.")]
Attempts = Annotated[int, Field(ge=1, le=100)]
Count = Annotated[int, Field(ge=0, le=2**53)]
# Clocks of two machines never agree to less than a millisecond.
Timeout = Annotated[float, Field(ge=0.001, le=WEEK_SECONDS), _Plain]
Deadline = Annotated[float, Field(ge=0.001, le=YEAR_SECONDS), _Plain]
Delay = Annotated[float, Field(ge=0, le=WEEK_SECONDS), _Plain]
OnlyServerSets = Annotated[Json, Unread(), Field(description="Set by the server; ignored in a request.")]


def _from_micros(value: Any) -> Any:
    return at(value) if isinstance(value, int) and not isinstance(value, bool) else value


# Internally a time is an integer of microseconds. Pydantic would guess whether an integer means seconds.
Time = Annotated[AwareDatetime, BeforeValidator(_from_micros, json_schema_input_type=datetime)]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(micros: int) -> datetime:
    """Convert microseconds since 1970 to a UTC datetime."""
    return _EPOCH + timedelta(microseconds=micros)


def of_datetime(moment: datetime) -> int:
    """Convert to microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def rfc3339(micros: int) -> str:
    """Format as 2026-01-31T23:59:59.000001Z: UTC with six decimals, so that strings sort in time order."""
    seconds, rest = divmod(micros, 1_000_000)
    return f"{_second(seconds)}.{rest:06d}Z"


@lru_cache(maxsize=4096)  # many times of one answer are of the same second
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def micros(seconds: float) -> int:
    """Convert seconds to microseconds, the internal unit of time."""
    return round(seconds * 1_000_000)


def micros_or_none(seconds: float | None) -> int | None:
    return None if seconds is None else micros(seconds)
