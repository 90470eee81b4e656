"""Keeps one process for as long as somebody holds its standard input: `python process_keeper.py COMMAND…`.

It prints the process id of the command. When its standard input ends, because its user closed it or was killed, it
kills the command, as a crash would.
"""

import signal
import subprocess
import sys


def main(command: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=sys.stderr)
    print(process.pid, flush=True)
    try:
        sys.stdin.buffer.read()
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
