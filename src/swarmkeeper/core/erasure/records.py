"""Records of erasures by key: data keys that were destroyed, what a decision knows of a tenant's, an erased body."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErasedKeyRecord:
    """A data key that was destroyed: no body that it encrypted can be read any more, by nobody."""

    id: str
    tenant: str
    erased_at: int
    erased_by: str  # key id


@dataclass(frozen=True, slots=True)
class AtRest:
    """What of a tenant matters for the erasure of its data keys."""

    keys: tuple[str, ...]  # ids of its data keys
    whole: bool  # the store has no plain body
    busy: bool  # a task has not ended, or a bot holds a lease
    held: bool  # there is a legal hold on it, or on one of its tasks
    changed_at: int  # when the last of its tasks changed
    erased_at: int  # when its keys were erased last; 0: never
    used: bool  # it has had a task since


class ErasedBody(bytes):
    """Stands for a body whose data key was destroyed. It is empty, and names the key."""

    key: str

    @classmethod
    def under(cls, key: str) -> ErasedBody:
        body = cls()
        body.key = key
        return body
