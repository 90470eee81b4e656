"""Runs `lifecycle` against a server under cProfile and says where its time went: by room, then by function.

    python benchmarks/profile_server.py [--tasks 100 --bots 16 --batch 1 --top 40 --out FILE]

cProfile makes small functions look dearer than they are: read shares and call counts, not seconds.
"""

import argparse
import asyncio
import pstats
import tempfile
from collections import defaultdict
from pathlib import Path

from swarmkeeper.bench import lifecycle, server
from swarmkeeper.bench.report import Options

# The server runs the event loop on its main thread; SIGTERM ends it in order, and what was seen is written then.
PROGRAM = """
import cProfile, sys
profile = cProfile.Profile()
sys.argv[1:1] = ["serve"]
from swarmkeeper.cli.main import main
try:
    profile.runcall(main)
finally:
    profile.dump_stats({out!r})
"""


def room_of(file: str) -> str:
    parts = Path(file).parts
    if "swarmkeeper" in parts:
        after = parts[len(parts) - 1 - parts[::-1].index("swarmkeeper") + 1 :]
        return "/".join(after[:2]) if after[0] in ("storage", "core") and len(after) > 2 else after[0]
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1]
    return "built in" if file == "~" else "standard library"


def report(out: Path, commands: int, top: int) -> None:
    stats = pstats.Stats(str(out)).stats  # type: ignore[attr-defined]  # there since ever, and in no stub
    waiting = ("poll' of 'select", "_run_once", "run_until_complete", "select.epoll")
    rows = [(*key, *value[:4]) for key, value in stats.items() if not any(word in key[2] for word in waiting)]
    total = sum(row[5] for row in rows)
    rooms: defaultdict[str, float] = defaultdict(float)
    for file, _, _, _, _, own, _ in rows:
        rooms[room_of(file)] += own
    print(f"\n{total:.2f} s in all, {total / commands * 1e6:.0f} µs a subtask (with the profiler's own cost)\n")
    for room, own in sorted(rooms.items(), key=lambda one: -one[1])[:16]:
        print(f"{own:8.3f} s  {own / total:6.1%}  {room}")
    for title, column in (("own time", 5), ("with what it calls", 6)):
        print(f"\n{title}:")
        for row in sorted(rows, key=lambda row: -row[column])[:top]:
            file, line, name, _, calls, own, whole = row
            where = f"{'/'.join(Path(file).parts[-2:])}:{line}" if file != "~" else ""
            print(f"{own:8.3f} {whole:8.3f}  {calls / commands:8.2f} a subtask  {name}  {where}")


def main() -> None:
    asked = argparse.ArgumentParser()
    for name, default in (("tasks", 100), ("subtasks", 5), ("bots", 16), ("batch", 1), ("top", 40)):
        asked.add_argument(f"--{name}", type=int, default=default)
    asked.add_argument("--out", type=Path)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = given.out or Path(folder) / "server.prof"
        server._SERVE = ("-c", PROGRAM.format(out=str(out)))  # type: ignore[misc]  # this script alone runs it otherwise
        server.Server.__init__.__kwdefaults__["program"] = server._SERVE
        options = Options(tasks=given.tasks, subtasks=given.subtasks, bots=given.bots, batch=given.batch)
        print("\n".join(asyncio.run(lifecycle.lifecycle(options)).lines()))
        report(out, given.tasks * given.subtasks, given.top)


if __name__ == "__main__":
    main()
