"""`audit key|prove|export|witness|verify` against a server that signs, as an auditor with other machines uses them."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from swarmkeeper.core.rules.tree import Frontier, leaf_hash
from tests.cli.shell import Server, Shell
from tests.transparency.test_notes import NEUMANN

STORE = "sqlite:///store.db"


@pytest.fixture
def key(shell: Shell) -> str:
    """Make the key of the log; return what verifies it."""
    said = shell("audit", "key", "--name", "swarm.example.org", "--to", "audit.key")
    assert said.code == 0
    assert (shell.folder / "audit.key").stat().st_mode & 0o777 == 0o600
    return said.out.strip()


def serve(shell: Shell) -> Server:
    environ = {"SWARMKEEPER_AUDIT_KEY_FILE": "audit.key", "SWARMKEEPER_LOG_LEVEL": "error"}
    return Server("serve", "--store", STORE, "--port", "0", "--json", folder=shell.folder, environ=environ)


def ready(shell: Shell, server: Server) -> None:
    """Wait until the log is signed."""
    shell.set(SWARMKEEPER_URL=server.first_line()["url"])
    ends = time.monotonic() + 30
    while shell("audit", "prove", "0").code != 0:
        assert time.monotonic() < ends, "nothing was signed"
        time.sleep(0.2)


def test_an_auditor_proves_exports_witnesses_and_verifies_and_finds_a_log_that_was_rewritten(
    shell: Shell, key: str
) -> None:
    made = shell("key", "create", "--role", "auditor", "--store", STORE)
    shell.set(SWARMKEEPER_API_KEY=made.out.strip())
    own = shell("audit", "key", "--witness", "--name", "witness.example.org", "--to", "witness.key").out.strip()
    witness = ("audit", "witness", "--to", "witness", "--signing-key", "witness.key", "--key", key, "--once")
    server = serve(shell)
    try:
        ready(shell, server)
        url = os.environ["SWARMKEEPER_URL"]
        assert shell("audit", "prove", "0", "--to", "0.tlog-proof", "--body", "0.json").code == 0
        assert shell("audit", "export", "--to", "copy", "--key", key).code == 0
        assert shell(*witness).code == 0
        whole = shell("audit", "verify", url, "--key", key)
        assert (whole.code, whole.out.splitlines()[0].rpartition(" ")[2]) == (0, "whole")
    finally:
        server.stop()

    # Without the server.
    assert shell("audit", "verify", "0.tlog-proof", "--key", key).out.startswith("record 0 of ")
    proved = ("audit", "verify", "0.tlog-proof", "--key", key, "--body", "0.json")
    assert '"role":"auditor"' in shell(*proved).out.replace(" ", "")
    body = shell.folder / "0.json"
    body.write_text(body.read_text().replace("auditor", "admin"))
    assert (shell(*proved).code, "commits to another body" in shell(*proved).out) == (1, True)
    body.write_text('{"index":0,"erased":true,"alg":"sha256-salted-parts"}')
    assert shell(*proved).code == 2
    assert shell("audit", "verify", "copy", "--key", key, "--since", "copy/checkpoint").code == 0
    found = shell("audit", "verify", "copy", "--key", key, "--witness", own)
    assert (found.code, "not cosigned by witness.example.org" in found.out) == (2, True)
    (shell.folder / "copy" / "checkpoint").write_bytes((shell.folder / "witness" / "checkpoint").read_bytes())
    assert shell("audit", "verify", "copy", "--key", key, "--witness", own).code == 0

    forge(shell.folder / "store.db")
    server = serve(shell)
    try:
        ready(shell, server)
        for words in (
            ("audit", "verify", os.environ["SWARMKEEPER_URL"], "--key", key, "--since", "copy/checkpoint"),
            ("audit", "export", "--to", "copy", "--key", key),
            witness,
        ):
            said = shell(*words)
            assert said.code == 1, words
            assert "tampered" in said.out or "ALARM" in said.out
    finally:
        server.stop()


def forge(store: Path) -> None:
    """Put another log in place of the tenant's, as long as it was, and forget what was signed."""
    with closing(sqlite3.connect(store)) as connection, connection:
        leaves = connection.execute("SELECT place, leaf FROM audit_leaf ORDER BY place").fetchall()
        frontier = Frontier()
        for place, leaf in leaves:
            forged = leaf.replace(b'"auditor"', b'"admin"').replace(b'"at":1', b'"at":2')
            frontier.append(leaf_hash(forged))
            connection.execute(
                "UPDATE audit_leaf SET leaf = ?, hash = ? WHERE place = ?", (forged, leaf_hash(forged), place)
            )
        new = (frontier.to_bytes(), frontier.root())
        connection.execute("UPDATE audit_tree SET frontier = ?, root = ?", new)
        connection.execute("DELETE FROM checkpoint")
        connection.execute("DELETE FROM audit_hash")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("audit", "export", "--to", "x"), "verifier key"),
        (("audit", "verify", "http://127.0.0.1:9"), "verifier key"),
        (("audit", "verify", "http://127.0.0.1:9", "--key", "nonsense"), "--key"),
        (("audit", "verify", STORE, "--key", "a+b+c"), "a store has no signature"),
        (("audit", "verify", "none.tlog-proof", "--key", NEUMANN), "none.tlog-proof cannot be read"),
        (("audit", "verify", ".", "--key", NEUMANN, "--since", "none"), "none cannot be read"),
        (("audit", "verify", ".", "--key", NEUMANN, "--body", "x"), "--body is for the proof of one record"),
        (("audit", "verify", STORE, "--body", "x"), "a store has no signature"),
        (("audit", "verify", ".", "--key", NEUMANN, "--deep"), "--deep needs the store"),
        (("audit", "verify", "x.tlog-proof", "--key", NEUMANN, "--since", "x"), "for a whole log, not for a proof"),
        (("audit", "verify", "x.tlog-proof", "--key", NEUMANN, "--witness", NEUMANN), "not for a proof"),
        (("audit", "key", "--name", "two words", "--to", "k"), "without spaces"),
        (("audit", "key", "--name", "swarm.example.org", "--to", "audit.key"), "exists already"),
        (("audit", "key", "--name", "other.example.org", "--to", "audit.key", "--add"), "swarm.example.org"),
        (("audit", "witness", "--to", "w", "--signing-key", "none", "--key", NEUMANN), "none"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(shell: Shell, key: str, words: tuple[str, ...], says: str) -> None:
    said = shell(*words)

    assert said.code not in (0, 1)
    assert says in said.err


def test_a_second_key_of_the_same_name_is_added(shell: Shell, key: str) -> None:
    assert shell("audit", "key", "--name", "swarm.example.org", "--to", "audit.key", "--add").code == 0
    assert len((shell.folder / "audit.key").read_text().splitlines()) == 2
