"""What encryption at rest costs: saves and loads of payloads, events and audit records, with and without a key.

    python -m benchmarks.at_rest [--rounds 300]

Each round saves one batch as an engine does that takes eight results of two kilobytes, and loads them again. The store
is in memory, so the disk hides nothing. The process's CPU time is measured, so a busy machine disturbs it little.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from dataclasses import replace

from swarmkeeper.core.model import UNPLACED, AuditLeaf, Event, Redacted
from swarmkeeper.core.ports import Changes
from swarmkeeper.secrets.sealing import KeyRing
from swarmkeeper.storage.at_rest.bodies import BodyCodec, bodies_under
from swarmkeeper.storage.sqlite.store import SqliteStore
from swarmkeeper.testing import records

RESULTS = 8
SAID = {"to": "SUCCEEDED", "from": "LEASED", "attempt": 1, "bot": "bot_1", "usage": {"tokens": 812}}
EVENT = Event("", 1, "default", None, 1, None, "work.succeeded", "bot_1", "aud_1", Redacted(SAID, ()))
LEAF = AuditLeaf(
    *("default", UNPLACED, "", None, "bot_1", "work.report", 1),
    *(b'{"v":1}', b"salt", b'{"events":["evt_1"],"payload":{"status":"succeeded"}}', bytes(32)),
)
BODY = b'{"text":"' + b"the tulip opens at seven " * 80 + b'"}'


def batch(number: int) -> Changes:
    changes = Changes()
    for place in range(RESULTS):
        name = f"wrk_{number}_{place}"
        task = records.task(id=f"tsk_{number}_{place}")
        changes.tasks[task.id] = task
        changes.payloads[f"{name}/result"] = (task.id, BODY)
        changes.events.append(replace(EVENT, id=f"evt_{number}_{place}", task=task.id))
        changes.leaves.append(replace(LEAF, id=f"aud_{number}_{place}", task=task.id))
    return changes


async def measure(bodies: BodyCodec, rounds: int) -> float:
    """Return the median microseconds of CPU time of a round."""
    store = SqliteStore(":memory:", keep_bytes=0, bodies=bodies)
    await store.open()
    took = []
    for number in range(rounds):
        changes = batch(number)
        begun = time.process_time()
        async with store.begin() as transaction:
            await transaction.save(changes)
        async with store.begin() as transaction:
            await transaction.load([("payload", name) for name in changes.payloads])
        took.append((time.process_time() - begun) * 1e6)
    await store.close()
    return statistics.median(took)


async def main(rounds: int) -> None:
    plain: list[float] = []
    encrypted: list[float] = []
    for _ in range(5):  # in turn, so that a busy machine disturbs both
        plain.append(await measure(BodyCodec(), rounds))
        encrypted.append(await measure(bodies_under(KeyRing([b"m" * 32], os.urandom), os.urandom), rounds))
    without, with_key = min(plain), min(encrypted)
    print(f"a batch of {RESULTS} results: {without:.0f} us of CPU time without a key, {with_key:.0f} us with one")
    bodies = 4 * RESULTS  # a payload is written and read, an event and a record are written
    print(f"ratio {with_key / without:.2f}; {(with_key - without) / bodies:.1f} us for each body")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    asyncio.run(main(parser.parse_args().rounds))
