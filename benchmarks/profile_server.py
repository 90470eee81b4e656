"""Runs `lifecycle` against a server that looks where it is each millisecond of its processor time, and says where that
went: by room, by function with all that it calls, by function alone.

    python benchmarks/profile_server.py [--tasks 200 --bots 16 --batch 1 --top 40]

Time in C (SQLite, msgspec, system calls) is told of the Python function that called it. Shares are what counts: they
hold on a busy machine too.
"""

import argparse
import asyncio
import json
import tempfile
from collections import Counter
from pathlib import Path

from swarmkeeper.bench import server
from swarmkeeper.bench.report import ScenarioOptions
from swarmkeeper.bench.scenarios import lifecycle

# ITIMER_PROF counts processor time, not waiting. The handler runs on the main thread, as the event loop does.
PROGRAM = """
import collections, json, signal, sys
seen = collections.Counter()
def look(number, frame):
    stack = []
    while frame is not None:
        code = frame.f_code
        stack.append((code.co_filename, code.co_firstlineno, code.co_name))
        frame = frame.f_back
    seen[tuple(stack)] += 1
sys.argv[1:1] = ["serve"]
from swarmkeeper.cli.main import main
signal.signal(signal.SIGPROF, look)
signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
try:
    main()
finally:
    signal.setitimer(signal.ITIMER_PROF, 0)
    with open({out!r}, "w") as file:
        json.dump(list(seen.items()), file)
"""
_STARTING = ("_find_and_load", "_serve")

Place = tuple[str, int, str]  # file, first line, name


def room_of(file: str) -> str:
    parts = Path(file).parts
    if "swarmkeeper" in parts:
        after = parts[len(parts) - parts[::-1].index("swarmkeeper") :]
        return "/".join(after[:2]) if after[0] in ("storage", "core") and len(after) > 2 else after[0]
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1]
    return "standard library"


def report(out: Path, top: int) -> None:
    stacks = [(tuple(map(tuple, stack)), count) for stack, count in json.loads(out.read_text())]
    stacks = [(stack, count) for stack, count in stacks if not any(place[2] in _STARTING for place in stack[:-8])]
    total = sum(count for _, count in stacks)
    rooms: Counter[str] = Counter()
    alone: Counter[Place] = Counter()
    whole: Counter[Place] = Counter()
    for stack, count in stacks:
        rooms[room_of(stack[0][0])] += count
        alone[stack[0]] += count
        whole.update(dict.fromkeys(stack, count))
    print(f"\n{total} looks\n\nby room:")
    for room, count in rooms.most_common(20):
        print(f"  {count / total:6.1%}  {room}")
    for title, counts in (("with what it calls", whole), ("alone", alone)):
        print(f"\n{title}:")
        for (file, line, name), count in counts.most_common(top):
            print(f"  {count / total:6.1%}  {name}  {'/'.join(Path(file).parts[-2:])}:{line}")


def main() -> None:
    asked = argparse.ArgumentParser()
    for name, default in (("tasks", 200), ("subtasks", 5), ("bots", 16), ("batch", 1), ("top", 40)):
        asked.add_argument(f"--{name}", type=int, default=default)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "stacks.json"
        server.BenchServer.program = ("-c", PROGRAM.format(out=str(out)))
        options = ScenarioOptions(tasks=given.tasks, subtasks=given.subtasks, bots=given.bots, batch=given.batch)
        print("\n".join(asyncio.run(lifecycle.lifecycle(options)).lines()))
        report(out, given.top)


if __name__ == "__main__":
    main()
