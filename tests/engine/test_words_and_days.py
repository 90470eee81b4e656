"""What of words and costs only a store in a file shows: which bytes are left, and days that pass quickly."""

from __future__ import annotations

from swarmkeeper.core.tallies.records import DAY
from swarmkeeper.sim.harness import OPERATOR, Harness
from swarmkeeper.sim.kernel.loop import SECOND
from tests.engine.test_retention import look
from tests.engine.test_tallies import listed, queries, spend


def test_costs_are_summed_by_day(swarm: Harness) -> None:
    worker = swarm.bot("worker")
    first = swarm.engine.now() // DAY
    swarm.submit(["a"], evaluation="none")
    spend(swarm, worker, 3)
    swarm.loop.stall(24 * 3600 * SECOND)  # in one step: each second would be simulated
    swarm.advance(5)
    swarm.submit(["b"], evaluation="none")
    spend(swarm, worker, 4)

    days = swarm.run(queries(swarm).cost_sums.costs(OPERATOR, by="day", first=None, last=None))
    assert [row["tokens"] for row in days["items"]] == [3, 4]
    assert days["total"] == {"cost_micro_usd": 70, "tokens": 7, "unpriced_tokens": 0, "attempts": 2}
    assert swarm.engine.now() // DAY == first + 1


def test_the_words_of_an_erased_title_are_in_no_byte_of_the_index(swarm: Harness) -> None:
    worker = swarm.bot("worker")
    swarm.submit(["a"], evaluation="none", title="about the zebrafinch")
    kept = swarm.submit(["b"], title="about the sparrow")
    swarm.report(swarm.take(worker))
    assert b"zebrafinch" in bytes_of_words(swarm)
    swarm.advance(60)

    look(swarm, tasks=10)

    assert b"zebrafinch" not in bytes_of_words(swarm)
    assert b"sparrow" in bytes_of_words(swarm)
    assert listed(swarm, words="zebrafinch") == []
    assert listed(swarm, words="about") == [kept]


def bytes_of_words(swarm: Harness) -> bytes:
    return b"".join(row["block"] for row in swarm.rows("SELECT block FROM task_words_data"))


def test_letters_are_compared_without_case_and_accents(swarm: Harness) -> None:
    task = swarm.submit(["a"], title="Zähle die WÖRTER")

    assert listed(swarm, words="wörter ZAHLE") == [task]
