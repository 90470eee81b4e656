"""`audit verify`, `doctor`, `migrate`: commands on a store, with or without a running server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarmkeeper.cli import published
from swarmkeeper.cli.admin import examination, verdicts
from swarmkeeper.cli.at_rest import encryption
from swarmkeeper.cli.framework import running, terminal
from swarmkeeper.cli.framework.flags import AsJson, Store, flag
from swarmkeeper.cli.framework.terminal import CliError, Exit
from swarmkeeper.settings import BadSetting

if TYPE_CHECKING:
    from swarmkeeper.cli.admin.verdicts import Verified
    from swarmkeeper.core.ports import Reader
    from swarmkeeper.core.ports import Store as OpenStore
    from swarmkeeper.govern.audit import KeptRoot
    from swarmkeeper.offline.doctor import DoctorFinding
    from swarmkeeper.settings import Settings
    from swarmkeeper.storage.postgres import PostgresStore

audit = typer.Typer(no_args_is_help=True, help="The audit log.")

# Exit codes of `audit verify`.
WHOLE, TAMPERED, INCOMPLETE = 0, 1, 2


@audit.command()
def verify(
    store_url: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="A store: sqlite:///… Or what is published: http://…, a folder of `audit export`, a .tlog-proof.",
        ),
    ] = None,
    keys: published.Keys = None,
    witnesses: Annotated[
        list[str] | None,
        flag("--witness", metavar="NAME+ID+KEY", help="A witness that must have cosigned the log. Repeatable."),
    ] = None,
    deep: Annotated[bool, flag("--deep", help="Compare all rows that are evidence with the log, too.")] = False,
    since: Annotated[
        Path | None,
        flag("--since", metavar="FILE", help="Kept elsewhere: what `audit verify --json` printed, or a checkpoint."),
    ] = None,
    body: Annotated[
        Path | None,
        flag("--body", metavar="FILE", help="Of `audit prove --body`: verify it with the proof of its record."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify the audit log of every tenant: records, tree, commitments to bodies.

    Exits with 0 if it is complete, 1 if it was tampered with, 2 if something is missing.
    """
    if store_url is not None and published.is_published(store_url):
        if deep:
            raise CliError("usage", "--deep needs the store: what is published has no rows", exit_code=Exit.USAGE)
        published.verify(store_url, keys, witnesses or (), since, body, as_json=as_json)
        return
    if keys or witnesses or body is not None:
        detail = "--key, --witness and --body are for what is published of a log: a store has no signature"
        raise CliError("usage", detail, exit_code=Exit.USAGE)
    kept = {} if since is None else verdicts.read(since)
    status, found = running.run(_verify(running.settings_of(store=store_url), kept, deep=deep))
    verdicts.say(status, found, as_json=as_json)
    raise typer.Exit(status)


async def _verify(settings: Settings, since: Mapping[str, KeptRoot], *, deep: bool) -> tuple[int, Verified]:
    from swarmkeeper.cli.admin.verdicts import Verified
    from swarmkeeper.govern.audit import AuditVerification
    from swarmkeeper.offline import doctor

    try:
        async with running.store_of(settings, reading=True) as store:
            if not deep:
                found = Verified(await doctor.verify_audit(store, since))
            else:
                async with _still(store) as snapshot:
                    found = Verified(*await doctor.verify_deep(snapshot, since))
    except running.Damaged as damaged:
        # A file that SQLite refuses to read was changed after it was written.
        found = Verified({"(all)": AuditVerification("tampered", 0, reason=damaged.detail)})
    statuses = {verdict.status for verdict in found.verdicts.values()}
    if "tampered" in statuses or found.findings or (found.rows is not None and found.rows.mismatches):
        return TAMPERED, found
    return (INCOMPLETE if "incomplete" in statuses else WHOLE), found


@asynccontextmanager
async def _still(store: OpenStore) -> AsyncIterator[Reader]:
    """Read the store as of one moment in which all events have their numbers.

    Raises:
        CliError: servers write so much that there is no such moment.
    """
    from swarmkeeper.core.named_reads import EVENTS_WAIT, fetch

    if not store.shared:
        async with store.snapshot() as reader:
            yield reader
        return
    opened: PostgresStore = store  # type: ignore[assignment]  # no other store is shared
    # Servers write meanwhile. What has no number yet is not in the feed, but counts in the rows of its tasks.
    async with opened.quiet_snapshot() as (snapshot, is_quiet):
        if is_quiet:
            yield snapshot
            return
    (wait,) = await fetch(store, EVENTS_WAIT)
    detail = "so much is written that there is no moment in which all events have their numbers"
    if wait.microseconds > _LATE:
        detail = f"events have waited for their numbers for {wait.microseconds / 1_000_000:.0f} s"
    fix = "see the log of the orchestrators; or examine a copy: `swarmkeeper backup`, then `restore`"
    raise CliError("store_busy", detail, exit_code=Exit.CONFLICT, fix=fix)


_LATE = 5_000_000  # microseconds


