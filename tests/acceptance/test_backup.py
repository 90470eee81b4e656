"""The backup drill: back up under load, kill the server, restore, and nothing acknowledged before is missing."""

from __future__ import annotations

import json
import shutil
import stat
import threading
from pathlib import Path
from typing import Self

import apsw

from swarmkeeper.storage import pepper as peppers
from tests.acceptance.server import Caller, Server


class Load:
    """Threads that submit and cancel tasks until the block ends; they list what the server acknowledged, in order."""

    def __init__(self, server: Server, key: str) -> None:
        self.acknowledged: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(Caller(server, key),)) for _ in range(2)]

    def _run(self, call: Caller) -> None:
        while not self._over.is_set():
            task = call.post("/tasks", {"title": "t", "subtasks": [{"description": "a"}]})["id"]
            self.acknowledged.append(task)
            call.post(f"/tasks/{task}:cancel", {})

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def reach(self, number: int) -> None:
        while len(self.acknowledged) < number:
            assert all(thread.is_alive() for thread in self._threads), "a client failed"
            self._threads[0].join(0.05)


def test_nothing_acknowledged_before_the_backup_is_missing_after_the_restore(tmp_path: Path) -> None:
    with Server(tmp_path / "store.db") as server:
        key = server.key("admin")
        call = Caller(server, key)
        with Load(server, key) as load:
            load.reach(60)
            before = list(load.acknowledged)
            kept = call.get("/events?page_size=1")["items"][-1]["id"]
            made = json.loads(
                server.cli("backup", "--store", server.store_url, "--to", str(tmp_path / "b.db"), "--json")
            )
            load.reach(len(load.acknowledged) + 20)
        after = call.post("/tasks", {"title": "after the backup"})["id"]
        lost = call.get(f"/tasks/{after}/events")["items"][-1]["id"]
        server.kill()

        assert made["healthy"]
        assert not made["has_pepper"]
        assert stat.S_IMODE((tmp_path / "b.db").stat().st_mode) == 0o600
        restored = f"sqlite:///{tmp_path / 'restored.db'}"
        server.cli("restore", "--from", str(tmp_path / "b.db"), "--to", restored)
        shutil.copy(peppers.file_of(server.store), tmp_path / "restored.db.pepper")  # kept in another place
        server.cli("doctor", "--deep", "--store", restored)
        server.cli("audit", "verify", restored)

    with Server(tmp_path / "restored.db") as again:
        call = Caller(again, key)  # the key of before
        statuses = {task: call("GET", f"/tasks/{task}").status_code for task in [*before, after]}
        assert statuses == {**dict.fromkeys(before, 200), after: 404}

        refused = call("GET", f"/events?after={lost}")
        assert (refused.status_code, refused.json()["code"]) == (410, "cursor_too_old")
        news = call.get(f"/events?after={refused.json()['oldest_cursor']}")["items"]
        assert news[0]["type"] == "io.swarmkeeper.store.restored.v1"
        assert news[0]["id"] in [event["id"] for event in call.get(f"/events?page_size=500&after={kept}")["items"]]
        task = call.post("/tasks", {"title": "goes on"})["id"]
        first, *_ = call.get(f"/events?after={news[-1]['id']}")["items"]
        assert (first["data"]["task_id"], first["type"]) == (task, "io.swarmkeeper.task.submitted.v1")
        again.stop()
        again.cli("doctor", "--deep", "--store", again.store_url)


def test_a_backup_is_refused_rather_than_replace_a_file(tmp_path: Path) -> None:
    server = Server(tmp_path / "store.db")
    server.key("admin")
    (tmp_path / "b.db").write_bytes(b"mine")

    server.cli("backup", "--store", server.store_url, "--to", str(tmp_path / "b.db"), code=6)
    server.cli("backup", "--store", server.store_url, "--to", str(tmp_path / "no" / "b.db"), code=5)
    server.cli("backup", "--store", f"sqlite:///{tmp_path / 'none.db'}", "--to", str(tmp_path / "c.db"), code=5)

    assert (tmp_path / "b.db").read_bytes() == b"mine"
    assert not (tmp_path / "c.db").exists()


def test_a_restore_replaces_nothing_and_disturbs_no_server(tmp_path: Path) -> None:
    backup, fresh = tmp_path / "b.db", tmp_path / "fresh.db"
    with Server(tmp_path / "store.db") as server:
        server.cli("backup", "--store", server.store_url, "--to", str(backup))

        server.cli("restore", "--from", str(backup), "--to", server.store_url, code=6)  # a server is using it
        server.stop()
        server.cli("restore", "--from", str(backup), "--to", server.store_url, code=6)  # it has data
        server.cli("restore", "--from", str(tmp_path / "none.db"), "--to", f"sqlite:///{fresh}", code=5)
        (tmp_path / "fresh.db-wal").write_bytes(b"of another store")
        server.cli("restore", "--from", str(backup), "--to", f"sqlite:///{fresh}", code=6)
        (tmp_path / "fresh.db-wal").unlink()
        server.cli("restore", "--from", str(backup), "--to", f"sqlite:///{fresh}")

        assert sorted(path.name for path in tmp_path.iterdir() if "fresh" in path.name) == ["fresh.db"]
        assert stat.S_IMODE(fresh.stat().st_mode) == 0o600


def test_a_backup_that_was_tampered_with_is_not_restored(tmp_path: Path) -> None:
    server = Server(tmp_path / "store.db")
    server.key("admin")
    server.cli("backup", "--store", server.store_url, "--to", str(tmp_path / "b.db"))
    connection = apsw.Connection(str(tmp_path / "b.db"))
    connection.execute("UPDATE audit_leaf SET actor = 'somebody else'")
    connection.close()

    said = server.cli("restore", "--from", str(tmp_path / "b.db"), "--to", f"sqlite:///{tmp_path / 'r.db'}", code=11)

    assert "the audit log verifies" in said
    assert not (tmp_path / "r.db").exists()


def test_a_store_of_an_older_schema_is_not_restored(tmp_path: Path) -> None:
    server = Server(tmp_path / "store.db")
    server.key("admin")
    server.cli("backup", "--store", server.store_url, "--to", str(tmp_path / "b.db"))
    connection = apsw.Connection(str(tmp_path / "b.db"))
    connection.execute("DELETE FROM migration WHERE number = (SELECT max(number) FROM migration)")
    connection.close()

    server.cli("restore", "--from", str(tmp_path / "b.db"), "--to", f"sqlite:///{tmp_path / 'r.db'}", code=6)

    assert not (tmp_path / "r.db").exists()
