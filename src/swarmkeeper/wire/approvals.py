"""How long the approvals of a task stay open, and what happens when nobody decides."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from swarmkeeper.wire.problems import broken_rule
from swarmkeeper.wire.shapes import YEAR_SECONDS, Answer, Json, Request, micros, micros_or_none

Moment = Annotated[float, Field(ge=1, le=YEAR_SECONDS)]


def check_moments(expires: float | None, moments: dict[str, float | None]) -> None:
    """Check that reminder and escalation come before the end; without an end of its own, they need one."""
    for name, moment in moments.items():
        if moment is not None and (expires is None or moment >= expires):
            raise broken_rule("out_of_range", f"{name} must be less than expires_in_seconds")


class StepUp(Request):
    """Asks for a fresh sign-in (step-up authentication): a token, since an API key proves none."""

    max_age_seconds: Annotated[
        int, Field(ge=1, le=YEAR_SECONDS, description="How long ago whoever decides may have signed in.")
    ]


class ApprovalTerms(Request):
    """Terms of a task's approvals, and of its bots' questions that have none of their own."""

    expires_in_seconds: Moment
    at_expiry: Annotated[
        Literal["reject", "approve"],
        Field(description="If nobody decides: the task fails, or plan and result are approved. Not for questions."),
    ] = "reject"
    remind_after_seconds: Annotated[Moment | None, Field(description="Then an event `approval.reminded`.")] = None
    escalate_after_seconds: Annotated[Moment | None, Field(description="Then an event `approval.escalated`.")] = None
    step_up: Annotated[StepUp | None, Field(description="A decision needs a fresh sign-in.")] = None

    @model_validator(mode="after")
    def _moments_come_before_the_end(self) -> ApprovalTerms:
        moments = {name: getattr(self, name) for name in ("remind_after_seconds", "escalate_after_seconds")}
        check_moments(self.expires_in_seconds, moments)
        return self

    def spec(self) -> dict[str, Json]:
        """Return the terms for the engine; times in microseconds."""
        return {
            "expires": micros_or_none(self.expires_in_seconds),
            "approve": self.at_expiry == "approve",
            "remind": micros_or_none(self.remind_after_seconds),
            "escalate": micros_or_none(self.escalate_after_seconds),
            "step_up": None if self.step_up is None else micros(self.step_up.max_age_seconds),
        }


class StepUpOut(Answer):
    """How fresh a sign-in must be."""

    max_age_seconds: int
