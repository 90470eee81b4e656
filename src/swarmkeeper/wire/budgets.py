"""Budgets, and limits on how many subtasks run at once, as requests set them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from swarmkeeper.wire.problems import broken_rule
from swarmkeeper.wire.shapes import Json, Name, Request

JsonObject = dict[str, Any]
Limit = Annotated[int, Field(ge=1, le=2**53)]


def _names_a_limit(schema: JsonObject) -> None:
    """Describe that at least one limit is required."""
    limits = [name for name in schema["properties"] if name != "at_limit"]
    schema["anyOf"] = [{"required": [name], "properties": {name: {"type": "integer"}}} for name in limits]


class SubTaskBudget(Request):
    """The most that a subtask may use, in all its attempts and rounds."""

    model_config = ConfigDict(json_schema_extra=_names_a_limit)

    cost_micro_usd: Annotated[Limit | None, Field(description="In millionths of a US dollar.")] = None
    tokens: Limit | None = None
    attempts: Annotated[Limit | None, Field(description="Attempts of all kinds, also those after a crash.")] = None
    at_limit: Annotated[
        Literal["ask", "stop"], Field(description="At a limit, ask a person to raise it, or end the work.")
    ] = "ask"

    @model_validator(mode="after")
    def _limits_something(self) -> SubTaskBudget:
        if not self.model_fields_set - {"at_limit"} or not self.limits():
            raise broken_rule("required", "at least one limit is required")
        return self

    def limits(self) -> dict[str, Json]:
        """Return what was set."""
        return self.model_dump(exclude_none=True, exclude_unset=True)


class TaskBudget(SubTaskBudget):
    """The most that a task may use: planning, its subtasks and reviews together."""

    subtasks: Annotated[Limit | None, Field(description="Subtasks that its plan may have, with added ones.")] = None


class Concurrency(Request):
    """A limit on how many subtasks of the tenant with the same key run at once."""

    key: Annotated[Name, Field(description="What they share.", examples=["repo:main"])]
    max: Annotated[int, Field(ge=1, le=1000)] = 1
