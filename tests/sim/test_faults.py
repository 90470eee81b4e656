"""Faults: each kind strikes somewhere and alone breaks nothing; chances are independent, sizes are within bounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from swarmkeeper.sim.kernel.faults import KINDS, Fault, Faults
from swarmkeeper.sim.kernel.loop import virtual_loop
from swarmkeeper.sim.kernel.named_choice import NamedChoice
from swarmkeeper.sim.kernel.trace import Trace
from swarmkeeper.sim.play.scenarios import SCENARIOS
from swarmkeeper.sim.run import Case, run

GOLDEN = SCENARIOS["golden"]
# With more decisions and more opportunities for faults than the default.
STORY = replace(
    GOLDEN,
    tasks_max=8,
    approvals={"none": 1, "final": 1, "plan": 1},
    quorums={"1/1": 1},
    planned_by_client=0,
    executors=replace(GOLDEN.executors, retryable=0.3),
    bounds=replace(GOLDEN.bounds, timeout_seconds=120, answer_seconds=300),
)


def some_faults(seed: int = 1, **options: object) -> Faults:
    return Faults(NamedChoice(seed), Trace(virtual_loop()), **options)  # type: ignore[arg-type]  # named by each test


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind_strikes_somewhere_and_alone_breaks_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    often = min(0.6, 30 * KINDS[kind])
    monkeypatch.setattr(Faults, "_drawn", lambda self, kinds: {kind: often})

    # Hints are for followers of the feed, which exist only over HTTP.
    level: Literal["core", "http"] = "http" if kind.startswith("broker.") else "core"
    outcome = run(Case(3, STORY, level=level))

    assert outcome.violation is None, outcome.violation
    assert {name.partition("@")[0] for name in outcome.faults} == {kind}
    assert outcome.reached[f"fault {kind}"] == len(outcome.faults)


def test_a_fault_is_drawn_from_its_name_and_from_nothing_else() -> None:
    alone, disturbed = some_faults(), some_faults()
    places = [f"client:submit.t{n}" for n in range(3_000)]
    for place in places:
        disturbed.strike("bot.crash", place)

    for place in places:
        alone.strike("net.delay", place)
        disturbed.strike("net.delay", place)

    assert alone.struck
    assert alone.struck == [name for name in disturbed.struck if name.startswith("net.delay")]


def test_each_seed_uses_some_kinds_at_its_own_strengths() -> None:
    drawn = [some_faults(seed)._chances for seed in range(20)]

    assert all(0 < len(chances) < len(KINDS) for chances in drawn)
    assert set().union(*drawn) == set(KINDS)
    assert all(KINDS[kind] / 4 <= chance <= 4 * KINDS[kind] for chances in drawn for kind, chance in chances.items())


def test_only_named_faults_strike_and_only_at_their_places() -> None:
    faults = some_faults(only=["net.delay@client:submit.t1#2"])

    struck = [faults.strike(kind, "client:submit.t1") for kind in ("net.delay", "net.reset") for _ in range(3)]

    assert [fault is not None for fault in struck] == [False, True, False, False, False, False]
    assert faults.struck == ["net.delay@client:submit.t1#2"]


def test_no_fault_strikes_after_healing() -> None:
    faults = some_faults(only=["net.delay@a:b#1"])
    faults.heal()

    assert faults.strike("net.delay", "a:b") is None


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"net\.teleport"):
        some_faults(kinds=["net.delay", "net.teleport"])


def test_amounts_are_between_a_tenth_and_three_times_their_base() -> None:
    sizes = [Fault(f"net.delay@a:b#{n}", NamedChoice(1)).amount(30) for n in range(500)]

    assert all(3 <= size <= 90 for size in sizes)
    assert min(sizes) < 5
    assert max(sizes) > 60
