"""The parts of `migrate` that move a SQLite store to PostgreSQL, and let a moved store be used again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import typer

from swarmkeeper.cli.admin import examination
from swarmkeeper.cli.framework import running, terminal
from swarmkeeper.cli.framework.terminal import CliError, Exit

if TYPE_CHECKING:
    from swarmkeeper.offline.doctor import DoctorFinding
    from swarmkeeper.settings import Settings
    from swarmkeeper.storage.copying.filling import Filling
    from swarmkeeper.storage.sqlite.store import SqliteStore


def move(source: Settings, target: Settings, *, as_json: bool) -> None:
    """Move all rows, compare them, and mark the source. Ends the command with 11 if an invariant is violated."""
    from swarmkeeper.storage.opening import is_postgres, shown

    if is_postgres(source.store) or not is_postgres(target.store):
        detail = "a move is from a SQLite store to PostgreSQL: --from sqlite:///… --to postgresql://…"
        raise CliError("usage", detail, exit_code=Exit.USAGE)
    running.on_disk(source.store, lost="")
    facts, findings = running.run(_move(source.store, target.store))
    if as_json:
        terminal.say_json({**facts, "healthy": not findings, "findings": examination.as_json(findings)})
    else:
        rows, seconds = sum(facts["rows"].values()), facts["seconds"]
        terminal.say(
            f"{facts['rows']['task']} tasks with {facts['rows']['work']} items, {rows} rows in all, "
            f"were copied in {seconds['copied']} s"
        )
        examination.say(findings)
        if not findings:
            terminal.say(f"every row is the same, the audit log verifies, the store is healthy: {seconds['checked']} s")
            for tenant, tree in facts["audit"].items():
                name = terminal.on_one_line(tenant)
                terminal.say(f"  audit log of {name}: {tree['size']} records, root {tree['root']}")
            terminal.talk(f"from now on, serve {shown(target.store)}; {shown(source.store)} is kept, and says so")
            if facts["pepper_file"]:
                where = facts["pepper_file"]
                terminal.talk(f"the pepper of its keys is in {where}: name that file in SWARMKEEPER_PEPPER_FILE")
        else:
            terminal.talk("the source violates invariants: it was not moved, and the other store cannot be used")
    if findings:
        raise typer.Exit(Exit.VIOLATION)


async def _move(source: str, target: str) -> tuple[dict[str, Any], list[DoctorFinding]]:
    from swarmkeeper.storage.copying.sqlite_content import SqliteContent
    from swarmkeeper.storage.opening import shown
    from swarmkeeper.storage.sqlite import copies

    async with _to_move(source) as store:
        connection, address = store.connection, shown(target)
        before = copies.moved_to(connection)
        if before and before != address:
            raise CliError("store_moved", f"this store was moved to {before} already", exit_code=Exit.CONFLICT)
        connection.execute("BEGIN IMMEDIATE")  # commands beside, such as `key create`, must not write meanwhile
        content = SqliteContent(connection)
        async with _not_twice(before), filling_of(target, content.origin) as filled:
            watch = Stopwatch()
            rows = await filled.copy(content)
            copied = watch.seconds()
            await filled.check(content)
            await filled.number(content, anew=False)
            findings = await examined(target)
            facts = {"moved": not findings, "to": address, "rows": dict(rows), **await filled.facts()}
            facts["pepper_file"] = _pepper_file(store)
            facts["seconds"] = {"copied": copied, "checked": watch.seconds()}
            if not findings:
                # In this order: if the process ends in between, neither store is served, and the move can be repeated.
                copies.mark_moved(connection, address)
                connection.execute("COMMIT")
                await filled.complete()
        return facts, findings


def _pepper_file(store: SqliteStore) -> str:
    """Return the file with the pepper of a store; empty if there is none."""
    from swarmkeeper.storage.pepper import file_of

    assert store.path is not None, "a store in memory was refused"
    file = file_of(store.path)
    return str(file) if file.exists() else ""


@asynccontextmanager
async def _not_twice(before: str) -> AsyncIterator[None]:
    """Say that a move is complete; not that its target has rows."""
    try:
        yield
    except CliError as error:
        if before and error.code == "has_data":
            raise CliError(
                "store_moved", f"this store was moved to {before} already", exit_code=Exit.CONFLICT
            ) from None
        raise


class Stopwatch:
    """Measures one step after another."""

    def __init__(self) -> None:
        from swarmkeeper.clock import SystemClock

        self._clock = SystemClock()
        self._begun = self._clock.monotonic()

    def seconds(self) -> float:
        """Return the seconds since the last call."""
        before, self._begun = self._begun, self._clock.monotonic()
        return round((self._begun - before) / 1_000_000, 1)


@asynccontextmanager
async def _to_move(source: str) -> AsyncIterator[SqliteStore]:
    """Open a SQLite store as its only user, also if it was moved."""
    from swarmkeeper.storage.sqlite.store import SqliteStore

    bodies = await running.bodies_of(running.settings_of(store=source))
    async with running.alone(SqliteStore(source, may_be_moved=True, bodies=bodies)) as store:
        try:
            yield store
        finally:
            if store.connection.in_transaction:
                store.connection.execute("ROLLBACK")


@asynccontextmanager
async def filling_of(url: str, origin: Any) -> AsyncIterator[Filling]:
    """Fill a database; errors become those of the command line.

    Raises:
        CliError: it cannot be filled, or differs from its source.
    """
    try:
        from swarmkeeper.storage.copying.filling import filling
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        raise CliError(
            "store_refused", "a store in PostgreSQL needs a driver", fix="pip install 'swarmkeeper[postgres]'"
        ) from None
    from swarmkeeper.storage.copying.content import NotCopied

    try:
        async with filling(url, origin) as filled:
            yield filled
    except NotCopied as error:
        raise CliError("not_copied", str(error)) from None
    except CliError:
        raise
    except Exception as error:
        raise running.of_store(error) from None


async def examined(url: str) -> list[DoctorFinding]:
    """Check a store that is being filled, as `doctor --deep` does."""
    from swarmkeeper.storage.postgres import PostgresStore

    store = PostgresStore(url, filling=True, bodies=await running.bodies_of(running.settings_of(store=url)))
    await store.open_to_read()
    try:
        return await examination.of_copy(store)
    finally:
        await store.close()


def reopen(settings: Settings, *, as_json: bool) -> None:
    """Remove the mark of a moved store."""
    from swarmkeeper.storage.sqlite import copies

    async def work() -> str:
        async with _to_move(settings.store) as store:
            before = copies.moved_to(store.connection)
            copies.mark_moved(store.connection, "")
            return before

    before = running.run(work())
    if as_json:
        terminal.say_json({"reopened": bool(before), "moved_to": before})
    elif before:
        terminal.talk(f"this store can be used again; do not use {before} any more: both would give out the same work")
    else:
        terminal.talk("this store was not moved: nothing to do")
