"""A faulty orchestrator that acknowledges what is not durable: it commits to a private copy of the store.

Run it as `python -m tests.sim.forgetful_server serve --store sqlite:///… …`, with the real command line.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from swarmkeeper.cli.main import main

PREFIX = "sqlite:///"

if __name__ == "__main__":
    place = sys.argv.index("--store") + 1
    store = Path(sys.argv[place].removeprefix(PREFIX))
    copy = store.with_name(f"only-in-memory-{os.getpid()}.db")
    for ending in ("", "-wal"):
        if (part := Path(f"{store}{ending}")).exists():
            shutil.copy(part, f"{copy}{ending}")
    sys.argv[place] = f"{PREFIX}{copy}"
    main()
