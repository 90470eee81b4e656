"""`backup` and `restore`: a copy of a store while a server runs, and a store from such a copy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from swarmkeeper.cli.admin import examination
from swarmkeeper.cli.framework import running, terminal
from swarmkeeper.cli.framework.flags import AsJson, Store, flag
from swarmkeeper.cli.framework.terminal import CliError, Exit

if TYPE_CHECKING:
    from swarmkeeper.offline.doctor import DoctorFinding
    from swarmkeeper.settings import Settings

# What a fresh store has, too.
_OWN_TABLES = frozenset({"meta", "migration"})


def backup(
    to: Annotated[Path, flag("--to", metavar="FILE", help="The file to write. It must not exist.")],
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Back up a store, also while a server runs on it: one consistent state, checked like `doctor --deep`.

    Exits with 11 if the copy violates an invariant, as then the store does; the copy is kept. Protect it like a secret.
    """
    settings = running.on_disk(store, lost="")
    _check_new(to)
    facts, findings = _write(settings, to)
    has_pepper = running.run(_has_pepper(settings))
    facts = {"file": str(to), "bytes": to.stat().st_size, "has_pepper": has_pepper, **facts}
    _say(f"{to}: {facts['bytes']} bytes", facts, findings, has_pepper=has_pepper, as_json=as_json)


def restore(
    from_: Annotated[Path, flag("--from", metavar="FILE", help="A file that `backup` wrote.")],
    to: Annotated[str, flag("--to", metavar="STORE_URL", help="The store to make: sqlite:///… or postgresql://…")],
    as_json: AsJson = False,
) -> None:
    """Make a store from a backup. The store must not exist, or be empty, and no server may be using it.

    Exits with 11, and writes nothing, if the backup violates an invariant.
    """
    from swarmkeeper.storage.opening import is_postgres, shown

    settings = running.on_disk(to, lost="")
    _check_backup(from_, to_postgres=is_postgres(settings.store))
    if is_postgres(settings.store):
        from swarmkeeper.cli.admin import database_backup

        findings = running.run(database_backup.restore(from_, settings.store))
    else:
        from swarmkeeper.storage.sqlite.store import path_of

        findings = _restore(from_, Path(path_of(settings.store)))
    name = shown(settings.store)
    facts = {"store": name, "from": str(from_), "restored": not findings}
    done = f"{name}: restored from {from_}" if not findings else f"{name}: nothing was written"
    has_pepper = bool(findings) or running.run(_has_pepper(settings))
    _say(done, facts, findings, has_pepper=has_pepper, as_json=as_json)


def _check_backup(file: Path, *, to_postgres: bool) -> None:
    """Check that a backup is of the kind of store that is to be made.

    Raises:
        CliError: it is not, or it does not exist.
    """
    from swarmkeeper.storage.copying import archive

    if not file.is_file():
        raise CliError("no_store", f"there is no backup at {file}", exit_code=Exit.NOT_FOUND)
    if archive.is_archive(file) and not to_postgres:
        detail, fix = f"{file} is a backup of a store in PostgreSQL", "--to postgresql://…"
        raise CliError("another_kind", detail, exit_code=Exit.USAGE, fix=fix)
    if not archive.is_archive(file) and to_postgres:
        detail = f"{file} is not a backup of a store in PostgreSQL"
        fix = "restore it to sqlite:///…, and move that: swarmkeeper migrate --from sqlite:///… --to postgresql://…"
        raise CliError("another_kind", detail, exit_code=Exit.USAGE, fix=fix)


