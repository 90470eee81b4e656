"""The parts of `backup` and `restore` for a store in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmkeeper.cli.admin import examination
from swarmkeeper.cli.admin.move import examined, filling_of
from swarmkeeper.cli.framework import running
from swarmkeeper.cli.framework.terminal import CliError

if TYPE_CHECKING:
    from swarmkeeper.offline.doctor import DoctorFinding
    from swarmkeeper.storage.copying.content import Content
    from swarmkeeper.storage.postgres import PostgresStore


async def write(url: str, to: Path) -> tuple[dict[str, Any], list[DoctorFinding]]:
    """Write one snapshot of a store to a new file, and check the snapshot and the file.

    Raises:
        CliError: the store cannot be read.
        OSError: the file cannot be written.
    """
    from swarmkeeper import files
    from swarmkeeper.storage.copying import archive, postgres_content
    from swarmkeeper.storage.copying.content import NotCopied

    async with running.store_of(running.settings_of(store=url), reading=True) as store:
        opened: PostgresStore = store  # type: ignore[assignment]  # the address says so
        with files.beside(to) as new:
            async with opened.quiet_snapshot() as (snapshot, is_quiet):
                content = await postgres_content.PostgresContent.of(snapshot.connection)
                tables = await postgres_content.tables_of(snapshot.connection)
                facts = await postgres_content.facts_of(snapshot.connection, tables)
                facts["schema"] = await postgres_content.schema_of(snapshot.connection)
                facts["taken_at"] = _now()
                rows = await archive.write(new, content, tables, facts)
                findings = await _of_snapshot(snapshot, is_quiet=is_quiet)
            try:
                archive.BackupFile(new)  # it is on the disk as it was meant
            except NotCopied as error:
                raise CliError("not_written", str(error)) from None
    return {"rows": sum(rows.values()), "audit": facts["audit"], "rows_checked": is_quiet}, findings


def _now() -> str:
    from swarmkeeper.clock import SystemClock

    return datetime.fromtimestamp(SystemClock().now() // 1_000_000, UTC).isoformat()


async def _of_snapshot(snapshot: Any, *, is_quiet: bool) -> list[DoctorFinding]:
    """Check a snapshot as `doctor --deep` does; of one in which events have no numbers yet, only the audit log."""
    from swarmkeeper.offline import doctor

    if is_quiet:
        return await examination.of_copy(snapshot)
    verdicts = await doctor.verify_audit(snapshot)
    return [
        doctor.DoctorFinding(doctor.AUDIT, f"tenant {tenant}: {verdict.status}: {verdict.reason}")
        for tenant, verdict in verdicts.items()
        if verdict.status != "whole"
    ]


async def restore(backed_up: Path, url: str) -> list[DoctorFinding]:
    """Fill an empty database from a file that `write` wrote, and let events get new numbers.

    Raises:
        CliError: the file is damaged, or the database cannot be filled.
    """
    from swarmkeeper.storage.copying.archive import BackupFile
    from swarmkeeper.storage.copying.content import NotCopied

    try:
        archive = BackupFile(backed_up)
    except NotCopied as error:
        raise CliError("not_a_backup", str(error)) from None
    except OSError as error:
        raise CliError("not_a_backup", f"{backed_up} cannot be read: {error.strerror}") from None
    return await _fill(archive, url, schema=archive.head["schema"], rows=archive.rows)


async def _fill(content: Content, url: str, *, schema: list[Any], rows: Mapping[str, int]) -> list[DoctorFinding]:
    from swarmkeeper.offline import offline_admin
    from swarmkeeper.storage.copying.postgres_content import known_schema
    from swarmkeeper.storage.postgres import PostgresStore

    if schema != known_schema():
        raise CliError(
            "schema_differs",
            f"the backup has schema {schema[-1][0]}, and this version makes {known_schema()[-1][0]}",
            fix="restore it with the version that made it, and migrate the store then",
        )
    async with filling_of(url, content.origin) as filled:
        if not await filled.is_numbered:
            copied = await filled.copy(content)
            if dict(copied) != dict(rows):
                raise CliError("not_copied", "the numbers of rows differ from those in the backup")
            await filled.check(content)
        await filled.number(content, anew=True)
        await filled.place()
        findings = await examined(url)
        if findings:
            await filled.give_up()
            return findings
        store = PostgresStore(url, filling=True, bodies=await running.bodies_of(running.settings_of(store=url)))
        await store.open(exclusive=False, create=False)
        try:
            await offline_admin.record_restore(store, **running.administration())
        finally:
            await store.close()
        await filled.place()
        await filled.complete()
    return []
