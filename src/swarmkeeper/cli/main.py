"""The entry point of the command line: prints the errors of commands. It loads nothing before it can handle an
interrupt; the commands, which take a while to load, are in commands.py.
"""

from __future__ import annotations

import sys

_INTERRUPTED = 130
# While a command loads, it keeps nearly all objects that it creates. With Python's threshold of 700, the garbage
# collector traverses them for a tenth of the time until the command begins.
_GC_THRESHOLD = 20_000
# The version of the distribution that holds this file. It works with one version of swarmkeeper-sdk, the same.
_VERSION = "0.4.0"


def main() -> None:
    try:
        _main()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    finally:
        _let_go_of_stderr()


def _let_go_of_stderr() -> None:
    """If stderr cannot be written, give it up: Python would end with 120 although the command has done its work."""
    import os

    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except (OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 2)
        os.close(nothing)


def _main() -> None:
    import gc
    import io

    from swarmkeeper import __version__

    if __version__ != _VERSION:
        sys.exit(
            f"swarmkeeper: swarmkeeper {_VERSION} and swarmkeeper-sdk {__version__} are installed together,"
            f" and must be the same version. Install swarmkeeper-sdk {_VERSION}."
        )
    gc.set_threshold(_GC_THRESHOLD)
    from swarmkeeper.cli.commands import command_line
    from swarmkeeper.cli.framework.terminal import CliError, Exit

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Text that the terminal's encoding cannot show must not fail a command that has done its work.
            stream.reconfigure(errors="backslashreplace")
    try:
        command_line(*sys.argv[1:2])(obj=command_line)  # for a command that asks for all others
    except CliError as failure:
        failure.report()
        sys.exit(int(failure.exit_code))
    except BrokenPipeError:
        sys.exit(int(Exit.OK))
