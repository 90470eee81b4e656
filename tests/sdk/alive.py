"""Checks whether processes live: they hold a named pipe open, and its reader sees the end when all have died."""

import os
import sys
from pathlib import Path


class Alive:
    """A named pipe for processes to hold open for as long as they live."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "alive"
        os.mkfifo(self.path)
        self._readers = [os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)]  # so that writers do not wait

    def hears(self) -> str:
        """Wait until a process writes to the pipe, and return the text."""
        self._readers.append(os.open(self.path, os.O_RDONLY))  # waits for a writer
        return os.read(self._readers[-1], 100).decode()

    @staticmethod
    def opened(path: str) -> None:
        """Wait until a process holds it open."""
        os.close(os.open(path, os.O_RDONLY))

    def wait_until_dead(self) -> None:
        while os.read(self._readers[-1], 100):
            pass

    def nobody(self) -> bool:
        """Whether all processes have died by now."""
        os.set_blocking(self._readers[-1], False)
        try:
            while os.read(self._readers[-1], 100):
                pass
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        for each in self._readers:
            os.close(each)


# A grandchild that ignores SIGTERM, and one that left session and process group.
FAMILY = """
exec 9>{path}
(trap '' TERM; while :; do sleep 1000; done) &
{python} -c 'import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(9, b"up")
        time.sleep(1000)' &
wait
"""


def family(path: Path | str) -> str:
    """Return a command that starts processes which are hard to end, and writes `up` when they run."""
    return FAMILY.format(path=path, python=sys.executable)
