"""What the answer of a claim shows is read in the batch that grants it: after the batch's own writes where it must."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from swarmkeeper.core import lookups
from swarmkeeper.core.model import Edge, Work
from swarmkeeper.core.ports import Changes, Key
from swarmkeeper.core.states import Condition, Kind
from swarmkeeper.engine.batch import Batch
from swarmkeeper.testing import records


def new(work: str, kind: Kind, task: str = "tsk_1") -> Work:
    return records.work(id=work, key=work, kind=kind, task=task, version=0)


CHANGES = {
    "a plan was accepted": Changes(
        works={"sub_1": new("sub_1", Kind.EXECUTE), "sub_2": new("sub_2", Kind.EXECUTE)},
        edges=[Edge("tsk_1", "sub_1", "sub_2", Condition.SUCCESS)],
    ),
    "a review was added": Changes(works={"rev_1": new("rev_1", Kind.REVIEW)}),
    "a result was accepted": Changes(works={"sub_1": records.work(id="sub_1", version=3)}),
}


async def steps(changes: Changes, want: Key) -> list[str]:
    """Load one row for an answer while a batch has these changes; return what the store is asked to do."""
    done: list[str] = []

    class Store:
        async def save(self, changes: Changes) -> None:
            done.append("save")

        async def load(self, needs: Any) -> dict[Key, Any]:
            done.append("load")
            return dict.fromkeys(needs)

    working: Any = SimpleNamespace(
        rows={}, changes=changes, take_changes=lambda: changes, put_loaded=lambda found: None
    )
    transaction: Any = Store()
    scheduler: Any = None
    await Batch(transaction, working, scheduler, bytes)._load_saved([want])
    return done


@pytest.mark.parametrize(
    ("after", "want"),
    [
        ("a plan was accepted", (lookups.PARENTS, "sub_2")),
        ("a plan was accepted", (lookups.PLAN_ITEMS, "tsk_1")),
        ("a plan was accepted", (lookups.GRAPH, "tsk_1")),  # of which nothing is known
    ],
    ids=["what an item depends on", "items of the plan", "another list"],
)
async def test_lists_are_read_after_what_the_batch_adds_to_them(after: str, want: Key) -> None:
    assert await steps(CHANGES[after], want) == ["save", "load"]


@pytest.mark.parametrize(
    ("after", "want"),
    [
        ("a plan was accepted", (lookups.PARENTS, "sub_of_another_task")),
        ("a plan was accepted", (lookups.PLAN_ITEMS, "tsk_of_another")),
        ("a plan was accepted", (lookups.LIGHT_PAYLOAD, "pay_1")),
        ("a review was added", (lookups.PLAN_ITEMS, "tsk_1")),
        ("a result was accepted", (lookups.PLAN_ITEMS, "tsk_1")),
        ("a result was accepted", (lookups.PARENTS, "sub_2")),
    ],
)
async def test_nothing_is_written_first_for_what_the_batch_does_not_add_to(after: str, want: Key) -> None:
    assert await steps(CHANGES[after], want) == ["load"]
