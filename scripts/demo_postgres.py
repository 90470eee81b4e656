"""Shows the demo on PostgreSQL: `make demo STORE=postgres`. The server comes from a package of the test requirements,
keeps its data in a temporary folder, and ends with the demo.

Further arguments are those of `swarmkeeper demo`.
"""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.postgres import PostgresServer


def main() -> int:
    server = PostgresServer(durable=True)
    try:
        command = [sys.executable, "-m", "swarmkeeper.cli", "demo", "--store", server.new_database(), *sys.argv[1:]]
        return subprocess.run(command, check=False).returncode
    finally:
        server.stop()
        print("this PostgreSQL, and its data, ended with the demo", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
