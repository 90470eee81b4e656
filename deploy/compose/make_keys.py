"""Makes a key for each bot of compose.yaml and one for Prometheus, with the first key. What is there already is kept.

Usage: make_keys.py FOLDER NAME=ROLE…
"""

import sys
from pathlib import Path

from swarmkeeper import sync


def main(folder: Path, wanted: dict[str, str]) -> None:
    folder.chmod(0o750)  # Prometheus runs as another user, and has this user's group
    with sync.Client() as client:
        for name, role in wanted.items():
            file = folder / f"{name}.key"
            if file.exists():
                continue
            made = client.create_key(role, bot=name if role.startswith("bot:") else None)
            # Renamed once it is whole: a start that is cut off makes another key the next time.
            half = folder / f".{name}"
            half.touch(mode=0o640)
            half.chmod(0o640)
            half.write_text(f"{made.key}\n", encoding="utf-8")
            half.replace(file)
            print(f"made {file.name}, role {role}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), dict(word.split("=", 1) for word in sys.argv[2:]))
