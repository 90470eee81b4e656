"""`tenant list|get|set`: the limits of tenants. All commands work on the store itself, with or without a running
server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarmkeeper.cli.framework import running, terminal
from swarmkeeper.cli.framework.flags import AsJson, Store, flag
from swarmkeeper.cli.framework.terminal import CliError, Exit

if TYPE_CHECKING:
    from swarmkeeper.offline.offline_admin import TenantSettings
    from swarmkeeper.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Tenants: their share of the engine, and their limit of open tasks.")

COLUMNS = ("id", "weight", "max_backlog", "open_tasks", "open_subtasks", "stored_bytes")


@app.command("list")
def list_(store: Store = None, as_json: AsJson = False) -> None:
    """List all tenants with their weight, their limit of open tasks and the number of open tasks."""
    rows = running.run(_list(running.on_disk(store, lost="")))
    if as_json:
        for row in rows:
            terminal.say_json(row)
    else:
        terminal.say_table(rows, COLUMNS)


@app.command()
def get(
    tenant: Annotated[str, typer.Argument(help="The id of the tenant.")],
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Show the limits of a tenant and their current use. Counters in a running server's memory are in its metrics."""
    settings = running.on_disk(store, lost="")
    found = [row for row in running.run(_list(settings)) if row["id"] == tenant]
    if not found:
        raise _not_found("no such tenant")
    rows = _usage(found[0], settings)
    if as_json:
        terminal.say_json({**found[0], "limits": rows})
    else:
        terminal.say_table(rows, ("limit", "scope", "used", "most", "set_by"))


def _usage(row: dict[str, Any], settings: Settings) -> list[dict[str, Any]]:
    """Return the use of the limits: first those counted in the store, then those of a running server."""
    from swarmkeeper.core.model import Tenant
    from swarmkeeper.reads.explain import stored_usage

    tenant = Tenant(**row)
    own = "tenant set" if tenant.max_backlog is not None else "open_tasks"
    kept = [
        {
            "limit": usage.limit,
            "scope": usage.scope,
            "used": usage.used,
            "most": usage.most,
            "set_by": own if usage.limit == "open_tasks" else usage.limit,
        }
        for usage in stored_usage(tenant, settings.limits())
    ]
    counted = [
        {"limit": limit, "scope": scope, "used": None, "most": most or None, "set_by": f"{limit}_{scope}"}
        for limit in ("tasks_a_minute", "body_bytes", "polls", "followers", "waits")
        for scope in ("tenant", "key")
        for most in (getattr(settings, f"{limit}_{scope}"),)
    ]
    return [*kept, *counted]


@app.command("set")
def set_(
    tenant: Annotated[str, typer.Argument(help="The id of the tenant. The first key of a tenant creates it.")],
    weight: Annotated[
        int | None,
        flag("--weight", help="Its share of the engine relative to other tenants, from 1 to 1000. Initially 1."),
    ] = None,
    max_backlog: Annotated[
        int | None,
        flag("--max-backlog", help="How many open tasks it may have. Initially the setting open_tasks."),
    ] = None,
    unbounded: Annotated[bool, flag("--unbounded", help="Use the setting open_tasks again.")] = False,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Change the weight or the limit of open tasks of a tenant. A running server applies it within a second."""
    from swarmkeeper.core.errors import Invalid, ResourceNotFound
    from swarmkeeper.offline.offline_admin import TenantSettings

    if weight is None and max_backlog is None and not unbounded:
        raise CliError("invalid", "nothing to change", exit_code=Exit.USAGE, fix="add --weight N or --max-backlog N")
    settings = running.on_disk(store, lost="")
    try:
        running.run(_set(settings, TenantSettings(tenant, weight, max_backlog, unbounded)))
    except Invalid as error:
        raise running.invalid(error) from None
    except ResourceNotFound as error:
        raise _not_found(error.detail) from None
    (row,) = [row for row in running.run(_list(settings)) if row["id"] == tenant]
    if as_json:
        terminal.say_json(row)
    else:
        terminal.say_table([row], COLUMNS)


def _not_found(detail: str) -> CliError:
    fix = "list the tenants with `swarmkeeper tenant list`"
    return CliError("not_found", detail, exit_code=Exit.NOT_FOUND, fix=fix)


async def _list(settings: Settings) -> list[dict[str, Any]]:
    async with running.store_of(settings, reading=True) as store:
        return await store.read("tenant_shares", {})


async def _set(settings: Settings, wish: TenantSettings) -> None:
    from swarmkeeper.offline import offline_admin

    async with running.store_of(settings) as store:
        await offline_admin.set_tenant(store, wish, **running.administration())