def _check_new(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise _exists(path)
    if not path.resolve().parent.is_dir():
        raise CliError("no_folder", f"the folder {path.resolve().parent} does not exist", exit_code=Exit.NOT_FOUND)


def _exists(path: Path) -> CliError:
    fix = "name a file that does not exist"
    return CliError("exists", f"{path} exists already", exit_code=Exit.CONFLICT, fix=fix)


async def _has_pepper(settings: Settings) -> bool:
    """Return whether a store keeps the pepper that is in force."""
    if settings.pepper or settings.pepper_file:
        return False
    async with running.store_of(settings, reading=True) as store:
        return (await store.start()).pepper_check is None


def _about_pepper(*, has_pepper: bool) -> str:
    if not has_pepper:
        return (
            "the pepper is not in the store or its backup: keep STORE.pepper, or the file that you have named, too. "
            "Without it, no API key of this store is valid"
        )
    return "the file contains inputs, outputs and the pepper of all API keys: protect it like a secret"


def _say(
    done: str, facts: dict[str, object], findings: list[DoctorFinding], *, has_pepper: bool, as_json: bool
) -> NoReturn:
    """Say what was done and found, and end the command."""
    if as_json:
        terminal.say_json({**facts, "healthy": not findings, "findings": examination.as_json(findings)})
    else:
        terminal.say(f"{done}, {_verdict(facts)}" if not findings else done)
        examination.say(findings)
        terminal.talk(_about_pepper(has_pepper=has_pepper))
    raise typer.Exit(Exit.VIOLATION if findings else Exit.OK)


def _verdict(facts: Mapping[str, object]) -> str:
    if facts.get("rows_checked", True):
        return "healthy, audit log verified"
    return "audit log verified; the other checks are left to `restore`, since events were being numbered all the time"


def _write(settings: Settings, to: Path) -> tuple[dict[str, Any], list[DoctorFinding]]:
    """Write the backup; return what is to be said about it besides its size, and what is wrong with it."""
    from swarmkeeper import files
    from swarmkeeper.storage.opening import is_postgres

    try:
        files.create(to)  # from now on nobody else can make a file of this name
        if is_postgres(settings.store):
            from swarmkeeper.cli.admin import database_backup

            return running.run(database_backup.write(settings.store, to))
        running.run(_copy(settings, to))
        return {}, running.run(_examine(to))
    except FileExistsError:
        raise _exists(to) from None
    except OSError as error:
        to.unlink(missing_ok=True)
        raise CliError("not_written", f"{to} cannot be written: {error.strerror}") from None
    except BaseException:
        to.unlink(missing_ok=True)
        raise


async def _copy(settings: Settings, to: Path) -> None:
    from swarmkeeper.storage.sqlite import copies
    from swarmkeeper.storage.sqlite.store import SqliteStore

    async with running.store_of(settings) as store:
        assert isinstance(store, SqliteStore), "the store is in a file"
        copies.copy_to(store.connection, to)


async def _examine(file: Path) -> list[DoctorFinding]:
    """Check a copy that nobody else uses, as `doctor --deep` does."""
    from swarmkeeper.offline import doctor

    try:
        async with running.store_of(running.settings_of(store=str(file)), reading=True) as copy:
            return await examination.of_copy(copy)
    except running.Damaged as damaged:
        return [doctor.DoctorFinding(doctor.DAMAGE, damaged.detail)]


def _restore(backed_up: Path, target: Path) -> list[DoctorFinding]:
    """Make the store under another name, and rename it when it is whole."""
    import apsw

    from swarmkeeper import files

    _check_target(target)
    try:
        with files.beside(target) as new:
            try:
                running.run(_make(backed_up, new))
            finally:
                for side in ("-wal", "-shm", ".lock"):
                    Path(f"{new}{side}").unlink(missing_ok=True)
    except _Unfit as unfit:
        return unfit.findings
    except (OSError, apsw.Error) as error:
        raise CliError("not_written", f"{target} cannot be written: {error}") from None
    return []


async def _make(backed_up: Path, new: Path) -> None:
    from swarmkeeper.offline import offline_admin
    from swarmkeeper.storage.sqlite import copies
    from swarmkeeper.storage.sqlite.store import SqliteStore

    async with running.store_of(running.settings_of(store=str(backed_up)), reading=True):
        copies.copy_file(backed_up, new)  # it is a store of this version: else opening it was refused
    findings = await _examine(new)
    if findings:
        raise _Unfit(findings)
    bodies = await running.bodies_of(running.settings_of(store=str(new)))
    async with running.alone(SqliteStore(str(new), bodies=bodies)) as store:
        last = copies.last_event(store.connection)
        if await offline_admin.record_restore(store, **running.administration()):
            copies.begin_epoch(store.connection, last)


class _Unfit(Exception):
    """The backup violates invariants."""

    def __init__(self, findings: list[DoctorFinding]) -> None:
        super().__init__(findings)
        self.findings = findings


def _check_target(target: Path) -> None:
    """Check that the store does not exist, or has no rows; its file is replaced.

    Raises:
        CliError: it has rows, or a server is using it, or there is a log that would be mixed into it.
    """
    if target.exists():
        running.run(_check_empty(target))
        return
    _check_new(target)
    for side in ("-wal", "-shm"):
        if Path(f"{target.resolve()}{side}").exists():
            detail = f"{target}{side} of an earlier store is still there, and would be mixed into this one"
            raise CliError("left_over", detail, exit_code=Exit.CONFLICT, fix=f"move {target}{side} away")


async def _check_empty(target: Path) -> None:
    from swarmkeeper.storage.sqlite.store import SqliteStore

    async with running.alone(SqliteStore(str(target))) as store:
        for (table,) in store.connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            if table not in _OWN_TABLES and store.connection.execute(f"SELECT EXISTS (SELECT 1 FROM {table})").get:
                detail = f"{target} has data, and a restore would replace it (table {table})"
                raise CliError("has_data", detail, exit_code=Exit.CONFLICT, fix="move it away, or name another store")
