"""The API's query models, and the strict parser for them: unknown and repeated names are refused."""

from __future__ import annotations

import re
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar, cast
from urllib.parse import parse_qsl

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from swarmkeeper.core.errors import Detail, Invalid, Malformed
from swarmkeeper.core.states import Outcome, TaskStatus
from swarmkeeper.core.tallies.records import ERROR_HEAD
from swarmkeeper.govern import cursors
from swarmkeeper.http.intake.limits import PAGE_SIZE, PAGE_SIZE_MAX, WAIT_SECONDS_MAX
from swarmkeeper.reads.feed import LATEST, START, Position
from swarmkeeper.reads.tasks.filters import TaskFilter
from swarmkeeper.wire.insight.bulk import ERROR_MEANS
from swarmkeeper.wire.problems import Safe, broken_rule, details_of, pointer
from swarmkeeper.wire.shapes import Request, micros

FIELDS_MAX = 100
INDEX_MAX = 2**62

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_TRUE, _FALSE = ("", "1", "true"), ("0", "false")


def _integer(value: Any) -> Any:
    return int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else value


def _float(value: Any) -> Any:
    return float(value) if isinstance(value, str) and _FLOAT.fullmatch(value) else value


def _boolean(value: Any) -> Any:
    return value in _TRUE if isinstance(value, str) and value in _TRUE + _FALSE else value


def _moment(value: Any) -> Any:
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper())
        except ValueError:
            pass  # no such date, such as 30 February: refused below
    raise broken_rule("type", "must be an RFC 3339 time")


def _day(value: Any) -> Any:
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass  # no such day: refused below
    raise broken_rule("type", "must be a day, such as 2026-01-31")


def _label(value: Any) -> Any:
    if isinstance(value, str) and value.partition(":")[1] and value.partition(":")[0]:
        return value
    raise broken_rule("type", "must be key:value")


# In an annotation these come after the field's bounds, so that the schema shows the bounds.
AsInteger = BeforeValidator(_integer)
AsFloat = BeforeValidator(_float)
AsBoolean = BeforeValidator(_boolean, json_schema_input_type=bool | Literal["", "0", "1"])
Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
Day = Annotated[date, BeforeValidator(_day)]
Index = Annotated[int, Field(ge=0, le=INDEX_MAX), AsInteger]
ShortText = Annotated[str, Field(min_length=1, max_length=128)]
Label = Annotated[str, BeforeValidator(_label), Field(json_schema_extra={"pattern": "^[^:]+:"})]


class Query(Request):
    """Base of all query models: strict number formats; a repeated name is allowed only for list fields."""

    model_config = ConfigDict(strict=True)


class NoQuery(Query):
    """A query without parameters."""


class PageQuery(Query):
    page_size: Annotated[int, Field(ge=1, le=PAGE_SIZE_MAX), AsInteger] = PAGE_SIZE
    page_token: Annotated[str, Field(max_length=1024, description="next_page_token of the page before.")] = ""


def _one_of(words: type[StrEnum]) -> BeforeValidator:
    by_value = {str(word): word for word in words}
    return BeforeValidator(lambda value: by_value.get(value, value), json_schema_input_type=words)


class MatchingTasks(Query):
    q: Annotated[
        str,
        Field(
            description="Words of the title, in any order; the last one may be the beginning of a word.",
            max_length=10_240,
            examples=["count pag"],
        ),
    ] = ""
    status: Annotated[
        list[Annotated[TaskStatus, _one_of(TaskStatus)]],
        Field(description="Any of these.", max_length=10),
    ] = Field(default_factory=list)
    outcome: Annotated[
        list[Annotated[Outcome, _one_of(Outcome)]],
        Field(description="Any of these.", max_length=10),
    ] = Field(default_factory=list)
    label: Annotated[list[Label], Field(description="key:value; all of these.", max_length=32)] = Field(
        default_factory=list
    )
    skill: Annotated[
        list[ShortText],
        Field(description="With an item that needs it; all of these.", max_length=10, examples=[["ocr"]]),
    ] = Field(default_factory=list)
    error: Annotated[str, Field(description=ERROR_MEANS, max_length=ERROR_HEAD, examples=["502 upstream"])] = ""
    created_after: Annotated[Moment | None, Field(description="Created at this time or later.")] = None
    created_before: Annotated[Moment | None, Field(description="Created before this time.")] = None

    def filters(self) -> TaskFilter:
        return TaskFilter(
            status=tuple(self.status),
            outcome=tuple(self.outcome),
            labels=tuple(self.label),
            skills=tuple(self.skill),
            error=self.error,
            words=self.q,
            created_after=None if self.created_after is None else micros(self.created_after.timestamp()),
            created_before=None if self.created_before is None else micros(self.created_before.timestamp()),
        )


class TasksQuery(MatchingTasks, PageQuery):
    view: Annotated[
        Literal["whole", "row"],
        Field(description="`row`: without what was sent, and with start, end, last bot and first error."),
    ] = "whole"
    order_by: Literal["created_at", "-created_at", "priority"] = "-created_at"


class LabelsQuery(PageQuery):
    key: Annotated[str | None, Field(description="Labels with this key.", max_length=128, examples=["team"])] = None


class CostsQuery(Query):
    by: Annotated[Literal["day", "bot", "skill", "label"], Field(examples=["bot"])] = "day"
    first: Annotated[
        Day | None,
        Field(
            alias="from",
            description="The first day, in UTC. By default 29 days before the last.",
            examples=["2026-01-01"],
        ),
    ] = None
    last: Annotated[
        Day | None,
        Field(alias="to", description="The last day, in UTC. By default today.", examples=["2026-01-31"]),
    ] = None


