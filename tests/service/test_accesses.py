"""What is counted of refusals and reads, and how seldom it is written."""

from collections.abc import Sequence
from typing import Any

import pytest

from swarmkeeper.access.accesses import KINDS_MAX, MINUTE, OTHERS, READS_AT_ONCE, SECOND, Accesses
from swarmkeeper.core.commands import Command, NoteKeyUses, NoteReads, NoteRefusals
from swarmkeeper.core.errors import RateLimited
from swarmkeeper.core.model import Principal

ONE, TWO = Principal("acme", "key_1", "client"), Principal("other", "key_2", "client")


class Written:
    def __init__(self) -> None:
        self.at = 0
        self.accesses = Accesses(lambda: self.at, lambda: self.at + 7)
        self.commands: list[Command[Any]] = []
        self.fails = False

    async def _do_all(self, commands: Sequence[Command[Any]]) -> list[Any]:
        if self.fails:
            return [RateLimited("not now") for _ in commands]
        self.commands += commands
        return [None for _ in commands]

    async def refusals(self) -> list[tuple[str, str, int]]:
        """Write what is due; return key or source, code and count of each record."""
        return [
            (command.source or command.by.key_id, command.code, command.count)
            for command in await self._due()
            if isinstance(command, NoteRefusals)
        ]

    async def reads(self, *, at_once: bool = False) -> list[tuple[str, str, str | None, int]]:
        return [
            (command.by.key_id, command.action, command.task, command.count)
            for command in await self._due(at_once=at_once)
            if isinstance(command, NoteReads)
        ]

    async def _due(self, *, at_once: bool = False) -> list[Command[Any]]:
        self.commands = []
        await self.accesses.write(self._do_all, at_once=at_once)
        return self.commands


@pytest.fixture
def written() -> Written:
    return Written()


async def test_ten_refusals_of_two_kinds_are_two_records_with_counts(written: Written) -> None:
    for _ in range(5):
        written.accesses.refused(ONE, "permission_denied", "GET /keys")
        written.accesses.refused(ONE, "not_found", "GET /tasks/{task_id:id}")

    assert await written.refusals() == [("key_1", "permission_denied", 5), ("key_1", "not_found", 5)]


async def test_refusals_are_written_once_a_minute_for_each_key_and_code(written: Written) -> None:
    for _ in range(3):
        written.accesses.refused(ONE, "permission_denied", "GET /keys")
    written.accesses.refused(TWO, "permission_denied", "GET /keys")

    assert await written.refusals() == [("key_1", "permission_denied", 3), ("key_2", "permission_denied", 1)]
    written.accesses.refused(ONE, "permission_denied", "GET /keys")
    written.accesses.refused(ONE, "permission_denied", "GET /audit")
    written.at += MINUTE - 1
    assert await written.refusals() == []
    written.at += 1
    assert await written.refusals() == [("key_1", "permission_denied", 2)]
    written.at += MINUTE
    assert await written.refusals() == []


async def test_strangers_make_one_record_a_second_however_many_they_are(written: Written) -> None:
    for source in ("1.1.1.1", "2.2.2.2", "3.3.3.3"):
        for _ in range(1_000):
            written.accesses.strange(source)

    found = []
    for _ in range(10):
        found.append(await written.refusals())
        written.at += SECOND

    code = "authentication_failed"
    assert found[:3] == [[("1.1.1.1", code, 1_000)], [("2.2.2.2", code, 1_000)], [("3.3.3.3", code, 1_000)]]
    assert found[3:] == [[]] * 7


async def test_each_source_has_its_turn_within_a_minute_or_when_it_comes(written: Written) -> None:
    for second in range(120):
        for source in ("loud", "quiet"):
            written.accesses.strange(source)
        found = await written.refusals()
        assert len(found) <= 1
        if second in (1, 61):
            assert found[0][0] == "quiet"
        written.at += SECOND


async def test_so_many_sources_are_counted_and_no_more(written: Written) -> None:
    for number in range(KINDS_MAX + 50):
        written.accesses.strange(f"source {number}")

    assert len(written.accesses._strangers) <= KINDS_MAX + 1
    assert written.accesses._strangers[OTHERS].count == 50


async def test_reads_of_a_task_make_one_record_a_minute(written: Written) -> None:
    for _ in range(7):
        written.accesses.read(ONE, "output.read", "tsk_1")
    written.accesses.read(ONE, "output.read", "tsk_2")
    written.accesses.read(TWO, "key.read")

    assert await written.reads() == []
    written.at += MINUTE
    assert await written.reads() == [
        ("key_1", "output.read", "tsk_1", 7),
        ("key_1", "output.read", "tsk_2", 1),
        ("key_2", "key.read", None, 1),
    ]
    written.accesses.read(ONE, "output.read", "tsk_1")
    written.at += MINUTE - 1
    assert await written.reads() == []
    assert await written.reads(at_once=True) == [("key_1", "output.read", "tsk_1", 1)]


async def test_many_reads_are_written_a_part_each_second_and_counted_together_beyond_a_bound(written: Written) -> None:
    for number in range(KINDS_MAX + 5):
        written.accesses.read(ONE, "output.read", f"tsk_{number}")
    written.at += MINUTE

    assert len(await written.reads()) == READS_AT_ONCE
    rest = await written.reads(at_once=True)
    assert len(rest) == KINDS_MAX + 1 - READS_AT_ONCE
    assert rest[-1] == ("key_1", "output.read", None, 5)


async def test_what_could_not_be_written_stays_due(written: Written) -> None:
    written.accesses.refused(ONE, "permission_denied", "GET /keys")
    written.accesses.strange("1.1.1.1")
    written.accesses.read(ONE, "output.read", "tsk_1")
    written.at += MINUTE
    written.fails = True
    with pytest.raises(RateLimited):
        await written.refusals()
    with pytest.raises(RateLimited):
        await written.reads(at_once=True)
    written.fails = False

    commands = await written._due()

    assert [type(command) for command in commands] == [NoteRefusals, NoteRefusals, NoteReads]


async def test_when_keys_were_used_is_noted_once_a_minute_and_at_the_end(written: Written) -> None:
    async def noted(*, at_once: bool = False) -> list[dict[str, int]]:
        return [
            dict(command.uses) for command in await written._due(at_once=at_once) if isinstance(command, NoteKeyUses)
        ]

    written.accesses.used |= {"key_2", "key_1"}
    assert await noted() == []
    written.at = MINUTE
    assert await noted() == [{"key_1": MINUTE + 7, "key_2": MINUTE + 7}]
    assert await noted() == []

    written.accesses.used.add("key_1")
    written.fails = True
    with pytest.raises(RateLimited):
        await noted(at_once=True)
    written.fails = False
    assert await noted(at_once=True) == [{"key_1": MINUTE + 7}]
