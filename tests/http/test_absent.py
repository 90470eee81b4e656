"""What belongs to another tenant costs as much work as what is not there, so that no time tells them apart.

Work is counted, not timed: each call of a function, in Python or in C, while a request is answered. So a busy machine
changes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from statistics import median
from typing import Any, Self

import pytest

from tests.examples import exploring
from tests.http.conftest import Caller
from tests.http.test_authorisation import LABELS, LEASE, NEEDS, OTHER, TENANT, World, absent, told
from tests.http.town import town

PAIRS = 25 if exploring() else 5  # the work is the same each time, except for what falls into a call by chance
RATIO_MAX = 1.25
OF_ONE = [label for label in LABELS if any(name in label for name in ("_id}", "{subtask}"))]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with town(four_eyes=False) as place:
        yield World(place)


class Work:
    """Counts calls of functions while it is entered."""

    def __init__(self) -> None:
        self.number = 0

    def __enter__(self) -> Self:
        sys.setprofile(self._seen)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _seen(self, frame: object, event: str, value: object) -> None:
        if event in ("call", "c_call"):
            self.number += 1


@pytest.mark.parametrize("label", OF_ONE)
def test_another_tenants_takes_as_much_work_as_what_is_not_there(world: World, label: str) -> None:
    caller = world.caller("admin", TENANT)
    own, other = world.made(label, TENANT), world.made(label, OTHER)
    method, _, path = label.partition(" ")
    needs = NEEDS[label].body

    def asked(ids: dict[str, str]) -> tuple[int, Any]:
        filled = path
        for name, id_ in {**ids, "{name}": "n"}.items():
            filled = filled.replace(name, id_)
        known = {"$bot": own.get("{bot_id}"), "$lease": ids.get(LEASE)}
        body = {key: known.get(each, each) if isinstance(each, str) else each for key, each in (needs or {}).items()}
        with Work() as work:
            answer = world.town.run(_call(caller, method, filled, body if needs is not None else None))
        return work.number, (answer.status, told(answer))

    asked(other), asked(absent(own))  # the first calls fill caches
    pairs = [(asked(other), asked(absent(own))) for _ in range(PAIRS)]

    assert all(foreign[1] == missing[1] for foreign, missing in pairs)
    foreign, missing = (median(pair[side][0] for pair in pairs) for side in (0, 1))
    assert max(foreign, missing) <= RATIO_MAX * min(foreign, missing), f"{foreign} calls, and {missing} for none"


def _call(caller: Caller, method: str, path: str, body: Any) -> Any:
    return caller.call(method, path, body)
