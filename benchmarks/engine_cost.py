"""What a subtask costs the engine alone: no HTTP, no bots outside; W(n, 5) straight into `Engine`, in processor time.

    python benchmarks/engine_cost.py [--tasks 40 --batch 8 --rounds 12 --whole --encrypted]

Neighbours on the same cores make everything slower for a while. So each of many short rounds is told in units of a
fixed piece of Python that runs before and after it (scaled to the milliseconds that this takes on a quiet core), and
the median is what counts. `--batch` is how many reports come at once, and so share a commit.
"""

import argparse
import asyncio
import base64
import functools
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from swarmkeeper.app import OWN, Orchestrator
from swarmkeeper.bench import machine
from swarmkeeper.core import ids
from swarmkeeper.core.answers import Replayed
from swarmkeeper.core.commands import ClaimWork, Register, ReportResult, Submit
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.model import SubtaskSpec, VerdictRecord
from swarmkeeper.core.states import Condition, Decision
from swarmkeeper.engine.batch import Batch
from swarmkeeper.engine.dispatcher import Dispatcher
from swarmkeeper.govern import audit
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.settings import Settings
from swarmkeeper.storage import library
from swarmkeeper.storage.sqlite.transaction import SqliteTransaction

NEEDS = {"a": "", "b": "", "c": "", "d": "abc", "e": "d"}
PLAN = tuple(
    SubtaskSpec(key, "", depends_on=tuple((one, Condition.SUCCESS) for one in needs)) for key, needs in NEEDS.items()
)
# The functions that are measured, and which other line includes them.
PARTS = (
    (SqliteTransaction, "load", ""),
    (SqliteTransaction, "levels", "in Dispatcher.run"),
    (SqliteTransaction, "queue_entries", "in Dispatcher.run"),
    (SqliteTransaction, "save", ""),
    (Batch, "_decide", ""),
    (Dispatcher, "run", "with its loads and saves"),
    (Dispatcher, "_decide", "in Dispatcher.run"),
    (Batch, "_finish", "with its loads and saves"),
    (audit, "append", "in Batch._finish"),
    (WorkingSet, "emit", "in deciding"),
    (Rulebook, "redact", "in deciding"),
    (ids, "timed", "in deciding"),
)
QUIET_MS = 8.0  # of the fixed piece, on the machine that the history was written on
spent: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])


def watched(name: str, function):  # type: ignore[no-untyped-def]  # any function, as it is
    clock = time.process_time_ns

    if asyncio.iscoroutinefunction(function):

        @functools.wraps(function)
        async def waiting(*args, **kwargs):  # type: ignore[no-untyped-def]  # any function, as it is
            began = clock()
            try:
                return await function(*args, **kwargs)
            finally:
                spent[name][0] += clock() - began
                spent[name][1] += 1

        return waiting

    @functools.wraps(function)
    def plain(*args, **kwargs):  # type: ignore[no-untyped-def]  # any function, as it is
        began = clock()
        try:
            return function(*args, **kwargs)
        finally:
            spent[name][0] += clock() - began
            spent[name][1] += 1

    return plain


def label(owner: object, name: str) -> str:
    return f"{getattr(owner, '__name__', '').rpartition('.')[2]}.{name}"


class Driver:
    def __init__(self, swarm: Orchestrator, batch: int) -> None:
        self.engine, self.batch = swarm.engine, batch
        self.bots: dict[str, str] = {}

    async def start(self) -> None:
        for kind in ("Planner", "Executor", "Evaluator"):
            command = Register(by=OWN, type=kind, version="1", name=kind, capacity=1000)
            registered = await self.engine.do(command)
            assert not isinstance(registered, Replayed), "without an idempotency key nothing is replayed"
            self.bots[kind], _ = registered

    async def round(self, tasks: int) -> None:
        spec = b'{"title":"hello","input":{"text":"a short text"}}'
        await self.engine.do_all([Submit(by=OWN, title=f"hello {number}", spec=spec) for number in range(tasks)])
        await self.work("Planner", plan=PLAN)
        await self.work("Executor", output=b'{"hash":"' + b"0" * 64 + b'"}')
        await self.work("Evaluator", verdict=VerdictRecord(Decision.ACCEPT, 1.0))

    async def work(self, kind: str, **result) -> None:  # type: ignore[no-untyped-def]  # one of a report's fields
        bot = self.bots[kind]
        claimed = await self.engine.claim(ClaimWork(by=OWN, bot=bot, most=self.batch), parks=False).answer
        leases = claimed.leases
        while leases:
            reports = [
                ReportResult(
                    by=OWN,
                    bot=bot,
                    task=None,
                    lease_id=lease.lease_id,
                    content=b"{}",
                    content_hash=lease.lease_id,
                    **result,
                )
                for lease in leases
            ]
            claim = ClaimWork(by=OWN, bot=bot, most=self.batch, claim_id=leases[0].lease_id)
            answers, claimed = await self.engine.report(reports, claim)
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
            leases = claimed.leases


async def measure(tasks: int, batch: int, rounds: int, parts: bool, encrypted: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        key = _master_key(Path(folder)) if encrypted else ""
        settings = Settings(store=f"sqlite:///{Path(folder) / 'engine.db'}", log_level="error", encryption_key=key)
        async with Orchestrator(settings) as swarm:
            driver = Driver(swarm, batch)
            await driver.start()
            took: defaultdict[str, list[float]] = defaultdict(list)
            counts: dict[str, float] = {}
            subtasks = tasks * len(PLAN)
            for _ in range(rounds):
                spent.clear()
                reference = machine.reference()
                before, began = swarm.engine.stats.batches, time.process_time_ns()
                await driver.round(tasks)
                whole = time.process_time_ns() - began
                scale = 2 * QUIET_MS / (reference + machine.reference()) / 1000 / subtasks
                took["all"].append(whole * scale)
                counts["commits"] = (swarm.engine.stats.batches - before) / subtasks
                for name, (nanoseconds, count) in spent.items():
                    took[name].append(nanoseconds * scale)
                    counts[name] = count / subtasks
    cost = statistics.median(took["all"])
    if not parts:
        print(f"batch {batch}: {cost:.0f} µs a subtask, {counts['commits']:.2f} commits a subtask", flush=True)
        return
    for owner, name, note in PARTS:
        one = label(owner, name)
        if one in took:
            cost = statistics.median(took[one])
            print(f"  {cost:7.1f} µs a subtask  {counts[one]:6.2f} calls a subtask  {one}  {note}")


def _master_key(folder: Path) -> str:
    file = folder / "master.key"
    file.write_text(base64.b64encode(bytes(32)).decode())
    file.chmod(0o600)
    return f"file:{file}"


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--tasks", type=int, default=40)
    asked.add_argument("--batch", type=int, action="append")
    asked.add_argument("--rounds", type=int, default=12)
    asked.add_argument("--whole", action="store_true", help="measure the whole alone, not its parts")
    asked.add_argument("--encrypted", action="store_true", help="encrypt bodies at rest")
    given = asked.parse_args()
    batches = given.batch or [1, 8, 50]
    library.tune()  # as a server does
    for batch in batches:
        asyncio.run(measure(given.tasks, batch, given.rounds, parts=False, encrypted=given.encrypted))
    if given.whole:
        return
    for owner, name, _ in PARTS:
        setattr(owner, name, watched(label(owner, name), getattr(owner, name)))
    for batch in batches:
        print(f"batch {batch}, each part with what it costs to be watched:")
        asyncio.run(measure(given.tasks, batch, given.rounds, parts=True, encrypted=given.encrypted))


if __name__ == "__main__":
    main()
