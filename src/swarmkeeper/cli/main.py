"""The entry point of the command line: prints the errors of commands. It loads nothing before it can handle an
interrupt; the commands, which take a while to load, are in commands.py.
"""

from __future__ import annotations

import sys

_INTERRUPTED = 130


def main() -> None:
    try:
        _main()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _main() -> None:
    import io

    from swarmkeeper.cli.commands import app
    from swarmkeeper.cli.framework.terminal import Exit, Failure

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Text that the terminal's encoding cannot show must not fail a command that has done its work.
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except Failure as failure:
        failure.report()
        sys.exit(int(failure.exit_code))
    except BrokenPipeError:
        sys.exit(int(Exit.OK))
