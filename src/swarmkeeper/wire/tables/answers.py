"""What lists for tables and charts answer: tasks as rows, counts, labels, costs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from swarmkeeper.core.states import Outcome, TaskStatus
from swarmkeeper.wire.answers import Page, TaskProgress, UsageOut
from swarmkeeper.wire.shapes import Answer, Object, Time


def _example(**fields: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [fields]})


class ListedFailure(Answer):
    """Why a task failed."""

    code: str
    detail: str


_LISTED: dict[str, Any] = {
    "id": "tsk_01J8",
    "title": "Count the words of three pages",
    "status": "FAILED",
    "outcome": "failed",
    "failure": {"code": "subtask_failed", "detail": "subtask count has no attempts left"},
    "error": {"code": "bad_gateway", "message": "the page answered 502"},
    "holds": [],
    "priority": 5,
    "labels": {"team": "search"},
    "progress": {"total": 3, "done": 2, "failed": 1},
    "round": 1,
    "last_bot": "counter",
    "usage": {"tokens": 5200, "cost_micro_usd": 31000},
    "created_at": "2026-01-31T09:00:00.000000Z",
    "started_at": "2026-01-31T09:00:01.250000Z",
    "ended_at": "2026-01-31T09:02:11.500000Z",
    "updated_at": "2026-01-31T09:02:11.500000Z",
    "deadline_at": None,
}


class ListedTask(Answer):
    """A task as a row of a table: without what was sent, with what has happened."""

    model_config = _example(**_LISTED)

    id: str
    title: str
    status: TaskStatus
    outcome: Outcome | None = None
    failure: Annotated[ListedFailure | None, Field(description="Null unless it failed.")] = None
    error: Annotated[
        Object | None,
        Field(description="The first error of the subtask that failed, or of what did not succeed; null if none."),
    ] = None
    holds: Annotated[list[str], Field(description="Why its work is not handed out.")] = Field(default_factory=list)
    priority: int = 5
    labels: dict[str, str] = Field(default_factory=dict)
    progress: TaskProgress = Field(default_factory=TaskProgress)
    round: int = 1
    last_bot: Annotated[
        str | None, Field(description="The bot of its newest attempt, by name; by id if it was removed.")
    ] = None
    usage: UsageOut = Field(default_factory=UsageOut)
    created_at: Time
    started_at: Annotated[Time | None, Field(description="When its first attempt began.")] = None
    ended_at: Annotated[Time | None, Field(description="When it got its outcome.")] = None
    updated_at: Time
    deadline_at: Time | None = None


class ListedTaskPage(Page[ListedTask]):
    """Tasks as rows."""

    model_config = _example(items=[_LISTED], next_page_token="")


class TaskTally(Answer):
    """How many tasks match."""

    model_config = _example(
        number=1250,
        at_least=False,
        statuses={"IN_PROGRESS": 40, "COMPLETED": 1200, "FAILED": 10},
        outcomes={"accepted": 1200, "cancelled": 3, "failed": 7},
    )

    number: int
    at_least: Annotated[
        bool, Field(description="There may be more: with such filters, counting ends after some thousand tasks.")
    ] = False
    statuses: Annotated[
        dict[str, int] | None, Field(description="By status; null unless only status and outcome were asked for.")
    ] = None
    outcomes: Annotated[dict[str, int] | None, Field(description="The same by outcome, of those that have one.")] = None


class LabelTally(Answer):
    """A label, and how many tasks have it."""

    model_config = _example(key="team", value="search", tasks=1250)

    key: str
    value: str
    tasks: int


class LabelTallyPage(Page[LabelTally]):
    """Labels in order."""

    model_config = _example(items=[{"key": "team", "value": "search", "tasks": 1250}], next_page_token="")


class CostAmounts(Answer):
    """What attempts reported that they used."""

    cost_micro_usd: Annotated[int, Field(description="In millionths of a US dollar.")]
    tokens: int
    unpriced_tokens: Annotated[int, Field(description="Tokens whose cost is not known, and not counted.")]
    attempts: Annotated[int, Field(description="Attempts that reported a usage.")]


_AMOUNTS = {"cost_micro_usd": 31000, "tokens": 5200, "unpriced_tokens": 0, "attempts": 4}


class CostSum(CostAmounts):
    """What was used on one day, by one bot, for one skill or one label."""

    model_config = _example(name="2026-01-31", **_AMOUNTS)

    name: Annotated[str, Field(description="The day in UTC, the bot's name, the skill, or the label as key:value.")]


class CostReport(Answer):
    """Costs from the first to the last day."""

    model_config = _example(
        by="day",
        first_day="2026-01-01",
        last_day="2026-01-31",
        items=[{"name": "2026-01-31", **_AMOUNTS}],
        total=_AMOUNTS,
        more=False,
    )

    by: str
    first_day: str
    last_day: str
    items: Annotated[list[CostSum], Field(description="Days in order, or the 200 names that cost the most.")]
    total: Annotated[
        CostAmounts,
        Field(description="Of the whole time: an attempt has one bot, and any number of skills and labels, or none."),
    ]
    more: Annotated[bool, Field(description="There are more names.")] = False
