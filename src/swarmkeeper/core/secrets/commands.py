"""Commands about secrets. They carry no value in plain."""

from __future__ import annotations

from dataclasses import dataclass

from swarmkeeper.core import lookups
from swarmkeeper.core.commands import Command, OnLease, Repeatable
from swarmkeeper.core.ports import Key
from swarmkeeper.core.secrets import lookups as own
from swarmkeeper.core.secrets.records import LeaseUse, Loan, ReleasedValue, RowKey, Sealed, SecretRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLease(Command[LeaseUse]):
    """Say for which work a live lease is. Changes nothing."""

    lease_id: str

    def _own_needs(self) -> list[Key]:
        return [lookups.LEASE_ID.of(self.lease_id), lookups.ATTEMPT.of(self.lease_id)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSecrets(OnLease):
    """Count and record that these values go to the bot that holds the lease."""

    payload: str  # whose references were checked
    values: tuple[ReleasedValue, ...]
    loans: tuple[Loan, ...] = ()
    lease_max: int
    minute_max: tuple[int, ...]  # of each value's secret

    def _own_needs(self) -> list[Key]:
        needs: list[Key] = [lookups.LEASE_ID.of(self.lease_id), lookups.ATTEMPT.of(self.lease_id)]
        needs.append(own.SECRET_LEASE.of(self.lease_id))
        for value in self.values:
            needs += [own.SECRET_RELEASED.of((value.tenant, value.name, value.tag))]
            needs += [own.SECRET_USE.of((value.tenant, value.name))]
        return needs

    @property
    def size(self) -> int:
        return 512 + sum(512 + len(value.sealed.body) for value in self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnSecret(Repeatable[int]):
    """A command on a secret that this server keeps."""

    name: str

    def _own_needs(self) -> list[Key]:
        return [own.SECRET.of((self.by.tenant, self.name))]


@dataclass(frozen=True, slots=True, kw_only=True)
class PutSecret(OnSecret):
    """Keep a new version. Answers its number."""

    version: int  # that it was sealed for: the one after the newest
    sealed: Sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireSecret(OnSecret):
    """Remove the versions before the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteSecret(OnSecret):
    """Remove all versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepSecretRows(Command[None]):
    """Write rows of the broker itself: values under a new master key (rows), ended loans and old rows (None)."""

    written: tuple[tuple[RowKey, SecretRecord | None], ...]
    what: str  # for the audit record

    @property
    def rows(self) -> int:
        return len(self.written)
