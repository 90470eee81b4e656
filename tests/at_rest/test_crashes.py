"""The process dies at each commit of an erasure by key, before and after it: the tenant is erased whole, and once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from swarmkeeper.access.retention import Retention, RetentionPeriods
from swarmkeeper.core.erasure.commands import EraseTenant
from swarmkeeper.core.kills.commands import PlaceKill
from swarmkeeper.core.kills.records import KillKind
from swarmkeeper.core.model import Limits
from swarmkeeper.sim.harness import ADMIN
from swarmkeeper.sim.kernel.loop import SECOND
from tests.support.at_rest import bodies
from tests.support.machine import Death, Machine, When

LIMITS = replace(Limits(), slice_rows=3, four_eyes=False)


def erase(machine: Machine) -> str:
    asked: str = machine.do(EraseTenant(by=ADMIN, tenant="default", reason="request 17", until=machine.engine.now()))
    return asked


def look(machine: Machine) -> None:
    retention = Retention(
        machine.store,
        RetentionPeriods(),
        now=machine.engine.now,
        clock=machine.clock,
        do_all=machine.engine.do_all,
        log=lambda event, **fields: None,
    )
    machine.run(retention.look_for_erasures())
    machine.advance(5)


def story(folder: Path, *deaths: Death) -> tuple[Machine, int]:
    machine = Machine(folder, deaths=deaths, limits=LIMITS, bodies=bodies)
    task = machine.submit([{"key": key, "depends_on": []} for key in "ab"], evaluation="none")
    machine.drive(task)
    machine.do(PlaceKill(by=ADMIN, kind=KillKind.TENANT, name="default", reason="closed"))
    machine.loop.stall(60 * SECOND)  # in one step: each second would be simulated
    machine.advance(1)
    begun = machine.commit
    machine.insist(lambda: erase(machine))
    machine.insist(lambda: look(machine))
    machine.until(lambda: not machine.rows("SELECT id FROM task UNION ALL SELECT id FROM chore"), seconds=60)
    return machine, begun


@pytest.mark.parametrize("when", [When.BEFORE, When.AFTER])
def test_whenever_the_process_dies_the_tenant_is_erased_whole_and_once(tmp_path: Path, when: When) -> None:
    whole, begun = story(tmp_path / "whole")
    ended = whole.commit
    whole.close()
    assert ended - begun > 5, "its rows leave in slices"

    for commit in range(begun + 1, ended + 1):
        machine, _ = story(tmp_path / f"{when}-{commit}", Death(commit, when))
        assert machine.died, f"nothing died at commit {commit}"
        assert machine.row("SELECT count(*) AS n FROM payload")["n"] == 0
        assert machine.row("SELECT count(*) AS n FROM erased_key")["n"] == 1
        assert machine.row("SELECT count(*) AS n FROM audit_leaf WHERE action = 'tenant.erase'")["n"] == 1
        assert not machine.rows("SELECT id FROM erased_key JOIN data_key USING (id)"), "its key is gone"
        machine.close()
