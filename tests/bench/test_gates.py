"""Regression limits, as counts and ratios within one run. Seconds depend on the machine and are not checked."""

import subprocess
import sys

import pytest

from benchmarks import dashboards, trust_cost
from swarmkeeper.bench.report import Figure, ScenarioOptions
from swarmkeeper.bench.scenarios import lifecycle as lifecycle_scenario
from swarmkeeper.bench.scenarios.backlog import backlog
from swarmkeeper.bench.scenarios.fanout import fanout
from swarmkeeper.bench.scenarios.lifecycle import lifecycle
from tests.examples import exploring

BACKLOG = 100_000 if exploring() else 30_000  # against a hundredth of it; `make explore` has all
TASKS = 120
TRIES = 5  # other programs use the same processors, and what is done each second counts the more

pytestmark = pytest.mark.usefixtures("forks")


def number(figure: Figure) -> float:
    assert figure is not None, "this was measured"
    return figure


async def test_a_claim_costs_the_same_with_a_large_backlog() -> None:
    figures = (await backlog(ScenarioOptions(tasks=BACKLOG))).figures

    assert number(figures["steps"]) <= 1.05
    assert number(figures["calls"]) <= 1.05


async def test_commits_are_shared_and_batches_of_results_cost_less_than_single_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lifecycle_scenario, "ALONE", 5)  # tasks that are none of these figures
    figures = (await lifecycle(ScenarioOptions(tasks=TASKS))).figures

    def of(name: str) -> float:
        return number(figures[name])

    # Seven reports and a submission each; a bot alone on its server would make a commit of every one of them.
    assert of("single_commands_per_commit") >= 2
    assert of("single_calls_per_task") <= 12
    for batching in ("batched", "sdk"):  # the SDK batches by itself
        assert of(f"{batching}_calls_per_task") <= of("single_calls_per_task") / 3
        assert of(f"{batching}_commits_per_task") <= of("single_commits_per_task")
        cpu = "server_cpu_ms_per_1000_subtasks"
        assert of(f"{batching}_{cpu}") <= 0.8 * of(f"single_{cpu}")


async def test_one_large_task_costs_no_more_than_many_small_ones() -> None:
    figures = (await fanout(ScenarioOptions(tasks=400, bots=2, batch=20))).figures

    assert number(figures["total"]) <= 2


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("batch", "kept"), [(1, 0.9), (16, 0.9)])
async def test_with_a_sink_signing_and_policies_a_server_keeps_most_of_its_rate(batch: int, kept: float) -> None:
    """A record costs the same however many results a call has, and so more of what the calls of batches cost."""
    ratios = []
    for _ in range(TRIES):
        cost = await trust_cost.measure(tasks=40, rounds=5, batch=batch)
        assert cost.sent > 0, "the sink gets records"
        ratios.append(cost.ratio)
        if ratios[-1] <= 1 / kept:
            break
    print(f"processor time with all three against none: {ratios}, {cost}")
    assert min(ratios) <= 1 / kept, ratios


@pytest.mark.timeout(900)
async def test_ten_open_dashboards_use_little_of_a_processor_while_a_server_works() -> None:
    """A server at full speed uses one processor: the share is what they take from it, also on a busy machine."""
    shares = []
    for _ in range(2 * TRIES):  # the bound is close to what is measured
        cost = await dashboards.measure(tasks=40, rounds=5, number=10)
        assert cost.counts.messages >= 10 * 5, "the pages hear of changes"
        assert cost.counts.reads >= 10 * 5, "each page reads its list"
        shares.append(cost.share)
        if shares[-1] <= 0.02:
            break
    print(f"share of a processor: {shares}, {cost}")
    assert min(shares) <= 0.02, shares


def test_a_server_imports_nothing_that_only_other_commands_need() -> None:
    listed = "import sys, swarmkeeper.app, swarmkeeper.server; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", listed], capture_output=True, text=True, check=True)

    rooms = {".".join(name.split(".")[:2]) for name in ran.stdout.split() if name.startswith("swarmkeeper.")}
    assert rooms.isdisjoint(f"swarmkeeper.{room}" for room in ("bench", "bots", "cli", "offline", "sim", "testing"))
