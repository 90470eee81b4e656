"""`tenant list|set`: what each tenant may have. Both work on the store itself, whether or not a server runs on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarmkeeper.cli import running, terminal
from swarmkeeper.cli.flags import AsJson, Store, flag
from swarmkeeper.cli.terminal import Exit, Failure

if TYPE_CHECKING:
    from swarmkeeper.service.console import TenantWish
    from swarmkeeper.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Tenants: their share of the engine, and how much they may have open.")

COLUMNS = ("id", "weight", "max_backlog", "open_tasks")


@app.command("list")
def list_(store: Store = None, as_json: AsJson = False) -> None:
    """All tenants, their weight, how many tasks they may have open and how many they have."""
    rows = running.run(_list(_on_disk(store)))
    if as_json:
        for row in rows:
            terminal.say_json(row)
    else:
        terminal.say_table(rows, COLUMNS)


@app.command("set")
def set_(
    tenant: Annotated[str, typer.Argument(help="Its id; a tenant comes into being with its first key.")],
    weight: Annotated[
        int | None, flag("--weight", help="Its share where several want the engine, from 1 to 1000; at first 1.")
    ] = None,
    max_backlog: Annotated[
        int | None, flag("--max-backlog", help="How many tasks that are not final it may have; at first any number.")
    ] = None,
    unbounded: Annotated[bool, flag("--unbounded", help="Any number of tasks again.")] = False,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Change what a tenant may have. A running server takes it in within a second."""
    from swarmkeeper.core.errors import Invalid, NotFound
    from swarmkeeper.service.console import TenantWish

    if weight is None and max_backlog is None and not unbounded:
        raise Failure(
            "invalid", "nothing to change is named", exit_code=Exit.USAGE, fix="add --weight N or --max-backlog N"
        )
    settings = _on_disk(store)
    try:
        running.run(_set(settings, TenantWish(tenant, weight, max_backlog, unbounded)))
    except Invalid as error:
        facts = [("where", f"{pointer}: {words}") for pointer, _, words in error.details]
        raise Failure("invalid", error.detail, exit_code=Exit.USAGE, facts=facts) from None
    except NotFound as error:
        raise Failure(
            "not_found",
            error.detail,
            exit_code=Exit.NOT_FOUND,
            fix="swarmkeeper tenant list shows those that there are",
        ) from None
    (row,) = [row for row in running.run(_list(settings)) if row["id"] == tenant]
    if as_json:
        terminal.say_json(row)
    else:
        terminal.say_table([row], COLUMNS)


def _on_disk(store: str | None) -> Settings:
    from swarmkeeper.storage.sqlite.store import MEMORY, path_of

    settings = running.settings_of(store=store)
    try:
        in_memory = path_of(settings.store) == MEMORY
    except Exception as error:
        raise running.of_store(error) from None
    if in_memory:
        raise Failure(
            "store_in_memory",
            "a store in memory ends with this command",
            exit_code=Exit.USAGE,
            fix="name a file: --store sqlite:///swarmkeeper.db",
        )
    return settings


async def _list(settings: Settings) -> list[dict[str, Any]]:
    async with running.store_of(settings, reading=True) as store:
        return await store.read("tenant_shares", {})


async def _set(settings: Settings, wish: TenantWish) -> None:
    from swarmkeeper.clock import SystemClock, SystemEntropy
    from swarmkeeper.govern.redaction import Redactor
    from swarmkeeper.govern.rulebook import Rulebook
    from swarmkeeper.service import console

    async with running.store_of(settings) as store:
        rules = Rulebook(Redactor.default())
        await console.set_tenant(store, wish, clock=SystemClock(), entropy=SystemEntropy(), rules=rules)
