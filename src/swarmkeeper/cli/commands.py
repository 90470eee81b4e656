"""The list of commands. main.py starts them and prints their errors."""

from __future__ import annotations

from copy import copy
from functools import cache
from typing import Any

import typer
from typer.models import CommandInfo

from swarmkeeper.cli import published
from swarmkeeper.cli.admin import audit, backup, hold, key, size, store, tenant
from swarmkeeper.cli.at_rest import encryption, pepper
from swarmkeeper.cli.bots import bot
from swarmkeeper.cli.erasure import erase
from swarmkeeper.cli.kills import kill
from swarmkeeper.cli.persons import person
from swarmkeeper.cli.policies import policy
from swarmkeeper.cli.secrets import secret
from swarmkeeper.cli.serving import demo, dev, run, server
from swarmkeeper.cli.tasks import approval, bulk, message, task
from swarmkeeper.cli.tools import bench, calibrate, docs, identity, project, redact, simulate, sinks, swarm
from swarmkeeper.cli.top import command as top_command

app = typer.Typer(
    name="swarmkeeper",
    help="A control plane for swarms of AI bots.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: loading rich takes longer than everything else together
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo.demo)
app.command()(run.run)
app.command()(dev.dev)
app.command()(server.serve)
app.command()(project.init)
app.command()(task.submit)
app.command()(top_command.top)
task.app.command()(bulk.bulk)
task.app.command()(message.message)
task.app.command()(message.messages)
app.add_typer(task.app, name="task")
app.add_typer(bot.app, name="bot")
app.add_typer(key.app, name="key")
app.add_typer(person.app, name="person")
app.add_typer(secret.app, name="secret")
app.add_typer(approval.app, name="approval")
app.add_typer(audit.app, name="audit")
audit.app.command("key")(published.key)
audit.app.command()(published.prove)
audit.app.command()(published.export)
audit.app.command()(published.witness)
app.add_typer(tenant.app, name="tenant")
tenant.app.command("erase")(erase.erase_tenant)
app.add_typer(hold.app, name="hold")
app.command()(erase.erase)
app.add_typer(kill.app, name="kill")
app.add_typer(size.app, name="store")
size.app.command()(encryption.encrypt)
size.app.command("rotate-key")(encryption.rotate_key)
size.app.command("move-pepper")(pepper.move_pepper)
app.command()(store.doctor)
app.command()(store.migrate)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(simulate.simulate)
app.command()(calibrate.calibrate)
app.command()(bench.bench)
app.add_typer(project.config, name="config")
app.add_typer(redact.redact, name="redact")
app.add_typer(identity.app, name="identity")
app.add_typer(sinks.app, name="sinks")
app.add_typer(policy.app, name="policy")
app.add_typer(swarm.swarm, name="swarm")
app.command()(project.api)
app.command()(project.completion)
app.command()(docs.docs)
app.command()(project.version)


@cache
def command_line(word: str = "") -> Any:
    """Return the command line; if its first word is known, only what this word names.

    To make all of it takes longer than most commands do.
    """
    part = copy(app)
    part.registered_commands = [each for each in app.registered_commands if _name_of(each) == word]
    part.registered_groups = [each for each in app.registered_groups if each.name == word]
    if part.registered_commands or part.registered_groups:
        return typer.main.get_group(part)
    return typer.main.get_command(app)  # also for help, for a word that is not known, and to complete one


def _name_of(command: CommandInfo) -> str:
    assert command.callback is not None, "each command is a function"
    return command.name or typer.main.get_command_name(command.callback.__name__)
