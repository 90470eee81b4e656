"""Every scenario runs at a small size, and describes its conditions."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from swarmkeeper.bench import machine, report
from swarmkeeper.bench.load_clients import LoadBots
from swarmkeeper.bench.registry import SCENARIOS
from swarmkeeper.bench.report import BenchReport, CannotMeasure, ScenarioOptions
from swarmkeeper.bench.scenarios.backlog import backlog
from swarmkeeper.bench.scenarios.fanout import fanout
from swarmkeeper.bench.scenarios.handoff import handoff
from swarmkeeper.bench.scenarios.heartbeats import heartbeats
from swarmkeeper.bench.scenarios.lifecycle import lifecycle
from swarmkeeper.bench.scenarios.memory import memory
from swarmkeeper.bench.server import BenchServer
from swarmkeeper.bench.swarm import expected, subtasks_of
from swarmkeeper.cli.tools import bench as command

SMALL: dict[str, Callable[[], Awaitable[BenchReport]]] = {
    "lifecycle": lambda: lifecycle(ScenarioOptions(tasks=4, subtasks=3, bots=2)),
    "handoff": lambda: handoff(ScenarioOptions(tasks=3)),
    "backlog": lambda: backlog(ScenarioOptions(tasks=240), times=2),
    "fanout": lambda: fanout(ScenarioOptions(tasks=8, bots=2, batch=3)),
    "heartbeats": lambda: heartbeats(ScenarioOptions(bots=4, subtasks=2), every=0.5, intervals=2),
    "memory": lambda: memory(ScenarioOptions(tasks=3, subtasks=2)),
}


@pytest.mark.usefixtures("forks")
@pytest.mark.parametrize("name", SMALL)
async def test_a_report_describes_the_conditions_of_its_figures(name: str) -> None:
    measured = await SMALL[name]()

    plain = json.loads(json.dumps(measured.as_json()))
    assert plain["version"] == report.VERSION
    assert plain["scenario"] == name
    assert plain["machine"]["fsync_per_second"] > 0
    assert plain["durability"] == {"store": "sqlite file", "journal_mode": "wal", "synchronous": "FULL"}
    assert all(size > 0 for size in plain["payload"].values())
    assert plain["figures"]
    assert "synchronous FULL" in "\n".join(measured.lines())


async def test_a_batch_size_can_be_chosen_and_the_usage_of_each_process_is_reported() -> None:
    measured = await lifecycle(ScenarioOptions(tasks=2, subtasks=2, bots=1, batch=3))

    assert measured.options.used() == {"tasks": 2, "subtasks": 2, "bots": 1, "batch": 3}
    parts = [measured.figures[f"{who}_cpu_ms_per_1000_subtasks"] or 0 for who in ("server", "bots", "client")]
    assert min(parts) > 0
    assert measured.figures["cpu_ms_per_1000_subtasks"] == pytest.approx(sum(parts))


@pytest.mark.usefixtures("forks")
async def test_a_measurement_whose_bots_fail_ends() -> None:
    async def kill_and_wait(server: BenchServer) -> None:
        async with LoadBots(server, subtasks=2, bots=1, batch=1) as crew, crew.watched():
            assert crew._process is not None
            crew._process.kill()
            await asyncio.sleep(30)

    async with BenchServer(None) as server:
        with pytest.raises(BaseExceptionGroup) as caught:
            await kill_and_wait(server)

    assert caught.group_contains(CannotMeasure, match="the bots failed")


def test_there_is_a_small_run_of_every_scenario_and_the_command_knows_them() -> None:
    assert list(SMALL) == list(SCENARIOS) == list(command._NAMES)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_a_plan_has_as_many_subtasks_as_asked_and_one_result(k: int) -> None:
    plan = subtasks_of("text", k)

    assert len(plan) == k
    needed = {key for subtask in plan for key in subtask.get("depends_on", ())}
    assert {subtask["key"] for subtask in plan} - needed == set(expected(0, k))


async def test_an_option_that_a_scenario_does_not_use_is_refused() -> None:
    with pytest.raises(CannotMeasure, match="does not use --batch"):
        await handoff(ScenarioOptions(batch=2))


async def test_an_existing_store_is_not_measured(tmp_path: Path) -> None:
    store = tmp_path / "mine.db"
    store.write_bytes(b"")

    with pytest.raises(CannotMeasure, match="the store exists already"):
        await handoff(ScenarioOptions(store=f"sqlite:///{store}"))


async def test_a_store_in_memory_is_not_measured() -> None:
    with pytest.raises(CannotMeasure, match="not durable"):
        await handoff(ScenarioOptions(store="sqlite://:memory:"))


@pytest.mark.usefixtures("forks")
async def test_a_store_named_by_the_user_is_kept(tmp_path: Path) -> None:
    store = tmp_path / "kept.db"

    await handoff(ScenarioOptions(tasks=1, store=f"sqlite:///{store}"))

    assert store.stat().st_size > 0


def test_a_sync_is_measured_and_leaves_nothing_behind(tmp_path: Path) -> None:
    took = machine.sync_times(tmp_path, 3)

    assert len(took) == 3
    assert min(took) > 0
    assert list(tmp_path.iterdir()) == []


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]

    assert report.percentile(values, 0.5) == 50
    assert report.percentile(values, 0.99) == 99
    assert report.percentile([7.0], 0.99) == 7