def doctor(
    deep: Annotated[bool, flag("--deep", help="Check every row and every audit record.")] = False,
    reset_clock: Annotated[
        bool,
        flag(
            "--reset-clock",
            help="Set the store's time back to this machine's clock, after a run with a clock that was ahead."
            " No server may be using the store.",
        ),
    ] = False,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Check a store. Exits with 0 if it is healthy, 11 if an invariant is violated. A server may be running on it."""
    if reset_clock:
        _reset_clock(running.settings_of(store=store), as_json=as_json)
        return
    from swarmkeeper.offline import doctor as checks

    settings = running.settings_of(store=store)
    found = running.run(_examine(settings, deep=deep))
    is_readable = not any(finding.check is checks.DAMAGE for finding in found)
    at_rest = running.run(encryption.survey(settings)) if deep and is_readable else None
    wrong = [] if at_rest is None else at_rest.wrong
    found += examination.of_bodies(wrong)
    if as_json:
        rest = {} if at_rest is None else {"at_rest": {name: asdict(it) for name, it in at_rest.tables.items()}}
        terminal.say_json({"healthy": not found, "deep": deep, "findings": examination.as_json(found), **rest})
    else:
        examination.say(found)
        if at_rest is not None:
            plain = sum(it.plain for it in at_rest.tables.values())
            encrypted = sum(it.encrypted for it in at_rest.tables.values())
            terminal.say(f"{encrypted} bodies are encrypted, {plain} are plain")
        if not found:
            terminal.say("healthy" if deep else "healthy (the file; --deep checks every row)")
    raise typer.Exit(Exit.VIOLATION if found else Exit.OK)


def _reset_clock(settings: Settings, *, as_json: bool) -> None:
    from swarmkeeper.core.errors import StillStopping

    try:
        seconds = running.run(_set_back(settings)) / 1_000_000
    except StillStopping as error:
        raise CliError("still_stopping", error.detail, exit_code=Exit.CONFLICT, fix="swarmkeeper serve") from None
    if as_json:
        terminal.say_json({"reset": seconds > 0, "ahead_seconds": seconds})
    elif seconds:
        terminal.say(f"the store's time was set back by {seconds:.0f} s")
    else:
        terminal.say("the store's time is not ahead of the clock: nothing to do")


async def _set_back(settings: Settings) -> int:
    from swarmkeeper.offline import offline_admin
    from swarmkeeper.storage.opening import store_at
    from swarmkeeper.storage.refusals import StoreRefused

    try:
        async with running.alone(store_at(settings.store, bodies=await running.bodies_of(settings))) as opened:
            return await offline_admin.reset_clock(opened, **running.administration())
    except (StoreRefused, BadSetting) as error:
        raise running.of_store(error) from None


async def _examine(settings: Settings, *, deep: bool) -> list[DoctorFinding]:
    from swarmkeeper.offline import doctor

    try:
        async with running.store_of(settings, reading=True) as store:
            if not deep:
                return await examination.of_store(store, deep=False)
            async with _still(store) as snapshot:
                return await examination.of_store(snapshot, deep=True)
    except running.Damaged as damaged:
        return [doctor.DoctorFinding(doctor.DAMAGE, damaged.detail)]


def migrate(
    store: Store = None,
    from_: Annotated[
        str | None, flag("--from", metavar="STORE_URL", help="Move the rows of this store: sqlite:///… Needs --to.")
    ] = None,
    to: Annotated[
        str | None, flag("--to", metavar="STORE_URL", help="The store to move to: postgresql://… It must be empty.")
    ] = None,
    reopen: Annotated[
        bool, flag("--reopen", help="Let a store be used again that was moved. Its other copy must not be used.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Migrate a store to this version's schema; or, with --from and --to, move a SQLite store to PostgreSQL.

    A SQLite store is copied next to its file first, and no server may be using it. Servers may be using a store in
    PostgreSQL. A move can be repeated until it is complete; every row is compared, and the source is kept, but refused
    by `serve` from then on.
    """
    if from_ is not None or to is not None:
        from swarmkeeper.cli.admin import move

        if from_ is None or to is None or reopen or store is not None:
            raise CliError("usage", "a move needs --from and --to, and nothing else", exit_code=Exit.USAGE)
        move.move(running.settings_of(store=from_), running.settings_of(store=to), as_json=as_json)
        return
    settings = running.settings_of(store=store)
    if reopen:
        from swarmkeeper.cli.admin import move

        move.reopen(settings, as_json=as_json)
        return

    async def work() -> None:
        from swarmkeeper.storage.opening import store_at

        try:
            bodies = await running.bodies_of(settings)
            opened = store_at(settings.store, new_pepper=running.new_pepper_of(settings), bodies=bodies)
            # Only a store in a file must not be used meanwhile. And an empty database was made to be a store, while a
            # file that does not exist is more likely a wrong name.
            await opened.open(exclusive=not opened.shared, migrate=True, create=opened.shared)
        except Exception as error:
            raise running.of_store(error) from None
        await opened.close()

    running.run(work())
    if as_json:
        terminal.say_json({"migrated": True})
    else:
        terminal.talk("the store has the schema of this version")
