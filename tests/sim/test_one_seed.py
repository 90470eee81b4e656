"""One seed gives one run, in any process and under any hash seed; another seed gives another."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.sim.kernel.chance import SeededChance

STORY = """
import sys
from swarmkeeper.sim.harness import Harness

swarm = Harness(seed=int(sys.argv[1]))
tasks = [
    swarm.submit(["a", "b", {"key": "c", "depends_on": ["a", "b"]}], evaluation="each", quorum=(2, 3)),
    swarm.submit(deadline_seconds=3600),
]
workers = [swarm.bot(f"worker-{n}", capacity=2, owner=f"owner-{n}") for n in range(3)]
polls = [swarm.park(worker, max_leases=2) for worker in workers]
for number, poll in enumerate(polls):
    for lease in poll.leases if not poll.waits else ():
        swarm.report(lease, error="retryable") if number else swarm.beat(lease)
swarm.advance(100)
swarm.restart()
for task in tasks:
    swarm.drive(task)
swarm.check()
print(swarm.dump(), swarm.loop.steps, swarm.now)
"""


@cache
def outputs(seed: int, hash_seed: int) -> str:
    done = subprocess.run(
        [sys.executable, "-c", STORY, str(seed)],
        env={"PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_one_seed_gives_one_run_in_every_process() -> None:
    runs = {outputs(7, hash_seed) for hash_seed in (0, 1, 12345)}

    assert len(runs) == 1


def test_another_seed_gives_another_run() -> None:
    assert outputs(7, 0) != outputs(8, 0)


@given(st.integers(), st.text(max_size=5), st.text(max_size=5))
def test_each_purpose_has_its_own_stream(seed: int, purpose: str, other: str) -> None:
    alone = [SeededChance(seed).stream(purpose).seed() for _ in range(1)]
    chance = SeededChance(seed)
    disturbed = chance.stream(other)
    for _ in range(5):
        disturbed.seed()

    assert chance.stream(purpose).seed() == alone[0]
    assert (purpose == other) or SeededChance(seed).stream(purpose).seed() != SeededChance(seed).stream(other).seed()


def test_draws_have_the_requested_size_and_do_not_repeat() -> None:
    chance = SeededChance(1)

    assert [len(chance.secret(size)) for size in (0, 1, 16, 64, 65, 200)] == [0, 1, 16, 64, 65, 200]
    assert len({chance.seed() for _ in range(1_000)}) == 1_000
    assert all(0 <= chance.fraction() < 1 for _ in range(1_000))
    assert {chance.below(3) for _ in range(100)} == {0, 1, 2}
