"""Whether tasks become dearer as the store grows: the same work at the beginning and behind thousands of finished
tasks, in one run.

    python benchmarks/growth.py [--tasks 5000 --few 200]
"""

import argparse
import asyncio

from swarmkeeper.bench.load_clients import LoadBots
from swarmkeeper.bench.report import Figure, shown
from swarmkeeper.bench.scenarios import lifecycle
from swarmkeeper.bench.server import BenchServer

CLIENTS = 8
TOLD = ("tasks_per_second", "server_cpu_ms_per_1000_subtasks", "cpu_ms_per_1000_subtasks", "commits_per_task")


async def measure(tasks: int, few: int) -> None:
    (way,) = (one for one in lifecycle.WAYS if one.name == "batched")
    async with BenchServer(None) as server:
        machine, durability = await server.describe()
        print(f"machine {machine}\ndurability {durability}")
        key = await server.key("client")
        async with LoadBots(server, subtasks=5, bots=way.bots, batch=way.batch) as crew, crew.watched():
            clients = [await server.connect(key) for _ in range(CLIENTS)]

            async def some(numbers: range) -> dict[str, Figure]:
                return await lifecycle.together(server, crew, clients, tasks=numbers, subtasks=5, submits=way.submits)

            await some(range(few))  # to warm up
            first = await some(range(few, 2 * few))
            await some(range(2 * few, tasks - few))
            last = await some(range(tasks - few, tasks))
    for name in TOLD:
        one, other = first[name], last[name]
        ratio = other / one if one and other is not None else None
        print(f"{name:34}{shown(one):>10}{shown(other):>10}{shown(ratio):>8}")


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--tasks", type=int, default=5000)
    asked.add_argument("--few", type=int, default=200)
    given = asked.parse_args()
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure(given.tasks, given.few))


if __name__ == "__main__":
    main()
