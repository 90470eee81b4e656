"""Answers of an edge as plain snapshots: what a bot or a person sees of the orchestrator."""

from __future__ import annotations

from dataclasses import dataclass

from swarmkeeper.core.model import LeaseRecord, Work


@dataclass(frozen=True, slots=True)
class LeaseSeen:
    """A lease as its bot sees it."""

    lease_id: str
    work: str
    task: str
    title: str
    key: str
    kind: str
    attempt: int
    tries: int
    round: int
    bot: str
    ttl: int
    ends_at: int
    judges: tuple[str, ...] = ()  # keys of the subtasks to review

    @classmethod
    def of(cls, granted: LeaseRecord, item: Work, title: str) -> LeaseSeen:
        return cls(
            lease_id=granted.lease_id,
            work=item.id,
            task=item.task,
            title=title,
            key=item.key,
            kind=str(item.kind),
            attempt=granted.attempt,
            tries=item.tries,
            round=item.round,
            bot=granted.bot,
            ttl=granted.ttl,
            ends_at=granted.ends_at,
        )

    @property
    def label(self) -> str:
        return f"{self.title}/{self.key}"


@dataclass(frozen=True, slots=True)
class TaskSeen:
    id: str
    status: str
    outcome: str | None
    holds: str


@dataclass(frozen=True, slots=True)
class ApprovalSeen:
    id: str
    task: str
    kind: str
    asked_by: str
    choices: str
    subject_hash: str
    expires_at: int
