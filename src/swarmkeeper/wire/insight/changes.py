"""The record of what has changed in a tenant."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from swarmkeeper.wire.shapes import Answer


class ChangesTold(Answer):
    """What has changed: a page reads those tasks again, or all that it shows."""

    cursor: Annotated[str, Field(description="Resume after it: as Last-Event-ID, or as `after`.")]
    counts: Annotated[
        dict[str, int] | None,
        Field(description="What is open, and tasks by status; null for who sees only its own tasks."),
    ] = None
    approvals_open: Annotated[
        int | None, Field(description="At most 10,000; null for who may not read all of them.")
    ] = None
    tasks: Annotated[
        list[str] | Literal["many"], Field(description="Ids of the tasks that changed, at most 200; else many.")
    ]
    also: Annotated[
        list[str],
        Field(description="What else changed, for who may read events: `bot`, `key`, `kill` …", examples=[["bot"]]),
    ] = Field(default_factory=list)
