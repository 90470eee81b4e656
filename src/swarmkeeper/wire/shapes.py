"""What all records are made of: the two base classes, bounded kinds of fields, and times. No record of its own.

Bounds live here once; a number without a reason beside it is one that design and documentation fix.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

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
from pydantic_core import CoreSchema, PydanticCustomError, PydanticSerializationError, core_schema, to_json

from swarmkeeper.core.errors import Invalid, NotSupported
from swarmkeeper.core.rules import texts
from swarmkeeper.wire.problems import SCHEMA_NAMES, Path, Safe, details_of, hidden

Json = Any  # what a JSON document can hold

MIB = 1024 * 1024
BODY_BYTES_MAX = MIB
LONG_BODY_BYTES_MAX = 16 * MIB  # POST /tasks, /tasks:batch and results
WEEK_SECONDS = 7 * 24 * 3600
YEAR_SECONDS = 365 * 24 * 3600  # longer than any deadline means; a typing error, rather than a plan
BATCH_MAX = 500
LEASES_MAX = 1000  # of one bot: what a heartbeat may list, and so what capacity may be


class Request(BaseModel):
    """What is sent to us: strict types, and a field we do not know is refused, since it is a typing error."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
        defer_build=True,  # a bot uses a few of the records: each is built when it is first used
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for name, field in cls.model_fields.items():
            SCHEMA_NAMES.add(field.validation_alias if isinstance(field.validation_alias, str) else name)


class Answer(BaseModel):
    """What we send: may gain fields, so whoever reads it passes over those they do not know."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, validate_by_name=True, validate_by_alias=True, defer_build=True
    )


ReadRequest = TypeVar("ReadRequest", bound=Request)


def read(model: type[ReadRequest], raw: Json, *, safe: Safe = hidden, at: Path = ()) -> ReadRequest:
    """The request in a parsed document.

    Raises:
        Invalid: with every place that is wrong, each below `at`.
        NotSupported: all that is wrong is fields of things that this version does not have.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        details = details_of(error, safe=safe, at=at)
    if all(code == "not_supported" for _, code, _ in details):
        raise NotSupported("the request uses a feature that this version does not have", details=details)
    raise Invalid("the request has invalid fields", details=details)


ReadAnswer = TypeVar("ReadAnswer", bound=BaseModel)
_OF_AN_ANSWER = "answer"  # the context of validators that hold requests alone to their rule


def read_answer(model: type[ReadAnswer], raw: Json) -> ReadAnswer:
    """What the server said, unknown fields passed over, also by records that are strict about them in requests.

    Raises:
        ValidationError: this is no such answer.
    """
    return model.model_validate(raw, strict=False, extra="ignore", context=_OF_AN_ANSWER)


# ---- kinds of fields -----------------------------------------------------------------------------------------------


