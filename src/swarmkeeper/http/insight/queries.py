"""The query models of the routes for dashboards; see http/queries.py."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from swarmkeeper.govern import cursors
from swarmkeeper.http.intake.limits import PAGE_SIZE
from swarmkeeper.http.queries import AsInteger, PageQuery, Query, ShortText
from swarmkeeper.reads.feed import LATEST, Position

LANES_MAX = 200  # in one answer: a few milliseconds


class TimelineQuery(PageQuery):
    page_size: Annotated[int, Field(ge=1, le=LANES_MAX), AsInteger] = PAGE_SIZE


class VerdictsQuery(PageQuery):
    subtask: Annotated[ShortText, Field(description="On the subtask with this key.", examples=["write"])] | None = None


class ChangesQuery(Query):
    after: Annotated[
        str,
        Field(
            pattern=f"{cursors.PATTERN}|^{LATEST}$",
            description="The cursor of the last message: first what happened since. Without it, or with latest: how "
            "things are, and what changes from now on.",
        ),
    ] = LATEST

    @property
    def position(self) -> Position:
        return Position(self.after, "/query/after")


class OperationQuery(PageQuery):
    outcome: Annotated[Literal["done", "refused"] | None, Field(description="Only tasks of which this came.")] = None
