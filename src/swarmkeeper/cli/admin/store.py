"""`audit verify`, `doctor`, `migrate`: commands on a store, with or without a running server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from swarmkeeper.cli.admin import examination
from swarmkeeper.cli.framework import running, terminal
from swarmkeeper.cli.framework.flags import AsJson, Store, flag
from swarmkeeper.cli.framework.terminal import CliError, Exit

if TYPE_CHECKING:
    from swarmkeeper.govern.audit import AuditVerification
    from swarmkeeper.offline.doctor import DoctorFinding
    from swarmkeeper.settings import Settings
    from swarmkeeper.storage.postgres import PostgresStore

audit = typer.Typer(no_args_is_help=True, help="The audit log.")

# Exit codes of `audit verify`.
WHOLE, TAMPERED, INCOMPLETE = 0, 1, 2


@audit.command()
def verify(
    store_url: Annotated[str | None, typer.Argument(metavar="STORE_URL", help="A store: sqlite:///…")] = None,
    as_json: AsJson = False,
) -> None:
    """Verify the audit log of every tenant: records, tree, commitments to bodies.

    Exits with 0 if it is complete, 1 if it was tampered with, 2 if something is missing.
    """
    if store_url is not None and store_url.startswith(("http://", "https://")):
        raise CliError(
            "not_supported",
            "this version verifies a store, not a server",
            exit_code=Exit.USAGE,
            fix="swarmkeeper audit verify sqlite:///…",
        )
    status, verdicts, records = running.run(_verify(running.settings_of(store=store_url)))
    if as_json:
        logs = [
            {
                "tenant": tenant,
                "status": verdict.status,
                "records": verdict.records,
                "begin": verdict.begin,
                "erased": verdict.erased,
                "erasures": verdict.erasures,
                "erased_by": list(verdict.erased_by),
                "first_bad_index": verdict.index,
                "reason": verdict.reason,
            }
            for tenant, verdict in verdicts.items()
        ]
        terminal.say_json({"status": ("whole", "tampered", "incomplete")[status], "records": records, "logs": logs})
    else:
        say_verdicts(verdicts, records)
    raise typer.Exit(status)


def say_verdicts(verdicts: dict[str, AuditVerification], records: int) -> None:
    """Print one line if all logs are whole, else one for each log that is not, with its first bad index."""
    bad = {tenant: verdict for tenant, verdict in verdicts.items() if verdict.status != "whole"}
    if not bad:
        terminal.say(f"audit log verified: {records} records")
        for tenant, verdict in verdicts.items():
            if verdict.erased or verdict.begin:
                terminal.say(f"  tenant {terminal.on_one_line(tenant)}: {_what_left(verdict)}")
    for tenant, verdict in bad.items():
        place = "" if verdict.index is None else f", first bad index {verdict.index}"
        terminal.say(f"audit log {verdict.status}: tenant {terminal.on_one_line(tenant)}{place}: {verdict.reason}")


def _what_left(verdict: AuditVerification) -> str:
    parts = []
    if verdict.begin:
        parts.append(f"the first {verdict.begin} records have left, as a record says")
    if verdict.erased:
        named = ", ".join(map(str, verdict.erased_by)) + (", …" if verdict.erasures > len(verdict.erased_by) else "")
        parts.append(f"{verdict.erased} bodies were erased, as these {verdict.erasures} records say: {named}")
    return "; ".join(parts)


async def _verify(settings: Settings) -> tuple[int, dict[str, AuditVerification], int]:
    from swarmkeeper.govern.audit import AuditVerification
    from swarmkeeper.offline import doctor

    try:
        async with running.store_of(settings, reading=True) as store:
            verdicts = await doctor.verify_audit(store)
    except running.Damaged as damaged:
        # A file that SQLite refuses to read was changed after it was written.
        verdicts = {"(all)": AuditVerification("tampered", 0, reason=damaged.detail)}
    found = {verdict.status for verdict in verdicts.values()}
    status = TAMPERED if "tampered" in found else INCOMPLETE if "incomplete" in found else WHOLE
    return status, verdicts, sum(verdict.records for verdict in verdicts.values())


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
    found = running.run(_examine(running.settings_of(store=store), deep=deep))
    if as_json:
        terminal.say_json({"healthy": not found, "deep": deep, "findings": examination.as_json(found)})
    else:
        examination.say(found)
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
        async with running.alone(store_at(settings.store)) as opened:
            return await offline_admin.reset_clock(opened, **running.administration())
    except StoreRefused as error:
        raise running.of_store(error) from None


async def _examine(settings: Settings, *, deep: bool) -> list[DoctorFinding]:
    from swarmkeeper.core.named_reads import EVENTS_WAIT, fetch
    from swarmkeeper.offline import doctor

    try:
        async with running.store_of(settings, reading=True) as store:
            if not store.shared:
                return await examination.of_store(store, deep=deep)
            opened: PostgresStore = store  # type: ignore[assignment]  # no other store is shared
            # Servers write meanwhile. What has no number yet is not in the feed, but counts in the rows of its tasks.
            async with opened.quiet_snapshot() as (snapshot, is_quiet):
                if is_quiet:
                    return await examination.of_store(snapshot, deep=deep)
            (wait,) = await fetch(store, EVENTS_WAIT)
    except running.Damaged as damaged:
        return [doctor.DoctorFinding(doctor.DAMAGE, damaged.detail)]
    detail = "so much is written that there is no moment in which all events have their numbers"
    if wait.microseconds > _LATE:
        detail = f"events have waited for their numbers for {wait.microseconds / 1_000_000:.0f} s"
    fix = "see the log of the orchestrators; or examine a copy: `swarmkeeper backup`, then `restore`"
    raise CliError("store_busy", detail, exit_code=Exit.CONFLICT, fix=fix)


_LATE = 5_000_000  # microseconds


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
            opened = store_at(settings.store)
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
