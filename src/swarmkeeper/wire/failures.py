"""Why an attempt failed, as its bot reports it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from swarmkeeper.core import model
from swarmkeeper.core.states import ErrorClass
from swarmkeeper.wire.problems import broken_rule
from swarmkeeper.wire.shapes import Delay, Json, Name, Request, Text, micros_or_none


class Failure(Request):
    """Why an attempt failed."""

    class_: Literal["retryable", "not_retryable", "rate_limited"] = Field(
        default="retryable", validation_alias="class", serialization_alias="class"
    )
    message: Text = ""
    retry_after_seconds: Annotated[Delay | None, Field(description="Only with class rate_limited.")] = None
    scope: Annotated[
        Name | None,
        Field(
            description="What the provider limits: all bots of this scope wait. Only with class rate_limited; default: "
            "the bot's label `scope`, or else `model`.",
            examples=["anthropic:claude-sonnet"],
        ),
    ] = None

    @model_validator(mode="after")
    def _limits_have_an_effect(self) -> Failure:
        for name in ("retry_after_seconds", "scope"):
            if getattr(self, name) is not None and self.class_ != "rate_limited":
                raise broken_rule("not_allowed", f"{name} is allowed only with class rate_limited")
        return self

    def content(self) -> dict[str, Json]:
        """Return what identifies it in a report. Without a scope, that is what 0.4.0 wrote."""
        return self.model_dump(by_alias=True, exclude={"scope"} if self.scope is None else None)

    def record(self) -> model.AttemptFailure:
        wait = micros_or_none(self.retry_after_seconds)
        return model.AttemptFailure(ErrorClass(self.class_), self.message, wait, self.scope)
