"""The pepper of a new store is beside it and not in it; it is never made anew for a store that has one."""

import base64
import stat
from pathlib import Path

import apsw
import pytest

from swarmkeeper.govern import keys
from swarmkeeper.storage import pepper as peppers
from swarmkeeper.storage.sqlite import migrations
from tests.cli.shell import Server, Shell
from tests.support.postgres import server as postgres_server

STORE = "sqlite:///store.db"
CREATE = ("key", "create", "--store", STORE, "--role", "client", "--json")


def raw(folder: Path) -> bytes:
    """Return all bytes of the store's files."""
    return b"".join(file.read_bytes() for file in folder.glob("store.db*") if file.suffix != ".pepper")


def is_good(text: str, pepper: bytes, folder: Path, name: str = "store.db") -> bool:
    """Return whether the store has this key with a digest under that pepper."""
    parsed = keys.parse(text)
    assert parsed is not None
    public, secret = parsed
    store = apsw.Connection(str(folder / name))
    found = store.execute("SELECT digest FROM api_key WHERE public_id = ?", (public,)).get
    store.close()
    return bool(found == keys.digest(pepper, secret))


def keeping(shell: Shell) -> str:
    """Make a store that keeps its pepper; return the text of a key."""
    shell.set(SWARMKEEPER_PEPPER_IN_STORE="true")
    made = str(shell(*CREATE).json["key"])
    shell.set(SWARMKEEPER_PEPPER_IN_STORE="false")
    return made


def stored(folder: Path, key: str = "pepper") -> bytes:
    store = apsw.Connection(str(folder / "store.db"))
    found = store.execute("SELECT value FROM meta WHERE key = ?", (key,)).get
    store.close()
    assert isinstance(found, bytes)
    return found


def test_a_new_store_has_its_pepper_beside_it_and_nothing_of_it_inside(shell: Shell) -> None:
    made = shell(*CREATE).json["key"]

    file = shell.folder / "store.db.pepper"
    pepper = peppers.read(file)
    assert len(pepper) == peppers.BYTES
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert is_good(made, pepper, shell.folder)
    assert pepper not in raw(shell.folder)
    assert base64.b64encode(pepper) not in raw(shell.folder)


def test_a_server_makes_the_file_and_takes_it_again_at_its_next_start(tmp_path: Path) -> None:
    words = ("serve", "--store", STORE, "--port", "0", "--json")
    first = Server(*words, folder=tmp_path)
    first.first_line()
    assert first.stop() == 0
    before = (tmp_path / "store.db.pepper").read_bytes()
    second = Server(*words, folder=tmp_path)
    second.first_line()

    assert second.stop() == 0
    assert (tmp_path / "store.db.pepper").read_bytes() == before


def test_without_its_file_a_store_is_refused_and_no_other_pepper_is_made(shell: Shell) -> None:
    shell(*CREATE)
    file = shell.folder / "store.db.pepper"
    file.unlink()
    for words in (("serve", "--store", STORE, "--port", "0"), CREATE):
        said = shell(*words)

        assert said.code == 1
        assert "store.db.pepper is missing" in said.err
        assert not file.exists()


def test_another_pepper_is_refused_whether_it_is_in_the_file_or_configured(shell: Shell) -> None:
    shell(*CREATE)
    file = shell.folder / "store.db.pepper"
    kept = file.read_text()
    file.write_text(peppers.text_of(b"p" * 32))
    assert "is not the one that this store's keys were made with" in shell(*CREATE).err
    file.write_text(kept)
    assert shell(*CREATE).code == 0

    shell.set(SWARMKEEPER_PEPPER="another")
    assert "the configured pepper is not the one" in shell(*CREATE).err


@pytest.mark.parametrize(("spoil", "why"), [("", "the file is empty"), ("mode", "everyone on this machine may read")])
def test_a_file_that_is_empty_or_open_is_refused(shell: Shell, spoil: str, why: str) -> None:
    shell(*CREATE)
    file = shell.folder / "store.db.pepper"
    if spoil:
        file.chmod(0o644)
    else:
        file.write_text("")

    assert why in shell(*CREATE).err


