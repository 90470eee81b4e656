"""Records of secrets. Values are only in `Sealed`, encrypted under the master key of the secrets broker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted value: AES-256-GCM, bound to the row that it is in."""

    key_id: str  # which master key
    nonce: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """A version of a secret that this server keeps itself."""

    tenant: str
    name: str
    version: int
    sealed: Sealed
    created_at: int
    created_by: str  # key id


@dataclass(frozen=True, slots=True)
class ReleasedValue:
    """A value that a bot got: redaction has to know it, also after a restart."""

    tenant: str
    name: str
    tag: str  # HMAC of the value under the tenant's key
    version: str
    source: str  # name of the back end
    sealed: Sealed
    first_at: int = 0
    last_at: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True)
class SecretUse:
    """How often a secret was released in the current minute."""

    tenant: str
    name: str
    minute: int  # since the epoch
    count: int


@dataclass(frozen=True, slots=True)
class LeaseSecrets:
    """How many secrets were released under a lease."""

    lease_id: str
    tenant: str
    count: int


@dataclass(frozen=True, slots=True)
class Loan:
    """Credentials that a back end made for one lease of a bot: to be revoked there when the lease ends."""

    id: str
    tenant: str
    lease_id: str
    source: str
    sealed: Sealed  # the back end's own name for them
    expires_at: int  # when the back end ends them by itself


@dataclass(frozen=True, slots=True)
class SealedAgain:
    """A row's value under another master key, if the row still has the value `before`."""

    sealed: Sealed
    before: Sealed


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Removes a released value, if it was not released since."""

    before: int


# What is written to a row; storage/secrets.py has the statements. None removes the row.
SecretRecord = SecretVersion | ReleasedValue | SecretUse | LeaseSecrets | Loan | SealedAgain | Forgotten
RowKey = tuple[str, ...]  # table, then the key


@dataclass(frozen=True, slots=True)
class LeaseUse:
    """What the rules of a secret ask about the holder of a lease."""

    tenant: str
    task: str
    work: str
    bot: str  # id
    bot_name: str
    skills: frozenset[str]
    labels: Mapping[str, str]
    payload: str  # id of the payload with the work's own inputs
    submission: str | None = None  # likewise of the task, if a bot has written the work's inputs
