"""Connections to the server: how they are set up, and what its errors mean for the engine."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

import asyncpg

from swarmkeeper.core.ports import StaleVersion, StoreDamaged, StoreUnavailable
from swarmkeeper.storage.postgres.types_once import TypesOnce
from swarmkeeper.storage.refusals import MALFORMED, StoreRefused, is_well_formed

VERSION_MIN = 16  # `IS JSON` is new in 16
_TRANSACTION_TIMEOUT_SINCE = 17
SECONDS_TO_CONNECT = 5
# A server that does not answer at all, not even that it waits for a lock: the network is cut, or it stands still.
_SECONDS_TO_ANSWER = 25
SECONDS_FOR_ALL_ROWS = 3600  # for statements that read or change all rows of a store

# Others wait for the locks of a transaction. So a process that stands still within one (stopped, swapped out) loses it.
_SETTINGS = {
    "application_name": "swarmkeeper",
    # After a transaction has waited for a lock, its next statement must see what the lock's owner has committed. A
    # stricter default of the database or the user would hide that.
    "default_transaction_isolation": "read committed",
    "idle_in_transaction_session_timeout": "5s",
    "lock_timeout": "20s",
    # A machine that is lost closes no connection: its sessions, and the locks that they have, end after 25 seconds.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25s",
    "jit": "off",  # every statement is short
    "max_parallel_workers_per_gather": "0",  # likewise
    "random_page_cost": "1.1",  # what is used is in memory, or on a disk that seeks quickly
}
_CHEAPEST = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin")
_WRITING = {
    # A plan for any parameters serves all of ours, and is made once.
    "plan_cache_mode": "force_generic_plan",
    # In a new database such plans are made while the tables are small. They must not read whole tables: these will grow
    # long before statistics of them are gathered, and have the plans made again.
    **dict.fromkeys(_CHEAPEST, "off"),
}
# What is acknowledged is on the disk, whatever is set for the database or the user. Who chose a standby keeps it.
_DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"

# Another writer was first, or two waited for each other: the batch is run again.
_STALE = (
    asyncpg.UniqueViolationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)
# Temporary errors: no connection, or the server has no room, stops, or has become a standby; or somebody has taken a
# right away, which an orchestrator had when it was started.
_UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.LockNotAvailableError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.PostgresSystemError,
    asyncpg.InternalClientError,
)
_DAMAGED = (asyncpg.DataCorruptedError, asyncpg.IndexCorruptedError)


async def connect(url: str, *, writing: bool, again: bool = False) -> asyncpg.Connection:
    """Open a connection.

    Args:
        again: the server has let this process in before. If it does not now, somebody may be changing a password,
            renaming the database or restoring it: that is temporary.

    Raises:
        StoreUnavailable: the server cannot be reached now.
        StoreRefused: it does not let us in, or is too old.
    """
    if not is_well_formed(url):
        raise StoreRefused(MALFORMED)  # before the driver's error, which may quote a part of the password
    try:
        connection = await asyncpg.connect(
            url,
            connection_class=TypesOnce,
            timeout=SECONDS_TO_CONNECT,
            command_timeout=_SECONDS_TO_ANSWER,
            server_settings={**_SETTINGS, **(_WRITING if writing else {})},
            statement_cache_size=1024,
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=0,
        )
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError, ValueError) as error:
        refused = StoreUnavailable if again else StoreRefused
        raise refused(f"the database cannot be opened: {error}") from error
    except (*_UNAVAILABLE, asyncpg.PostgresError) as error:
        raise StoreUnavailable(f"the database cannot be reached now: {_said(error)}") from error
    try:
        await _check(connection, writing=writing)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _check(connection: asyncpg.Connection, *, writing: bool) -> None:
    # Both are told by the server when a connection begins.
    version, encoding = connection.get_server_version().major, connection.get_settings().server_encoding
    with translated_errors():
        if writing:
            # The doctor, which only reads, reads for longer.
            longest = "SET transaction_timeout = '30s'; " if version >= _TRANSACTION_TIMEOUT_SINCE else ""
            await connection.execute(longest + _DURABLE)
    if version < VERSION_MIN:
        raise StoreRefused(f"this server is PostgreSQL {version}: version {VERSION_MIN} or later is needed")
    if encoding != "UTF8":
        raise StoreRefused(f"this database has the encoding {encoding}: make one with ENCODING 'UTF8'")


async def allow_any_time(connection: asyncpg.Connection) -> None:
    """Let the open transaction take as long as it needs, and read whole tables if that is the cheapest way."""
    for name in _CHEAPEST:
        await connection.execute(f"SET LOCAL {name} = on")
    if connection.get_server_version().major >= _TRANSACTION_TIMEOUT_SINCE:
        await connection.execute("SET LOCAL transaction_timeout = 0")


class _Translated:
    """A class, not a generator: it is entered several times for each statement."""

    __slots__ = ()

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None:
            _raise_translated(error)


_TRANSLATED = _Translated()


def translated_errors() -> AbstractContextManager[None]:
    """Translate the server's errors: to StaleVersion, StoreUnavailable or StoreDamaged."""
    return _TRANSLATED


def _raise_translated(error: BaseException) -> None:
    """Raise what an error of the server means; return if it is to be raised as it is."""
    if isinstance(error, _STALE):
        raise StaleVersion(_said(error)) from error
    if isinstance(error, ValueError):
        return  # an argument does not fit its type; one such error of asyncpg is among those below
    if isinstance(error, _DAMAGED):
        raise StoreDamaged(f"the database is damaged: {_said(error)}") from error
    if isinstance(error, _UNAVAILABLE):
        raise StoreUnavailable(f"the database cannot be used now: {_said(error)}") from error
    if isinstance(error, asyncpg.ObjectNotInPrerequisiteStateError):  # at_rest/guard.py
        raise StoreUnavailable(_said(error)) from error


def _said(error: BaseException) -> str:
    if isinstance(error, asyncpg.InternalClientError):  # the driver names its states, which say nothing to a reader
        return "the connection was lost"
    return str(error) or type(error).__name__


async def close(connection: Any) -> None:
    """Close a connection, also if the server does not answer."""
    if connection is None or connection.is_closed():
        return
    try:
        await connection.close(timeout=2)
    except (*_UNAVAILABLE, asyncpg.PostgresError):
        connection.terminate()
