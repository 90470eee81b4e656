"""Reading one folder and nothing else, whatever a model or another program on the machine does."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.ai.folder_tools import READ_BYTES_MAX, NotReadable, ReadFolder, reading_tools

SECRET = b"a secret outside"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "outside.txt").write_bytes(SECRET)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.txt").write_bytes(SECRET)
    made = tmp_path / "inside"
    (made / "deep" / "er").mkdir(parents=True)
    (made / "a.txt").write_text("first\nsecond line\n")
    (made / "deep" / "er" / "b.txt").write_text("SECOND in b")
    (made / ".env").write_bytes(SECRET)
    (made / ".git").mkdir()
    (made / ".git" / "config").write_bytes(SECRET)
    (made / "link.txt").symlink_to(tmp_path / "outside.txt")
    (made / "linked").symlink_to(tmp_path / "outside")
    (made / "round").symlink_to(made)
    os.mkfifo(made / "pipe")
    return made


def test_its_files_are_listed_without_hidden_ones_and_links(folder: Path) -> None:
    assert [entry.path for entry in ReadFolder(folder).entries()] == ["a.txt", "deep/er/b.txt"]


@pytest.mark.parametrize("path", ["a.txt", "./a.txt", "deep/er/../er/b.txt"])
def test_a_path_within_is_read_and_one_with_dots_is_refused(folder: Path, path: str) -> None:
    if ".." in path:
        with pytest.raises(NotReadable, match="within the folder"):
            ReadFolder(folder).read(path)
    else:
        assert ReadFolder(folder).read(path) == b"first\nsecond line\n"


@pytest.mark.parametrize(
    "path",
    [
        "../outside.txt", "deep/../../outside.txt", "/etc/passwd", "link.txt", "linked/a.txt", "linked", "round/a.txt",
        ".env", ".git/config", "deep/.git", "", ".", "/", "a.txt/x", "a.txt\0", "nothing", "pipe", "deep", "..",
    ],
)  # fmt: skip
def test_nothing_else_is_read(folder: Path, path: str) -> None:
    with pytest.raises(NotReadable) as refused:
        ReadFolder(folder).read(path)
    assert str(folder.parent) not in str(refused.value)


@given(
    st.lists(
        st.sampled_from(["..", ".", "", "inside", "outside", "outside.txt", "linked", "round", "deep"]), max_size=6
    )
)
def test_no_path_leads_out(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    root = tmp_path_factory.mktemp("f")
    (root / "outside.txt").write_bytes(SECRET)
    (root / "inside" / "deep").mkdir(parents=True)
    (root / "inside" / "linked").symlink_to(root)
    (root / "inside" / "round").symlink_to(root / "inside")
    try:
        assert ReadFolder(root / "inside").read("/".join(names)) != SECRET
    except NotReadable:
        pass


def test_a_folder_that_becomes_a_link_while_it_is_read_leads_nowhere(folder: Path) -> None:
    """Another process swaps a folder for a link all the time: what is checked is what is read."""
    swapped, kept = folder / "deep", folder.parent / "kept"
    (swapped / "a.txt").write_text("inside")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            swapped.rename(kept)
            swapped.symlink_to(folder.parent / "outside")
            swapped.unlink()
            kept.rename(swapped)

    swapping = threading.Thread(target=swap)
    swapping.start()
    found = set()
    try:
        for _ in range(2_000):
            try:
                found.add(ReadFolder(folder).read("deep/a.txt"))
            except NotReadable:
                found.add(b"refused")
    finally:
        stop.set()
        swapping.join()
    assert found <= {b"inside", b"refused"}


async def test_a_long_file_is_read_in_parts_and_lines_are_found(folder: Path) -> None:
    (folder / "long.txt").write_text("x" * (READ_BYTES_MAX + 5))
    tools: Any = reading_tools(ReadFolder(folder)).tools

    first = tools["read_file"].function("long.txt")
    assert (len(first["text"]), first["more"]) == (
        READ_BYTES_MAX,
        f"the file goes on: read it again with start={READ_BYTES_MAX}",
    )
    assert tools["read_file"].function("long.txt", READ_BYTES_MAX) == {"text": "xxxxx"}
    assert tools["search_files"].function("second") == ["a.txt:2: second line", "deep/er/b.txt:1: SECOND in b"]
    assert tools["list_files"].function("deep") == {"files": ["deep/er/b.txt (11)"]}
    with pytest.raises(NotReadable):
        tools["list_files"].function("../")
