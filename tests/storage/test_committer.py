"""The commit thread finishes what it starts. Its use by a store is tested in test_files.py."""

import asyncio
import threading

import pytest

from swarmkeeper.storage.sqlite.committer import Committer


async def test_a_commit_is_awaited_although_its_caller_is_cancelled_repeatedly() -> None:
    committer = Committer()
    begun, go_on = threading.Event(), threading.Event()
    ended: list[str] = []

    def execute(statement: str) -> None:
        begun.set()
        assert go_on.wait(10)
        ended.append(statement)

    running = asyncio.create_task(committer.run(execute, "COMMIT"))
    await asyncio.to_thread(begun.wait, 10)
    for _ in range(3):
        running.cancel()
        await asyncio.sleep(0.001)
    assert not running.done()
    go_on.set()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended == ["COMMIT"]
    committer.close()


async def test_a_statements_error_is_raised_and_the_next_one_runs() -> None:
    committer = Committer()
    done: list[str] = []

    def fail(statement: str) -> None:
        raise OSError(f"no room for {statement}")

    with pytest.raises(OSError, match="no room for COMMIT"):
        await committer.run(fail, "COMMIT")
    await committer.run(done.append, "ROLLBACK")

    assert done == ["ROLLBACK"]
    committer.close()
