"""A program that plays an agent program by a script: it prints events, changes files, and misbehaves as told.

    python stand_in.py SCRIPT [WORD …]

SCRIPT is a file of JSON: a list of steps, each a list of a verb and its values. If it is an object, the steps are those
of the first name that is one of the words ("--resume"), else those of "".
"""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def tell(file: str) -> None:
    """Write down what this program got."""
    got = {
        "words": sys.argv[2:],
        "stdin": sys.stdin.buffer.read().decode(),
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "umask": oct(os.umask(0o77)),
    }
    Path(file).write_text(json.dumps(got), encoding="utf-8")


def hold(pipe: str, word: str = "up") -> None:
    """Say that this program runs, and hold the pipe open for ever."""
    held = os.open(pipe, os.O_WRONLY)
    os.write(held, word.encode())
    time.sleep(1000)


def fork(pipe: str) -> None:
    """Leave a process behind that left session and group, and ignores SIGTERM."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            hold(pipe)
        os._exit(0)


def write(path: str, text: str) -> None:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def flood(count: int, line: str = "x" * 1023) -> None:
    piece = (line + "\n").encode() * 1024
    for _ in range(count // len(piece) + 1):
        sys.stdout.buffer.write(piece)


VERBS = {
    "event": lambda event: print(json.dumps(event)),
    "text": print,
    "raw": lambda coded: sys.stdout.buffer.write(base64.b64decode(coded)),
    "stderr": lambda text: print(text, file=sys.stderr),
    "exit": os._exit,
    "tell": tell,
    "hold": hold,
    "fork": fork,
    "write": write,
    "mode": lambda path, mode: Path(path).chmod(mode),
    "flood": flood,
    "shell": lambda command: subprocess.run(["sh", "-ec", command], check=True, stdout=subprocess.DEVNULL),
    "ignore": lambda name: signal.signal(getattr(signal, name), signal.SIG_IGN),
    "close": os.close,
    "sleep": time.sleep,
    "show": lambda path: print(Path(path).read_text(encoding="utf-8")),
}


def main() -> None:
    script = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if isinstance(script, dict):
        script = script[next((name for name in script if name in sys.argv), "")]
    for verb, *values in script:
        VERBS[verb](*values)  # type: ignore[operator]  # each verb takes its own values
        if verb not in ("close", "exit") and not sys.stdout.closed:
            try:
                sys.stdout.flush()
            except OSError:
                sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end


if __name__ == "__main__":
    main()
