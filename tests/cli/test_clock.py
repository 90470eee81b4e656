"""A server that once started with a clock 400 days ahead: what it reports, that keys still work, how to repair it."""

import asyncio
from pathlib import Path
from typing import Any

from swarmkeeper.app import Orchestrator
from swarmkeeper.cli.framework.terminal import Exit
from swarmkeeper.clock import SystemClock
from swarmkeeper.settings import Settings
from tests.cli.shell import Said, Shell

STORE = "sqlite:///a.db"
DAY = 86_400
FAR = 400 * DAY


class Ahead(SystemClock):
    def now(self) -> int:
        return super().now() + FAR * 1_000_000


def settings(folder: Path) -> Settings:
    return Settings(store=f"sqlite:///{folder / 'a.db'}", log_level="error")


async def one_task(folder: Path, clock: SystemClock | None = None) -> str:
    async with Orchestrator(settings(folder), clock=clock) as swarm:
        return (
            await swarm.client().submit("a task", subtasks=[{"key": "a", "description": "a"}], deadline_seconds=3600)
        ).id


async def clock_state(folder: Path, key: str) -> tuple[dict[str, Any], str, float]:
    """Return the server's readiness, its metrics, and the time of a new event."""
    async with Orchestrator(settings(folder)) as swarm:
        client = swarm.client(key)
        ready = (await client.call("GET", "/readyz", query={"verbose": "true"})).body
        task = await client.submit("now")
        figures = swarm._metrics.text()[0].decode()
        return ready, figures, task.created_at.timestamp()


def test_a_clock_that_was_once_ahead_is_reported_and_does_no_lasting_harm(shell: Shell) -> None:
    asyncio.run(one_task(shell.folder, Ahead()))
    key = shell("key", "create", "--role", "admin", "--expires-days", "1", "--store", STORE).out.strip()

    ready, figures, _ = asyncio.run(clock_state(shell.folder, key))
    examined = shell("doctor", "--store", STORE)

    assert ready["status"] == "ok"
    assert FAR - 60 < ready["clock_ahead_seconds"] < FAR + 60
    assert "swarmkeeper doctor --reset-clock" in ready["warnings"][0]
    assert any(line.startswith("swarmkeeper_clock_ahead_seconds 3.4") for line in figures.splitlines())
    assert examined.code == 11
    assert "the store's time agrees with the wall clock" in examined.out

    reset = shell("doctor", "--reset-clock", "--store", STORE, "--json")
    again = shell("doctor", "--reset-clock", "--store", STORE, "--json")
    ready, figures, created = asyncio.run(clock_state(shell.folder, key))

    assert reset.json["reset"]
    assert FAR - 60 < reset.json["ahead_seconds"] < FAR + 60
    assert again.json == {"reset": False, "ahead_seconds": 0.0}
    assert (abs(ready["clock_ahead_seconds"]) < 5, ready["warnings"]) == (True, [])
    assert abs(created * 1_000_000 - SystemClock().now()) < 600_000_000
    assert shell("doctor", "--deep", "--store", STORE).code == 0
    assert shell("audit", "verify", STORE).code == 0


def test_reset_clock_is_refused_while_a_server_runs(shell: Shell) -> None:
    asyncio.run(one_task(shell.folder, Ahead()))

    async def beside() -> Said:
        async with Orchestrator(settings(shell.folder)):
            return await asyncio.to_thread(shell, "doctor", "--reset-clock", "--store", STORE)

    refused = asyncio.run(beside())

    assert refused.code == Exit.CONFLICT
    assert "store_held" in refused.err
