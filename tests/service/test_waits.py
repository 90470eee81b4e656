"""A caller that waits for a task is woken only by the commit that it waits for."""

import pytest

from swarmkeeper.core.model import TaskRecord
from swarmkeeper.core.states import Outcome
from swarmkeeper.engine.task_waiters import TaskWaiters
from swarmkeeper.testing import records


def task(version: int, outcome: Outcome | None = None, name: str = "tsk_1") -> dict[str, TaskRecord]:
    return {name: records.task(id=name, version=version, outcome=outcome)}


async def test_a_wait_for_the_outcome_is_over_with_the_outcome_alone() -> None:
    waits = TaskWaiters()
    with waits.on("tsk_1", None) as wait:
        waits.committed(task(2))
        waits.committed(task(3, Outcome.ACCEPTED, "tsk_2"))
        early = wait.over.done()
        waits.committed(task(3, Outcome.ACCEPTED))
        waits.committed(task(4, Outcome.ACCEPTED))

        assert (early, wait.over.done()) == (False, True)


async def test_a_wait_for_a_change_is_over_with_a_version_that_is_not_known() -> None:
    waits = TaskWaiters()
    with waits.on("tsk_1", frozenset({2, 3})) as wait:
        waits.committed(task(3))
        early = wait.over.done()
        waits.committed(task(4))

        assert (early, wait.over.done()) == (False, True)


async def test_of_changed_tasks_those_are_awaited_that_end_a_wait() -> None:
    waits = TaskWaiters()
    with waits.on("tsk_1", None), waits.on("tsk_2", frozenset({2})):
        changed = ["tsk_1", "tsk_2", "tsk_3"]

        assert waits.awaited(changed, closed=set()) == ["tsk_2"]
        assert waits.awaited(changed, closed={"tsk_1", "tsk_3"}) == ["tsk_1", "tsk_2"]


@pytest.mark.parametrize("stops_first", [True, False])
async def test_when_the_orchestrator_stops_nobody_waits_any_longer(stops_first: bool) -> None:
    waits = TaskWaiters()
    if stops_first:
        waits.stop()
    with waits.on("tsk_1", None) as wait:
        waits.stop()

        assert wait.over.done()


async def test_whoever_no_longer_waits_is_forgotten() -> None:
    waits = TaskWaiters()
    with waits.on("tsk_1", None), waits.on("tsk_1", None) as second:
        pass
    waits.committed(task(2, Outcome.ACCEPTED))

    assert not second.over.done()
    assert waits._of == {}
