"""The flags and arguments that several commands share. Each flag can also be set as SWARMKEEPER_<NAME>.

For flags that are settings, settings.py reads the environment, because it knows the order of all sources.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from swarmkeeper.cli.framework.terminal import CliError, Exit, output_format
from swarmkeeper.settings import BY_NAME, PREFIX, BadSetting, Found, read


def flag(*names: str, help: str, **more: Any) -> Any:  # noqa: A002 - typer's word
    """Return a typer option with its environment variable."""
    long = next(name for name in names if name.startswith("--")).split("/")[0]
    variable = PREFIX + long.removeprefix("--").replace("-", "_").upper()
    return typer.Option(*names, envvar=variable, show_envvar=False, show_default=False, help=help, **more)


def setting(name: str, **more: Any) -> Any:
    """Return a typer option for a setting; settings.py has its default and meaning."""
    setting = BY_NAME[name]
    default = "" if setting.default in ("", (), False) else f" [default: {setting.default}]"
    option = f"--{name.replace('_', '-')}"
    return typer.Option(option, show_default=False, help=f"{setting.meaning}.{default}", **more)


def _seconds(value: float | None) -> float | None:
    # Not typer's `min`, which accepts NaN.
    if value is not None and not 0 <= value < math.inf:
        raise typer.BadParameter("expected a number of seconds of at least 0")
    return value


def seconds(*names: str, help: str) -> Any:  # noqa: A002 - typer's word
    """Return a typer option for a duration in seconds, of at least 0."""
    return flag(*names, help=help, callback=_seconds)


def _be_json(value: bool) -> bool:
    output_format.as_json = output_format.as_json or value
    return value


AsJson = Annotated[bool, flag("--json", help="Print JSON, one value per line.", callback=_be_json)]
TaskId = Annotated[str, typer.Argument(metavar="TASK_ID", help="tsk_…")]
Store = Annotated[str | None, setting("store", metavar="URL")]


def found(**flags: Any) -> Found:
    """Return the settings in force with these flags.

    Raises:
        CliError: one of them is not valid.
    """
    try:
        return read(flags)
    except BadSetting as error:
        raise CliError("bad_setting", str(error), exit_code=Exit.USAGE, fix="swarmkeeper config explain") from None
