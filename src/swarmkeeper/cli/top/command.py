"""`top`: watches a swarm in the terminal."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from swarmkeeper.cli.framework.connection import Connection, connected
from swarmkeeper.cli.framework.terminal import CliError, Exit
from swarmkeeper.cli.tasks.listing import line_of

if TYPE_CHECKING:
    from swarmkeeper.sdk.client import Client

Query = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[QUERY]...",
        help="Begin with the tasks of a query line, such as 'status:failed invoice'.",
        show_default=False,
    ),
]


@connected
def top(connection: Connection, query: Query = None) -> None:
    """Watch a swarm: what needs you, tasks, and each task. The keys are those of the dashboard; ? lists them."""
    line_of(query, q=None, status=None, outcome=None, label=None)
    if connection.as_json:
        detail = "this is for people; `swarmkeeper task list --json` is for programs"
        raise CliError("json", detail, exit_code=Exit.USAGE)
    if find_spec("textual") is None:
        fix = "pip install 'swarmkeeper[top]'"
        raise CliError("no_textual", "this needs the package textual, which the extra `top` installs", fix=fix)

    async def work(client: Client) -> None:
        from swarmkeeper.cli.top.app import TopApp
        from swarmkeeper.cli.top.following import BriskCalls

        client.calls = BriskCalls.like(client.calls)
        await TopApp(client, " ".join(query or ())).run_async()

    connection.call(work)
