"""The named reads about secrets; see core/named_reads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from swarmkeeper.core.ports import Read


class SealedRow(NamedTuple):
    """A row with an encrypted value, of either table."""

    tenant: str
    name: str
    version: str
    tag: str  # empty in the table `secret`
    source: str
    key_id: str
    nonce: bytes
    sealed: bytes
    first_at: int
    last_at: int


class KnownSecretRow(NamedTuple):
    """A secret as an administrator sees it."""

    name: str
    version: str
    source: str
    created_at: int | None  # None: it is not kept by this server
    released_at: int | None  # None: not yet
    released: int


class LoanRow(NamedTuple):
    id: str
    tenant: str
    lease_id: str
    source: str
    key_id: str
    nonce: bytes
    sealed: bytes
    expires_at: int


class EndedLeaseRow(NamedTuple):
    id: str
    tenant: str


class ValuesRow(NamedTuple):
    found: int  # values


SECRET_VERSIONS = Read("secret_versions", SealedRow, "tenant", "name")
ALL_SECRETS = Read("all_secrets", SealedRow, "tenant", "name", "version", "limit")
ALL_RELEASED = Read("all_released", SealedRow, "tenant", "name", "tag", "limit")
RELEASED_TAG = Read("released_tag", SealedRow, "tenant", "tag")
SECRETS_PAGE = Read("secrets_page", KnownSecretRow, "tenant", "name", "version", "limit")
ENDED_LOANS = Read("ended_loans", LoanRow, "after", "limit")
ALL_LOANS = Read("all_loans", LoanRow, "after", "limit")
ENDED_SECRET_LEASES = Read("ended_secret_leases", EndedLeaseRow, "limit")
SECRET_ROWS = Read("secret_rows", ValuesRow)

READS: Mapping[str, Read[Any]] = {str(read): read for read in list(vars().values()) if isinstance(read, Read)}
