"""Records of retention: legal holds, and what of a finished task is erased next. See decide/retention.py."""

from __future__ import annotations

from dataclasses import dataclass

WHOLE_TENANT = "*"  # in place of a task
ERASE = "erase"  # the kind of the job that erases a task
ERASING_ACTIONS = ("task.erase", "chore.erase")  # of the audit records about an erasure itself


@dataclass(frozen=True, slots=True)
class LegalHoldRecord:
    """Keeps everything of a task, or of a whole tenant, until it is released."""

    tenant: str
    task: str  # or WHOLE_TENANT
    reason: str  # redacted
    placed_by: str  # key id
    placed_at: int


@dataclass(frozen=True, slots=True)
class TaskPart:
    """The next items of a task that is erased, and the counted bytes of their payloads.

    Fewer items than asked for are the last ones; then the bytes include the payloads of the task itself.
    """

    works: tuple[str, ...]
    stored: int
