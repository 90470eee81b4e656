"""Operations on many tasks in the simulator: a server that dies between acting and noting it does nothing twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from swarmkeeper.access.operations.running import Operations
from swarmkeeper.sim.run import Case, run
from tests.sim.bugs import CATCH_BULK

# In this commit an operation of this seed retries tasks: the server dies after it, and the next one goes on.
FAULTS = ("store.crash_after@commit:task.retried_to_review.t4#1",)
CASE = Case(3, replace(CATCH_BULK, hours=0.3, heal_hours=2), level="http", faults=FAULTS)

pytestmark = pytest.mark.timeout(600)


def test_an_operation_whose_server_died_goes_on_and_does_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: Counter[str] = Counter()
    right = Operations._items

    async def items(self: Operations, operation: str) -> Any:
        taken[operation] += 1
        return await right(self, operation)

    monkeypatch.setattr(Operations, "_items", items)

    outcome = run(CASE)

    assert (outcome.violation, outcome.faults, outcome.boots) == (None, FAULTS, 2)
    assert max(taken.values()) == 2, "the second server has gone on with it"


def test_an_operation_that_nobody_carries_out_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(self: Operations) -> None:
        self._woken.clear()

    monkeypatch.setattr(Operations, "_look", look)

    violation = run(replace(CASE, scenario=replace(CASE.scenario, heal_hours=0.5), faults=())).violation

    assert violation is not None
    assert violation.invariant == "7.operation"


def test_level_core_has_no_operations() -> None:
    with pytest.raises(ValueError, match="level http"):
        run(Case(1, CATCH_BULK))