class TaskQuery(Query):
    wait_seconds: Annotated[
        float, Field(ge=0, le=WAIT_SECONDS_MAX, description="Seconds to wait at most."), AsFloat
    ] = 0
    until: Annotated[
        Literal["final", "change"],
        Field(description="What to wait for: the outcome, or any change since the ETag in If-None-Match."),
    ] = "final"
    explain: Annotated[bool, Field(description="Also explain why the task is not done yet."), AsBoolean] = False


class OutputQuery(Query):
    attempt: (
        Annotated[
            int, Field(ge=1, le=2**31, description="The output of this attempt instead of the accepted one."), AsInteger
        ]
        | None
    ) = None


class ApprovalsQuery(PageQuery):
    state: Literal["open", "decided", "expired", "cancelled"] | None = None
    task_id: Annotated[ShortText, Field(description="Of this task.")] | None = None
    order: Annotated[
        Literal["opened", "expires"],
        Field(description="opened: the oldest first; expires: the open ones, what expires first first, of all tasks."),
    ] = "opened"

    @model_validator(mode="after")
    def _by_expiry_they_are_the_open_ones(self) -> ApprovalsQuery:
        if self.order == "expires" and (self.state not in (None, "open") or self.task_id is not None):
            raise broken_rule("not_allowed", "order=expires lists open approvals of all tasks")
        return self


_TYPE = r"(io\.swarmkeeper\.)?[a-z_]{1,40}(\.[a-z_]{1,40}){1,3}(\.v1)?"
InOrder = Annotated[
    Literal["asc", "desc"], Field(description="asc: in order; desc: the newest first, for a page, not for a stream.")
]


class EventsQuery(Query):
    after: Annotated[
        str,
        Field(
            pattern=f"{cursors.PATTERN}|^{LATEST}$",
            description="The id of the last event received; latest: only what comes from now on. Without it, a page or "
            "a stream begins with the first event that is still there.",
        ),
    ] = ""
    order: InOrder = "asc"
    type: Annotated[
        list[Annotated[str, Field(pattern=f"^{_TYPE}$")]],
        Field(
            description="Any of these. A page may then be short, or empty, although more follow.",
            examples=["task.accepted"],
            max_length=20,
        ),
    ] = Field(default_factory=list)
    page_size: Annotated[int, Field(ge=1, le=PAGE_SIZE_MAX), AsInteger] = PAGE_SIZE
    page_token: Annotated[
        str,
        Field(
            pattern=f"^$|{cursors.PATTERN}",
            description="next_page_token of the page before. In order, it is the same as after.",
        ),
    ] = ""

    @property
    def newest_first(self) -> bool:
        return self.order == "desc"

    @property
    def position(self) -> Position:
        """Where to begin, in order; with the newest first, where to end."""
        if self.page_token and not self.newest_first:
            return Position(self.page_token, "/query/page_token")
        return Position(self.after, "/query/after")

    @property
    def before(self) -> Position:
        """With the newest first: where to go on."""
        return Position(self.page_token, "/query/page_token") if self.newest_first else START

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(each.removeprefix("io.swarmkeeper.").removesuffix(".v1") for each in self.type)


class TaskAuditQuery(PageQuery):
    order: Annotated[Literal["asc", "desc"], Field(description="asc: in order; desc: the newest first.")] = "asc"
    after: Annotated[Index, Field(description="The index of the last record received.")] | None = None
    actor: Annotated[ShortText, Field(description="The id of the actor.")] | None = None
    action: Annotated[ShortText, Field(description="The action, such as task.submit.")] | None = None
    resource: (
        Annotated[
            ShortText,
            Field(
                description="What the record is about: the id of an item of work, an approval, a task, a bot …",
                examples=["wrk_01J8"],
            ),
        ]
        | None
    ) = None
    since: Annotated[Moment | None, Field(description="At this time or later.")] = None
    until: Annotated[Moment | None, Field(description="Before this time.")] = None


class AuditQuery(TaskAuditQuery):
    task_id: Annotated[ShortText, Field(description="Of this task.")] | None = None


class MessagesQuery(PageQuery):
    after: (
        Annotated[str, Field(min_length=1, max_length=64, description="The id of the last message received.")] | None
    ) = None


class ReadyQuery(Query):
    verbose: Annotated[bool, Field(description="Show every check; for operators."), AsBoolean] = False


QueryModel = TypeVar("QueryModel", bound=Query)


def read_query(model: type[QueryModel], raw: bytes, safe: Safe) -> QueryModel:
    """Parse a query string into its model.

    Args:
        safe: redacts names in error details.

    Raises:
        Malformed: the query is not UTF-8 percent-encoded text, or has too many fields.
        Invalid: `details` has the pointer of each error, below /query.
    """
    if not raw:
        return cast(QueryModel, _empty_query(model))
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX, encoding="utf-8"
        )
    except ValueError:  # UnicodeError is one
        raise Malformed("the query is not UTF-8 percent-encoded text, or has too many fields") from None
    given: dict[str, Any] = {}
    errors: list[Detail] = []
    for name, value in pairs:
        known = model.model_fields.get(name)
        if "\0" in value or "\0" in name:
            errors.append((pointer(("query", name), safe), "character", "contains the character U+0000"))
        elif known is not None and _is_list(known.annotation):
            given.setdefault(name, []).append(value)
        elif name in given:
            errors.append((pointer(("query", name), safe), "repeated", "must be given once"))
        else:
            given[name] = value
    if not errors:
        try:
            return model.model_validate(given)
        except ValidationError as error:
            errors += details_of(error, safe=safe, at=("query",))
    raise Invalid("the query is not valid", details=tuple(errors))


@lru_cache
def _empty_query(model: type[Query]) -> Query:
    """Return the model with all defaults. Queries are never changed, so one instance is enough."""
    return model()


def _is_list(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is list
