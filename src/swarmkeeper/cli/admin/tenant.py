"""`tenant list|get|set`: the limits of tenants. All commands work on the store itself, with or without a running
server.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarmkeeper.cli.framework import running, terminal
from swarmkeeper.cli.framework.flags import AsJson, Store, flag
from swarmkeeper.cli.framework.terminal import CliError, Exit

if TYPE_CHECKING:
    from swarmkeeper.offline.offline_admin import RateSettings, TenantSettings
    from swarmkeeper.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Tenants: their share of the engine, and their limit of open tasks.")

LIMIT_COLUMNS = ("key", "max", "per_minute", "tokens_per_minute")
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

    tenant = Tenant(**{name: value for name, value in row.items() if name != "budget"})
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
    return [*kept, *_budget(row), *counted]


def _budget(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the limits of the tenant's budget, with what is spent and reserved of them."""
    account = row.get("budget") or {}
    return [
        {
            "limit": f"budget {name}",
            "scope": "tenant",
            "used": account["spent"].get(name, 0) + account["reserved"].get(name, 0),
            "most": most,
            "set_by": "tenant set",
        }
        for name, most in account.get("limit", {}).items()
    ]


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
    budget_cost_micro_usd: Annotated[
        int | None,
        flag("--budget-cost-micro-usd", help="What all its attempts may cost from now on, in millionths of a dollar."),
    ] = None,
    budget_tokens: Annotated[int | None, flag("--budget-tokens", help="How many tokens they may use.")] = None,
    budget_attempts: Annotated[int | None, flag("--budget-attempts", help="How many attempts there may be.")] = None,
    no_budget: Annotated[bool, flag("--no-budget", help="Remove the limits of its budget.")] = False,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Change the weight, limit of open tasks or budget of a tenant. A running server applies it within a second.

    A limit of the budget counts from the first time that one is set; raise it to let more work run.
    """
    from swarmkeeper.core.errors import Invalid, ResourceNotFound
    from swarmkeeper.offline.offline_admin import TenantSettings

    limits = {"cost_micro_usd": budget_cost_micro_usd, "tokens": budget_tokens, "attempts": budget_attempts}
    budget = {name: most for name, most in limits.items() if most is not None}
    if weight is None and max_backlog is None and not (unbounded or budget or no_budget):
        raise CliError(
            "invalid",
            "nothing to change",
            exit_code=Exit.USAGE,
            fix="add --weight N, --max-backlog N or --budget-tokens N",
        )
    settings = running.on_disk(store, lost="")
    try:
        running.run(_set(settings, TenantSettings(tenant, weight, max_backlog, unbounded, budget, no_budget)))
    except Invalid as error:
        raise running.invalid(error) from None
    except ResourceNotFound as error:
        raise _not_found(error.detail) from None
    (row,) = [row for row in running.run(_list(settings)) if row["id"] == tenant]
    if as_json:
        terminal.say_json(row)
    else:
        terminal.say_table([row], COLUMNS)


@app.command()
def limit(
    tenant: Annotated[str, typer.Argument(help="The id of the tenant.")],
    key: Annotated[
        str, typer.Argument(help="What it limits: tenant, skill:NAME, or scope:NAME, as bots call their model.")
    ],
    most: Annotated[int | None, flag("--max", help="How many leases of a skill may run at once.")] = None,
    per_minute: Annotated[int | None, flag("--per-minute", help="How many leases a minute may have.")] = None,
    tokens_per_minute: Annotated[
        int | None, flag("--tokens-per-minute", help="How many tokens a minute may have; paid after their use.")
    ] = None,
    remove: Annotated[bool, flag("--remove", help="Remove the limit.")] = False,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Limit the work of a skill, a scope or the whole tenant. A running server applies it within a second."""
    from swarmkeeper.core.errors import Invalid, ResourceNotFound
    from swarmkeeper.offline.offline_admin import RateSettings

    given = not (most is None and per_minute is None and tokens_per_minute is None)
    if given == remove:
        fix = "add --max N, --per-minute N or --tokens-per-minute N, or else --remove"
        raise CliError("invalid", "either a number or --remove is needed", exit_code=Exit.USAGE, fix=fix)
    settings = running.on_disk(store, lost="")
    try:
        running.run(_limit(settings, RateSettings(tenant, key, most, per_minute, tokens_per_minute)))
    except Invalid as error:
        raise running.invalid(error) from None
    except ResourceNotFound as error:
        raise _not_found(error.detail) from None
    _say_limits(settings, tenant, as_json=as_json)


@app.command()
def limits(
    tenant: Annotated[str, typer.Argument(help="The id of the tenant.")],
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Show the limits of a tenant's skills, scopes and work as a whole."""
    _say_limits(running.on_disk(store, lost=""), tenant, as_json=as_json)


def _say_limits(settings: Settings, tenant: str, *, as_json: bool) -> None:
    rows = [{name: row[name] for name in LIMIT_COLUMNS} for row in running.run(_rates(settings, tenant))]
    if as_json:
        for row in rows:
            terminal.say_json(row)
    else:
        terminal.say_table(rows, LIMIT_COLUMNS)


async def _rates(settings: Settings, tenant: str) -> list[dict[str, Any]]:
    async with running.store_of(settings, reading=True) as store:
        return [{**row, "max": row["most"]} for row in await store.read("all_rates", {}) if row["tenant"] == tenant]


async def _limit(settings: Settings, wish: RateSettings) -> None:
    from swarmkeeper.offline import offline_admin

    async with running.store_of(settings) as store:
        await offline_admin.set_rate(store, wish, **running.administration())


def _not_found(detail: str) -> CliError:
    fix = "list the tenants with `swarmkeeper tenant list`"
    return CliError("not_found", detail, exit_code=Exit.NOT_FOUND, fix=fix)


async def _list(settings: Settings) -> list[dict[str, Any]]:
    async with running.store_of(settings, reading=True) as store:
        budgets = {row["id"]: {"budget": json.loads(row["budget"])} for row in await store.read("tenant_budgets", {})}
        return [{**row, **budgets.get(row["id"], {})} for row in await store.read("tenant_shares", {})]


async def _set(settings: Settings, wish: TenantSettings) -> None:
    from swarmkeeper.offline import offline_admin

    async with running.store_of(settings) as store:
        await offline_admin.set_tenant(store, wish, **running.administration())
