"""Runs in several processes, and their end on an interrupt."""

from __future__ import annotations

import math
import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import active_children

import pytest

from swarmkeeper.sim.pool import in_processes

LATE = 60


def test_results_of_several_processes_come_in_order() -> None:
    assert list(in_processes(math.sqrt, [float(n * n) for n in range(9)], jobs=2)) == [float(n) for n in range(9)]


def interrupt_the_parent(number: int) -> None:
    """Item 1 interrupts the parent while later items are running."""
    if number == 1:
        os.kill(os.getppid(), signal.SIGINT)
    elif number > 1:
        time.sleep(LATE)


def test_an_interrupt_ends_the_processes_silently_even_if_the_pool_notices_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Happens at times on a busy machine. A failing thread is an error of the test run."""
    shut_down = ProcessPoolExecutor.shutdown

    def late(pool: ProcessPoolExecutor, wait: bool = True, *, cancel_futures: bool = False) -> None:
        pool._executor_manager_thread.join(LATE)  # type: ignore[attr-defined]  # so that it sees the dead processes first
        shut_down(pool, wait=wait, cancel_futures=cancel_futures)

    monkeypatch.setattr(ProcessPoolExecutor, "shutdown", late)

    with pytest.raises(KeyboardInterrupt):
        list(in_processes(interrupt_the_parent, range(50), jobs=2))

    assert active_children() == []