class Unread:
    """Takes whatever JSON is there: it is read later and by itself, so that its errors are not its neighbours'.

    `documented` is what it should hold, for the schema alone.
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
    """For the schema of a record of changes: at least one, and what is not to be changed is left out, not null."""
    schema["minProperties"] = 1
    for each in schema["properties"].values():
        (branch,) = (branch for branch in each.pop("anyOf") if branch != {"type": "null"})
        del each["default"]
        each.update(branch)


def json_within(bytes_max: int) -> AfterValidator:
    """At most so many bytes as compact UTF-8 JSON."""

    def check(value: Json) -> Json:
        # Most are empty or short texts: those need no encoding to be measured (each character is at most 6 bytes).
        if not value or (isinstance(value, str) and len(value) * 6 + 2 <= bytes_max):
            return value
        try:
            length = len(to_json(value))
        except (PydanticSerializationError, PydanticUserError, ValueError):
            raise PydanticCustomError("not_json", "must be what JSON can hold") from None
        if length > bytes_max:
            raise PydanticCustomError(
                "json_too_long", "must have at most {max_bytes} bytes of JSON", {"max_bytes": bytes_max}
            )
        return value

    return AfterValidator(check)


def _plain(seconds: float) -> float:
    return int(seconds) if seconds.is_integer() else seconds


# 900 stays 900, and is not shown as 900.0.
_Plain = AfterValidator(_plain)


def _one_line(text: str, info: ValidationInfo) -> str:
    # What an older version has taken is still told.
    if info.context != _OF_AN_ANSWER and not texts.is_line(text):
        raise PydanticCustomError("not_a_line", texts.LINE_RULE)
    return text


# Written so that Python and JSON Schema read it alike.
_LINE_PATTERN = f"^[^{texts.NOT_IN_A_LINE}]*$"
_Line = AfterValidator(_one_line)
_Pattern = Field(json_schema_extra={"pattern": _LINE_PATTERN})

# A place that others may be sent to one day: no script, no file, and no password that lists would show.
_WEB_ADDRESS = re.compile(
    r"[Hh][Tt][Tt][Pp][Ss]?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%-]+)(:[0-9]{1,5})?([/?#][!-~]*)?", re.ASCII
)


def _web_address(text: str, info: ValidationInfo) -> str:
    if info.context != _OF_AN_ANSWER and _WEB_ADDRESS.fullmatch(text) is None:
        raise PydanticCustomError("not_a_web_address", "must be a URL of http or https, without user or password")
    return text


WebAddress = Annotated[
    str,
    Field(max_length=2048, json_schema_extra={"pattern": f"^{_WEB_ADDRESS.pattern}$"}),
    AfterValidator(_web_address),
]

Title = Annotated[str, Field(min_length=1, max_length=500), _Line, _Pattern]
Description = Annotated[str, Field(max_length=64 * 1024)]
Name = Annotated[str, Field(min_length=1, max_length=128), _Line, _Pattern]
NameOrNone = Annotated[str, Field(max_length=128), _Line, _Pattern]  # "" is the name of the only instance
# Pydantic would make its pattern the name of a property, which generators of clients cannot read.
_LabelName = Annotated[str, Field(min_length=1, max_length=128), _Line]
_LABEL_NAMES = {"propertyNames": {"minLength": 1, "maxLength": 128, "pattern": _LINE_PATTERN}}
Text = Annotated[str, Field(max_length=8 * 1024)]
Texts = Annotated[list[Text], Field(max_length=100)]
Skills = Annotated[list[Name], Field(max_length=100)]
Labels = Annotated[dict[_LabelName, NameOrNone], Field(max_length=32, json_schema_extra=_LABEL_NAMES)]
Object = dict[str, Json]
Metadata = Annotated[Object, json_within(16 * 1024), Field(description="Any object of at most 16 KiB, handed to bots.")]
Input = Annotated[Object, json_within(MIB), Field(description="What the work is about; at most 1 MiB.")]
Output = Annotated[Json, json_within(8 * MIB), Field(description="Any JSON of at most 8 MiB.")]
Checkpoint = Annotated[
    Json, json_within(64 * 1024), Field(description="Any JSON of at most 64 KiB, for the next attempt.")
]
Priority = Annotated[int, Field(ge=0, le=9, description="0 to 9; 9 goes first.")]
Attempts = Annotated[int, Field(ge=1, le=100)]
Count = Annotated[int, Field(ge=0, le=2**53)]
# A shorter time than a millisecond is below what any clock between two machines can tell.
Timeout = Annotated[float, Field(ge=0.001, le=WEEK_SECONDS), _Plain]
Deadline = Annotated[float, Field(ge=0.001, le=YEAR_SECONDS), _Plain]
Delay = Annotated[float, Field(ge=0, le=WEEK_SECONDS), _Plain]
OnlyServerSets = Annotated[Json, Unread(), Field(description="Set by the server; ignored in a request.")]


def _from_micros(value: Any) -> Any:
    return at(value) if isinstance(value, int) and not isinstance(value, bool) else value


# Inside, a time is an integer of microseconds; Pydantic alone would guess whether an integer means seconds.
Time = Annotated[AwareDatetime, BeforeValidator(_from_micros, json_schema_input_type=datetime)]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def rfc3339(micros: int) -> str:
    """2026-01-31T23:59:59.000001Z: UTC, always with six decimals, so that texts sort as their times do."""
    return at(micros).isoformat(timespec="microseconds")[:26] + "Z"


def micros(seconds: float) -> int:
    """A duration as it is kept inside."""
    return round(seconds * 1_000_000)