def test_a_process_that_ends_before_the_first_commit_leaves_a_file_that_the_next_one_takes(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(pepper: bytes) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(peppers, "check_of", die)  # between the file and the commit
        shell(*CREATE)
    left = (shell.folder / "store.db.pepper").read_bytes()
    store = apsw.Connection(str(shell.folder / "store.db"))
    assert migrations.is_empty(store), "nothing was committed"
    store.close()

    made = shell(*CREATE).json["key"]

    assert (shell.folder / "store.db.pepper").read_bytes() == left
    assert is_good(made, peppers.read(shell.folder / "store.db.pepper"), shell.folder)


def test_a_configured_pepper_is_that_of_a_new_store_and_no_file_is_made(shell: Shell) -> None:
    shell.set(SWARMKEEPER_PEPPER="red")
    made = shell(*CREATE).json["key"]

    assert is_good(made, b"red", shell.folder)
    assert not (shell.folder / "store.db.pepper").exists()
    shell.set(SWARMKEEPER_PEPPER="")
    assert "store.db.pepper is missing" in shell(*CREATE).err


# ---- stores that keep it ---------------------------------------------------------------------------------------------


def test_a_store_that_keeps_its_pepper_goes_on_to_until_it_is_moved(shell: Shell) -> None:
    made = keeping(shell)
    assert is_good(made, stored(shell.folder), shell.folder)
    assert shell(*CREATE).code == 0, "no file is needed"
    pepper = stored(shell.folder)

    said = shell("store", "move-pepper", "--store", STORE, "--json")

    assert said.json == {"moved": True, "file": str(shell.folder / "store.db.pepper"), "beside": True}
    assert peppers.read(shell.folder / "store.db.pepper") == pepper
    assert pepper not in raw(shell.folder), "neither the file nor its log has it"
    assert is_good(shell(*CREATE).json["key"], pepper, shell.folder)
    assert shell("store", "move-pepper", "--store", STORE, "--json").json["moved"] is False


def test_a_move_that_ended_after_its_file_is_done_again(shell: Shell) -> None:
    keeping(shell)
    pepper = stored(shell.folder)
    (shell.folder / "store.db.pepper").write_text(peppers.text_of(pepper))
    (shell.folder / "store.db.pepper").chmod(0o600)

    assert shell("store", "move-pepper", "--store", STORE, "--json").json["moved"] is True
    assert stored(shell.folder, "pepper_check") == peppers.check_of(pepper)


def test_a_file_with_another_pepper_is_not_written_over(shell: Shell) -> None:
    keeping(shell)
    file = shell.folder / "store.db.pepper"
    file.write_text("another")
    file.chmod(0o600)
    said = shell("store", "move-pepper", "--store", STORE)

    assert (said.code, file.read_text()) == (6, "another")
    assert "has another pepper" in said.err


def test_the_pepper_is_not_moved_while_a_server_runs(shell: Shell) -> None:
    keeping(shell)
    server = Server("serve", "--store", STORE, "--port", "0", "--json", folder=shell.folder)
    server.first_line()
    said = shell("store", "move-pepper", "--store", STORE)
    server.stop()

    assert said.code == 6
    assert not (shell.folder / "store.db.pepper").exists()


def test_a_pepper_is_replaced_only_if_that_is_asked_for(shell: Shell) -> None:
    shell.set(SWARMKEEPER_PEPPER="red")
    shell(*CREATE)
    shell.set(SWARMKEEPER_PEPPER="green")

    assert shell("store", "move-pepper", "--store", STORE).code == 6
    assert shell("store", "move-pepper", "--replace", "--store", STORE, "--json").json["moved"] is True
    assert is_good(shell(*CREATE).json["key"], b"green", shell.folder)


def test_a_backup_says_that_the_pepper_is_to_be_kept_too(shell: Shell) -> None:
    shell(*CREATE)
    said = shell("backup", "--to", "copy.db", "--store", STORE)
    assert "the pepper is not in the store or its backup" in said.err
    assert shell("backup", "--to", "copy-2.db", "--store", STORE, "--json").json["has_pepper"] is False

    shell("restore", "--from", "copy.db", "--to", "sqlite:///new.db")
    assert "new.db.pepper is missing" in shell("key", "create", "--store", "sqlite:///new.db", "--role", "client").err
    (shell.folder / "store.db.pepper").rename(shell.folder / "new.db.pepper")
    assert shell("key", "create", "--store", "sqlite:///new.db", "--role", "client").code == 0


# ---- PostgreSQL ------------------------------------------------------------------------------------------------------


def test_a_new_store_in_a_database_needs_a_pepper_or_a_word_that_it_keeps_it(shell: Shell) -> None:
    database = postgres_server().new_database()
    words = ("key", "create", "--store", database, "--role", "client", "--json")
    for refused in (words, ("serve", "--store", database, "--port", "0"), ("migrate", "--store", database)):
        said = shell(*refused)
        assert said.code == 1
        assert "SWARMKEEPER_PEPPER_FILE" in said.err

    (shell.folder / "pepper").write_text("of all servers")
    (shell.folder / "pepper").chmod(0o600)
    shell.set(SWARMKEEPER_PEPPER_FILE="pepper")
    assert shell(*words).code == 0
    shell.set(SWARMKEEPER_PEPPER_FILE="")
    assert "name the file with it in SWARMKEEPER_PEPPER_FILE" in shell(*words).err


def test_a_database_that_keeps_its_pepper_gives_it_to_a_file(shell: Shell) -> None:
    database = postgres_server().new_database()
    words = ("key", "create", "--store", database, "--role", "client", "--json")
    shell.set(SWARMKEEPER_PEPPER_IN_STORE="true")
    assert shell(*words).code == 0

    assert shell("store", "move-pepper", "--store", database).code == 2
    assert shell("store", "move-pepper", "--to", "pepper", "--store", database, "--json").json["moved"] is True
    assert "name the file with it" in shell(*words).err
    shell.set(SWARMKEEPER_PEPPER_FILE="pepper")
    assert shell(*words).code == 0
