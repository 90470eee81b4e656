"""Folders of an export or of a witness in which somebody else can write, and which are cut off at any moment."""

import asyncio
import os
from pathlib import Path

import pytest

from swarmkeeper.files import BadFile
from swarmkeeper.transparency import notes, outside
from swarmkeeper.transparency.notes import BadNote, VerifierKey
from swarmkeeper.transparency.outside import CHECKPOINT, FACTS, FILE_BYTES_MAX, FileMissing, Folder
from swarmkeeper.transparency.witness import Witness
from tests.transparency.conftest import KeyFile, served

ENTRIES = "tile/entries/000"


class Copied:
    """A published log that is kept in memory."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    async def get(self, path: str) -> bytes:
        if path not in self.files:
            raise FileMissing(path)
        return self.files[path]


class Cut(Exception):
    pass


class CutFolder(Folder):
    """A folder of which a process dies before it writes another file."""

    left = 0

    def put(self, path: str, data: bytes) -> None:
        if not self.left:
            raise Cut
        self.left -= 1
        super().put(path, data)


async def two_states(key_file: KeyFile, folder: Path) -> tuple[VerifierKey, Copied, Copied]:
    """Return the key of a log, and the log as it was with 300 records and some more, and later."""
    key = key_file.add()
    states = []
    async with served("sqlite://:memory:", key_file) as log:
        for number, more in enumerate((300, 250)):
            await log.grow(more)
            await log.sign()
            copy = folder / str(number)
            assert (await outside.export(log, Folder(copy), [key])).status == "whole"
            states.append(
                Copied({str(file.relative_to(copy)): file.read_bytes() for file in copy.rglob("*") if file.is_file()})
            )
    return key, states[0], states[1]


async def test_an_export_that_is_killed_at_any_moment_and_run_again_is_whole(key_file: KeyFile, tmp_path: Path) -> None:
    key, before, after = await two_states(key_file, tmp_path)
    kills = 0
    for left in range(100):
        folder = CutFolder(tmp_path / f"cut-{left}")
        folder.left = 1_000
        await outside.export(before, folder, [key])
        folder.left = left
        try:
            await outside.export(after, folder, [key])
        except Cut:
            kills += 1
            kept = await outside.verify(folder, [key])
            assert kept.status == "whole", kept.reason
        folder.left = 1_000

        assert (await outside.export(after, folder, [key])).status == "whole"
        assert await folder.get(CHECKPOINT) == after.files[CHECKPOINT]
        assert (await outside.verify(folder, [key], since=before.files[CHECKPOINT])).status == "whole"
        if kills <= left:
            break
    assert kills > 5


@pytest.mark.parametrize("what", ["pipe", "folder", "device", "large", "nowhere"])
@pytest.mark.parametrize("path", [CHECKPOINT, FACTS, ENTRIES])
async def test_a_file_that_is_none_neither_holds_up_who_verifies_nor_fills_memory(
    key_file: KeyFile, tmp_path: Path, path: str, what: str
) -> None:
    key, log, _ = await two_states(key_file, tmp_path)
    folder = Folder(tmp_path / "0")
    replaced = folder.path / path
    assert path in log.files
    replaced.unlink()
    if what == "pipe":
        os.mkfifo(replaced)
    elif what == "folder":
        replaced.mkdir()
    elif what == "large":
        with replaced.open("wb") as opened:
            opened.truncate(FILE_BYTES_MAX + 1)
    else:
        replaced.symlink_to("/dev/zero" if what == "device" else tmp_path / "none")

    async with asyncio.timeout(10):
        found = await outside.verify(folder, [key])

    assert (found.status, path in found.reason) == ("incomplete", True)


@pytest.mark.parametrize("link", ["file", "folder"])
async def test_an_export_writes_nothing_through_a_link_that_leads_out_of_its_folder(
    key_file: KeyFile, tmp_path: Path, link: str
) -> None:
    key, log, _ = await two_states(key_file, tmp_path)
    folder, elsewhere = Folder(tmp_path / "export"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "000").write_text("somebody's own")
    (folder.path / "tile").mkdir(parents=True)
    if link == "folder":
        (folder.path / "tile" / "entries").symlink_to(elsewhere)
    else:
        (folder.path / "tile" / "entries").mkdir()
        (folder.path / ENTRIES).symlink_to(elsewhere / "000")

    with pytest.raises(BadFile, match=f"{ENTRIES}.*nothing is written there"):
        await outside.export(log, folder, [key])

    assert (elsewhere / "000").read_text() == "somebody's own"
    assert [file.name for file in elsewhere.iterdir()] == ["000"]


async def test_an_export_into_a_folder_that_is_a_link_is_whole(key_file: KeyFile, tmp_path: Path) -> None:
    key, log, _ = await two_states(key_file, tmp_path)
    (tmp_path / "disk").mkdir()
    (tmp_path / "export").symlink_to(tmp_path / "disk")

    assert (await outside.export(log, Folder(tmp_path / "export"), [key])).status == "whole"


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
async def test_a_witness_whose_file_was_cut_says_that_it_is_its_own_and_cosigns_nothing(
    key_file: KeyFile, tmp_path: Path, kept: int
) -> None:
    key, before, after = await two_states(key_file, tmp_path)
    own = notes.new_key("witness.example.org/one", bytes(32), notes.COSIGNATURE)
    folder = Folder(tmp_path / "witness")
    await Witness(before, folder, [key], own, wall=lambda: 1).look()
    cut = (await folder.get(CHECKPOINT))[:kept]
    (folder.path / CHECKPOINT).write_bytes(cut)

    with pytest.raises(BadNote, match=r"the witness's own file `checkpoint` in .* is damaged"):
        await Witness(after, folder, [key], own, wall=lambda: 1).look()

    assert await folder.get(CHECKPOINT) == cut
