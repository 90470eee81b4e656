"""Records of what a tenant does now: its queues, and what its bots hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from swarmkeeper.core.rules.explain import WaitingReason
from swarmkeeper.core.states import Kind
from swarmkeeper.wire.answers import Page
from swarmkeeper.wire.shapes import Answer, Time


class QueueCause(Answer):
    """Why no bot has taken what waits in a queue, and the command that helps.

    As the explanation of a task has it, as far as it is the same for every item: policies on labels and who made what
    is reviewed are not looked at.
    """

    reason: Annotated[WaitingReason, Field(examples=["no_capable_bot"])]
    detail: str
    fix: Annotated[str | None, Field(description="Command that helps. Null: only waiting helps.")] = None
    until: Annotated[Time | None, Field(description="When it ends by itself, at the latest.")] = None


class QueueState(Answer):
    """A queue: work items that need the same kind of bot with the same skills."""

    kind: Kind
    skills: Annotated[list[str], Field(description="A bot must have all of them.", examples=[["text.count"]])]
    assign_to: Annotated[str | None, Field(description="Name of the only bot that may do it.")] = None
    waiting: Annotated[int, Field(description="Items that a bot could take now, counted up to a bound.")]
    waiting_at_least: Annotated[bool, Field(description="There are more than `waiting`.")] = False
    oldest_at: Annotated[Time | None, Field(description="Since when the oldest of them waits.")] = None
    oldest_seconds: float | None = None
    leased: Annotated[int, Field(description="Items that bots work on.")]
    leased_at_least: Annotated[bool, Field(description="There may be more: only 5,000 leases are counted.")] = False
    in_per_minute: Annotated[int, Field(description="Items that came within the last minute.")]
    out_per_minute: Annotated[int, Field(description="Items that were leased within the last minute.")]
    bots: Annotated[int, Field(description="Registered bots that may take it, neither draining nor disabled.")]
    bots_asking: Annotated[int, Field(description="Those that asked for work in the last two minutes or are busy.")]
    why: Annotated[QueueCause | None, Field(description="Null where nothing waits.")] = None


class QueuePage(Page[QueueState]):
    """Queues in which work waits, is leased, or was within the last minute.

    A page may be short, or empty, although more follow.
    """


class LimitUse(Answer):
    """How much of a limit is used."""

    limit: Annotated[str, Field(description="Its name, as in refusals.", examples=["open_tasks"])]
    scope: Annotated[str, Field(description="`tenant`, or `key`: of the caller's key.", examples=["tenant"])]
    used: int
    most: Annotated[int | None, Field(description="Null: there is no limit.")] = None


class WorkRateSet(Answer):
    """A limit of leases, which `swarmkeeper tenant limit` sets."""

    key: Annotated[str, Field(description="`tenant`, `skill:NAME` or `scope:NAME`.", examples=["skill:ocr"])]
    max: Annotated[int | None, Field(description="How many leases of a skill run at once.")] = None
    per_minute: Annotated[int | None, Field(description="How many leases a minute has.")] = None
    tokens_per_minute: Annotated[int | None, Field(description="How many tokens a minute has.")] = None


class TenantBudget(Answer):
    """What all attempts of the tenant may use, by `cost_micro_usd`, `tokens` or `attempts`."""

    limit: dict[str, int]
    spent: dict[str, int]
    reserved: Annotated[dict[str, int], Field(description="For attempts that run.")]


class TenantLimits(Answer):
    """The limits of a tenant, and what of them is used now."""

    items: Annotated[list[LimitUse], Field(description="Limits of calls and of what is kept.")]
    rates: Annotated[list[WorkRateSet], Field(description="Limits of leases.")]
    budget: Annotated[TenantBudget | None, Field(description="Null: the tenant has no budget.")] = None


class LeaseHeld(Answer):
    """What a bot works on."""

    lease_id: str
    work_id: str
    task_id: str
    task_title: str
    kind: Kind
    key: str
    attempt: int
    round: int = 1
    priority: int = 5
    granted_at: Time
    expires_at: Annotated[Time, Field(description="When it is lost without a heartbeat.")]
    ends_at: Annotated[Time, Field(description="When it times out.")]
    cancelled: Annotated[bool, Field(description="The bot is told to stop with its next heartbeat.")] = False


class LeaseHeldPage(Page[LeaseHeld]):
    """The leases that a bot holds."""
