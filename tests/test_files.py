"""Data files: readable only by their owner at every moment, and written atomically."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from swarmkeeper import files


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def open_handed() -> object:
    """Set an umask that lets others read new files."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_file_is_private_from_its_first_byte_and_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("former")
    path.chmod(0o644)

    with files.beside(path) as new:
        files.create(new)
        assert mode(new) == 0o600
        new.write_text("whole")
        assert path.read_text() == "former"

    assert path.read_text() == "whole"
    assert mode(path) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_what_fails_leaves_the_former_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    files.write(path, "former")

    def interrupted() -> None:
        with files.beside(path) as new:
            files.create(new)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert path.read_text() == "former"
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")

    files.write(tmp_path / "link", b"data")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"data"


def test_a_device_is_written_as_it_is(tmp_path: Path) -> None:
    files.write(Path("/dev/null"), "data")

    assert Path("/dev/null").is_char_device()


def test_a_folder_that_others_could_enter_is_closed(tmp_path: Path) -> None:
    (tmp_path / "wide").mkdir(mode=0o755)

    for name in ("new", "wide"):
        files.folder(tmp_path / name)

    assert [mode(tmp_path / name) for name in ("new", "wide")] == [0o700, 0o700]


def test_a_log_is_added_to_and_private(tmp_path: Path) -> None:
    for word in ("one", "two"):
        with files.append(tmp_path / "log") as log:
            log.write(f"{word}\n")

    assert (tmp_path / "log").read_text() == "one\ntwo\n"
    assert mode(tmp_path / "log") == 0o600


@pytest.mark.parametrize(
    ("make", "private", "says"),
    [
        (lambda path: None, False, "cannot be read"),
        (lambda path: path.mkdir(), False, "no plain file"),
        (os.mkfifo, False, "no plain file"),  # reading it would wait for a writer for ever
        (lambda path: path.write_bytes(b"x" * 101), False, "larger than"),
        (lambda path: path.write_bytes(b"\xff"), False, "not UTF-8"),
        (lambda path: path.write_text("x") and path.chmod(0o640), True, "others on this machine may read it"),
    ],
    ids=["absent", "folder", "pipe", "large", "bytes", "open to others"],
)
def test_a_file_that_somebody_names_is_read_only_if_it_is_a_plain_text(
    tmp_path: Path, make: Callable[[Path], object], private: bool, says: str
) -> None:
    make(tmp_path / "named")

    with pytest.raises(files.BadFile, match=says):
        files.read_text(tmp_path / "named", 100, private=private)


def test_a_plain_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    (tmp_path / "named").write_text("é" * 50, encoding="utf-8")
    (tmp_path / "named").chmod(0o600)

    assert files.read_text(tmp_path / "named", 100, private=True) == "é" * 50
