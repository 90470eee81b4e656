"""`init`, `config explain`, `api`, `completion`, `version`: the small commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarmkeeper import __version__
from swarmkeeper.cli.framework import documents, flags, terminal
from swarmkeeper.cli.framework.connection import Connection, connected, sendable
from swarmkeeper.cli.framework.flags import AsJson, flag
from swarmkeeper.cli.framework.terminal import CliError, Exit
from swarmkeeper.devfolder import FILE
from swarmkeeper.files import write
from swarmkeeper.settings import BY_NAME, SETTINGS, BadSetting

if TYPE_CHECKING:
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.sdk.connection.calls import ApiResponse

config = typer.Typer(no_args_is_help=True, help="Settings: which value is used, and why.")

BOT_FILE = "wordcount_bot.py"
_BOT = '''"""A bot that counts words. Run it with `swarmkeeper bot run wordcount_bot.py`."""

from swarmkeeper import Done, ExecutorBot, SubTask, run


class WordCount(ExecutorBot):
    skills = {"text.count"}

    async def execute(self, subtask: SubTask) -> Done:
        return Done({"words": len(subtask.input["text"].split())})


if __name__ == "__main__":
    run(WordCount())
'''
_SECRET = "(set)"
WAIT_SECONDS_MAX = 60  # added for calls that wait on the server on purpose


def init(
    folder: Annotated[Path | None, typer.Argument(help="The directory. Default: the current directory.")] = None,
    as_json: AsJson = False,
) -> None:
    """Create a project: a settings file and a sample bot. Existing files are not changed."""
    place = folder or Path()
    files = {place / FILE: _sample_settings(), place / BOT_FILE: _BOT}
    there = [file.name for file in files if file.exists()]
    if there:
        raise CliError("exists", f"{' and '.join(there)} already exists; nothing was changed", exit_code=Exit.CONFLICT)
    try:
        place.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            write(file, text, mode=0o666)  # samples to edit and share: with the user's own permissions
    except OSError as error:
        raise CliError("folder", f"the directory cannot be written: {error.strerror}", exit_code=Exit.USAGE) from None
    if as_json:
        terminal.say_json({"files": [str(file) for file in files]})
        return
    for file in files:
        terminal.say(str(file))
    terminal.talk("next: `swarmkeeper dev` here, and in another terminal `swarmkeeper bot run wordcount_bot.py`;")
    terminal.talk(
        'then: swarmkeeper submit "Count" --skill text.count --input \'{"text": "to be"}\' --no-review --wait'
    )


def _sample_settings() -> str:
    lines = ["# Settings of swarmkeeper. Flags and SWARMKEEPER_<NAME> override them.", ""]
    for setting in SETTINGS:
        if not setting.secret:
            value = list(setting.default) if isinstance(setting.default, tuple) else setting.default
            lines += [f"# {setting.meaning}.", f"# {setting.name} = {json.dumps(value)}", ""]
    return "\n".join(lines)


@config.command()
def explain(
    key: Annotated[str | None, typer.Argument(help="A setting. By default, all settings.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the value of a setting and its source: flag, environment, .swarmkeeper/, swarmkeeper.toml or default."""
    found = flags.found()
    names = [key.replace("-", "_")] if key is not None else list(BY_NAME)
    for name in names:
        try:
            given = found.explain(name)
        except BadSetting as error:
            raise CliError("no_setting", str(error), exit_code=Exit.USAGE, fix="swarmkeeper config explain") from None
        setting = BY_NAME[name]
        if as_json:
            listed = [
                {"source": source.source, "place": source.place, "value": _shown_value(name, source.value)}
                for source in given
            ]
            row = {
                "name": name,
                "value": _shown_value(name, given[0].value),
                "source": given[0].source,
                "given": listed,
            }
            terminal.say_json(row | {"meaning": setting.meaning, "unit": setting.unit, "variable": setting.variable})
            continue
        unit = f" {setting.unit}" if setting.unit else ""
        terminal.say(f"{name} = {_shown_value(name, given[0].value)}{unit}   ({given[0].place})")
        if key is not None:
            terminal.say(f"  {setting.meaning}. Environment variable: {setting.variable}")
            for source in given[1:]:
                terminal.say(f"  overridden: {_shown_value(name, source.value)} ({source.place})")


def _shown_value(name: str, value: Any) -> str:
    if BY_NAME[name].secret and value:
        return _SECRET
    show = BY_NAME[name].show
    if show is not None:
        value = show(value)
    return terminal.shown(",".join(value) if isinstance(value, tuple) else str(value))


@connected
def api(
    connection: Connection,
    method: Annotated[str, typer.Argument(help="GET, POST, PATCH or DELETE.")],
    path: Annotated[str, typer.Argument(help="/tasks, /bots?page_size=5, …")],
    data: Annotated[str | None, flag("--data", help="A JSON body, @FILE, or @- for stdin.")] = None,
) -> None:
    """Make any call of the API, and print the body of the answer."""
    body = _data(data)
    if method.upper() not in ("GET", "POST", "PATCH", "DELETE"):
        raise CliError("method", "expected one of GET, POST, PATCH, DELETE", exit_code=Exit.USAGE)
    if not path.startswith("/"):
        raise CliError("path", "the path must begin with /", exit_code=Exit.USAGE)
    sendable(body)

    async def work(client: Client) -> ApiResponse:
        from swarmkeeper.sdk.connection import chance

        calls = client.calls
        keyed = {"idempotency-key": chance.token(calls.chance)} if method.upper() == "POST" else {}
        return await calls.call(method.upper(), path, body, headers=keyed, wait_seconds=WAIT_SECONDS_MAX, texts=True)

    from swarmkeeper.sdk.connection.calls import is_json

    answer = connection.call(work)
    if answer.body is not None and is_json(answer.headers):
        terminal.say_json(answer.body)
    elif answer.body:
        text = answer.body.removesuffix("\n")
        terminal.say(terminal.shown(text) if sys.stdout.isatty() else text)


def _data(text: str | None) -> Any:
    return None if text is None else documents.argument(text, what="--data")


def completion(shell: Annotated[str, typer.Argument(help="bash, zsh, fish, powershell or pwsh.")] = "bash") -> None:
    """Print the completion script for a shell: `swarmkeeper completion bash >> ~/.bashrc`."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # typer re-exports it unsaid

    if shell not in ("bash", "zsh", "fish", "powershell", "pwsh"):
        raise CliError("shell", "expected one of bash, zsh, fish, powershell, pwsh", exit_code=Exit.USAGE)
    terminal.say(get_completion_script(prog_name="swarmkeeper", complete_var="_SWARMKEEPER_COMPLETE", shell=shell))


def version(as_json: AsJson = False) -> None:
    """Print the version."""
    if as_json:
        terminal.say_json({"version": __version__})
    else:
        terminal.say(__version__)
