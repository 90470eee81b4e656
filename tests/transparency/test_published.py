"""The audit log as people outside verify it: a real run, both stores, and what an attacker with the store changes."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.core.rules.tree import Frontier, leaf_hash
from swarmkeeper.settings import BadSetting, Settings
from swarmkeeper.transparency import checkpoints, notes, outside
from swarmkeeper.transparency.notes import BadNote
from swarmkeeper.transparency.outside import CHECKPOINT, FileMissing, Folder
from swarmkeeper.transparency.witness import FORK, Fork, Witness
from tests.http.conftest import Caller
from tests.transparency.conftest import NAME, ORIGIN, KeyFile, served

RECORDS = 700  # two full tiles, and one that is partial


async def test_a_signed_log_is_verified_record_by_record_without_its_store(store_url: str, key_file: KeyFile) -> None:
    key = key_file.add()
    async with served(store_url, key_file) as log:
        await log.grow(RECORDS)
        await log.sign()
        found = await outside.verify(log, [key])

        assert (found.status, found.begin) == ("whole", 0)
        assert found.head is not None
        assert found.head.origin == ORIGIN
        assert found.records == found.head.size >= RECORDS
        for index in (0, 255, 256, 511, 512, found.head.size - 1):
            proved = outside.proved(await log.get(f"{index}/proof"), [key])
            assert proved.index == index
            assert msgspec.json.decode(proved.record)["tenant"] == "default"
        stated = msgspec.json.decode(await log.get("log"))
        assert stated == {"begin": 0, "keys": [str(key)]}


async def test_a_log_goes_on_from_a_checkpoint_that_somebody_kept(store_url: str, key_file: KeyFile) -> None:
    key = key_file.add()
    kept = []
    for more in (300, 90, 400):
        async with served(store_url, key_file) as log:
            await log.grow(more)
            await log.sign()
            kept.append(await log.get(CHECKPOINT))
            for old in kept:
                assert (await outside.verify(log, [key], since=old)).status == "whole"


async def test_only_who_may_read_the_audit_log_gets_its_files(store_url: str, key_file: KeyFile) -> None:
    key_file.add()
    async with served(store_url, key_file) as log:
        await log.grow(1)
        await log.sign()
        roles = ("client", "operator", "bot:executor")
        others = [Caller(log.swarm.app, await log.swarm.make_key(role)) for role in roles]
        for path in ("log", "checkpoint", "0/proof", "tile/0/000.p/1"):
            assert (await log.ask(path)).status == 200, path
            assert [(await other.get(f"/audit/{path}")).status for other in others] == [403, 403, 403]
            assert (await Caller(log.swarm.app).get(f"/audit/{path}")).status == 401


async def test_full_tiles_may_be_kept_and_others_not_and_what_is_no_tile_is_not_found(key_file: KeyFile) -> None:
    key_file.add()
    async with served("sqlite://:memory:", key_file) as log:
        await log.grow(300)
        await log.sign()

        assert "immutable" in (await log.ask("tile/0/000")).headers["cache-control"]
        assert (await log.ask("tile/0/001.p/5")).headers["cache-control"] == "no-store"
        assert (await log.ask("checkpoint")).headers["cache-control"] == "no-store"
        for path in ("tile/0/001", "tile/1/000.p/2", "tile/2/000.p/1", "tile/x/000", "99999/proof", "tile/0/000.p/256"):
            assert (await log.ask(path)).status == 404, path


async def test_a_log_without_a_key_is_not_signed_and_says_so(store_url: str) -> None:
    async with Orchestrator(Settings(store=store_url, log_level="error")) as swarm:
        auditor = Caller(swarm.app, await swarm.make_key("auditor"))
        answer = await auditor.get("/audit/checkpoint")

    assert answer.status == 404
    assert "audit_key_file" in answer.json["detail"]


async def test_while_one_key_replaces_another_both_sign(store_url: str, key_file: KeyFile) -> None:
    old, new = key_file.add(), key_file.add()
    async with served(store_url, key_file) as log:
        await log.grow(3)
        await log.sign()
        kept = await log.get(CHECKPOINT)
        for key in (old, new):
            assert (await outside.verify(log, [key])).status == "whole"
        assert len((await outside.verify(log, [old, new])).signers) == 2
    key_file.path.write_text(key_file.keys()[1].secret())
    async with served(store_url, key_file) as log:
        await log.grow(3)
        await log.sign()

        assert (await outside.verify(log, [new], since=kept)).status == "whole"
        assert (await outside.verify(log, [old])).status == "tampered"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "audit_key_file"),
        ("PRIVATE+KEY+x", "audit_key_file: "),
        (notes.new_key("w", bytes(32), notes.COSIGNATURE).secret(), "the key of a witness"),
        (notes.new_key("a", bytes(32)).secret() + "\n" + notes.new_key("b", bytes(32)).secret(), "different names"),
    ],
)
async def test_a_file_that_has_no_key_is_refused_at_the_start(key_file: KeyFile, text: str, says: str) -> None:
    key_file.path.write_text(text)
    key_file.path.chmod(0o600)

    with pytest.raises(BadSetting, match=says):
        async with Orchestrator(Settings(store="sqlite://:memory:", audit_key_file=str(key_file.path))):
            pass


# ---- attacks with the store, and with the key ------------------------------------------------------------------------


class Attacker:
    """Has the file of the store. The key signs what it makes, when the server starts again."""

    def __init__(self, tmp_path: Path) -> None:
        self.path = tmp_path / "swarm.db"

    def rewrite(self, index: int, *, hide: bool) -> None:
        """Change a record and everything that is computed from it; with `hide`, also forget what was signed."""
        with apsw.Connection(str(self.path)) as store:
            leaf: Any = store.execute("SELECT leaf FROM audit_leaf WHERE place = ?", (index,)).get
            forged = leaf.replace(b'"task.submit"', b'"task.cancel"')
            assert forged != leaf
            store.execute(
                "UPDATE audit_leaf SET leaf = ?, hash = ? WHERE place = ?", (forged, leaf_hash(forged), index)
            )
            self._grow_anew(store)
            if hide:
                store.execute("DELETE FROM audit_hash; DELETE FROM checkpoint")

    def cut(self, size: int) -> None:
        with apsw.Connection(str(self.path)) as store:
            store.execute("DELETE FROM audit_leaf WHERE place >= ?", (size,))
            self._grow_anew(store)
            store.execute("DELETE FROM audit_hash; DELETE FROM checkpoint")

    @staticmethod
    def _grow_anew(store: apsw.Connection) -> None:
        frontier = Frontier()
        rows: list[Any] = store.execute("SELECT hash FROM audit_leaf ORDER BY place").fetchall()
        for (hashed,) in rows:
            frontier.append(hashed)
        made = (frontier.size, frontier.to_bytes(), frontier.root())
        store.execute("UPDATE audit_tree SET size = ?, frontier = ?, root = ?", made)


@pytest.fixture
def attacked(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/swarm.db"


async def test_a_rewritten_log_is_not_signed_any_more(attacked: str, key_file: KeyFile, tmp_path: Path) -> None:
    key = key_file.add()
    async with served(attacked, key_file) as log:
        await log.grow(300)
        await log.sign()
        kept = await log.get(CHECKPOINT)
    Attacker(tmp_path).rewrite(270, hide=False)
    async with served(attacked, key_file) as log:
        await log.grow(1)
        await log.sign()

        assert await log.get(CHECKPOINT) == kept
        (warning,) = log.swarm.readiness(True)["warnings"]
        size = checkpoints.parse(notes.parse(kept)).size
        said = f"default is not signed any more: its first {size} records are not those that were signed"
        assert warning == f"the audit log of {said}"
        assert (await outside.verify(log, [key])).status == "tampered"


@pytest.mark.parametrize("index", [3, 270])
async def test_a_log_that_lacks_a_record_is_not_signed_any_more(
    attacked: str, key_file: KeyFile, tmp_path: Path, index: int
) -> None:
    key_file.add()
    async with served(attacked, key_file) as log:
        await log.grow(200 if index < 256 else 300)
        await log.sign()
        kept = await log.get(CHECKPOINT)
    with apsw.Connection(str(tmp_path / "swarm.db")) as store:
        store.execute("DELETE FROM audit_leaf WHERE place = ?", (index,))
    async with served(attacked, key_file) as log:
        await log.grow(1)
        await log.sign()

        assert await log.get(CHECKPOINT) == kept
        (warning,) = log.swarm.readiness(True)["warnings"]
        assert warning.endswith("some of its records are missing")


@pytest.mark.parametrize("index", [3, 270])
async def test_who_kept_an_old_checkpoint_finds_a_log_rewritten_by_someone_with_store_and_key(
    attacked: str, key_file: KeyFile, tmp_path: Path, index: int
) -> None:
    key = key_file.add()
    async with served(attacked, key_file) as log:
        await log.grow(300)
        await log.sign()
        kept = await log.get(CHECKPOINT)
    Attacker(tmp_path).rewrite(index, hide=True)
    async with served(attacked, key_file) as log:
        await log.grow(400)
        await log.sign()

        assert (await outside.verify(log, [key])).status == "whole", "nobody can tell from the log alone"
        found = await outside.verify(log, [key], since=kept)
        assert found.status == "tampered"
        assert "the log was rewritten" in found.reason


async def test_who_kept_an_old_checkpoint_finds_a_log_that_was_cut(
    attacked: str, key_file: KeyFile, tmp_path: Path
) -> None:
    key = key_file.add()
    async with served(attacked, key_file) as log:
        await log.grow(300)
        await log.sign()
        kept = await log.get(CHECKPOINT)
    Attacker(tmp_path).cut(290)
    async with served(attacked, key_file) as log:
        await log.sign()
        found = await outside.verify(log, [key], since=kept)

    assert found.status == "tampered"
    assert "it was cut, or replaced" in found.reason


async def test_a_witness_cosigns_a_log_that_grows_and_raises_an_alarm_over_a_fork(
    attacked: str, key_file: KeyFile, tmp_path: Path
) -> None:
    key = key_file.add()
    own = notes.new_key("witness.example.org/one", bytes(32), notes.COSIGNATURE)
    folder = Folder(tmp_path / "witness")

    def witness(log: outside.Source) -> Witness:
        return Witness(log, folder, [key], own, wall=lambda: 1_700_000_000_000_000)

    for more in (200, 200):
        async with served(attacked, key_file) as log:
            await log.grow(more)
            await log.sign()
            assert (await witness(log).look())[1]
            assert not (await witness(log).look())[1]
    cosigned = await folder.get(CHECKPOINT)
    _, note = checkpoints.verified(cosigned, [key])
    assert checkpoints.cosigned_at(note, own.verifier) == 1_700_000_000

    Attacker(tmp_path).rewrite(100, hide=True)
    async with served(attacked, key_file) as log:
        await log.grow(10)
        await log.sign()
        for _ in range(2):  # it stays so, also after a restart of the witness
            with pytest.raises(Fork):
                await witness(log).look()
    assert await folder.get(CHECKPOINT) == cosigned
    for evidence in (cosigned, await folder.get(FORK)):
        assert checkpoints.verified(evidence, [key])[0].origin == ORIGIN


# ---- copies ----------------------------------------------------------------------------------------------------------


async def test_an_export_gets_what_is_new_and_is_verified_without_the_server(
    store_url: str, key_file: KeyFile, tmp_path: Path
) -> None:
    key = key_file.add()
    folder = Folder(tmp_path / "export")
    asked: list[str] = []
    async with served(store_url, key_file) as log:

        class Counted:
            async def get(self, path: str) -> bytes:
                asked.append(path)
                return await log.get(path)

        for more in (600, 20):
            asked.clear()
            await log.grow(more)
            await log.sign()
            assert (await outside.export(Counted(), folder, [key])).status == "whole"
    assert not {"tile/0/000", "tile/entries/000"} & set(asked), "what is full was there already"
    assert (await outside.verify(folder, [key])).status == "whole"

    record = tmp_path / "export" / "tile" / "entries" / "001"
    whole = record.read_bytes()
    record.write_bytes(whole.replace(b"task.submit", b"task.cancel", 1))
    assert (await outside.verify(folder, [key])).status == "tampered"
    record.unlink()
    found = await outside.verify(folder, [key])
    assert (found.status, found.index) == ("incomplete", 256)


async def test_an_export_does_not_follow_a_log_that_was_rewritten(
    attacked: str, key_file: KeyFile, tmp_path: Path
) -> None:
    key = key_file.add()
    folder = Folder(tmp_path / "export")
    async with served(attacked, key_file) as log:
        await log.grow(300)
        await log.sign()
        await outside.export(log, folder, [key])
    kept = await folder.get(CHECKPOINT)
    Attacker(tmp_path).rewrite(290, hide=True)
    async with served(attacked, key_file) as log:
        await log.grow(300)
        await log.sign()
        found = await outside.export(log, folder, [key])

    assert found.status == "tampered"
    assert await folder.get(CHECKPOINT) == kept


async def test_a_proof_of_which_a_part_was_changed_is_refused(key_file: KeyFile) -> None:
    key = key_file.add()
    async with served("sqlite://:memory:", key_file) as log:
        await log.grow(20)
        await log.sign()
        proof = (await log.get("7/proof")).decode()

    assert outside.proved(proof.encode(), [key]).index == 7
    lines = proof.split("\n")
    record = base64.b64decode(lines[1].removeprefix("extra "))
    forged = base64.b64encode(record.replace(b'"v":1', b'"v":2')).decode()
    for changed in (
        proof.replace("index 7", "index 6"),
        proof.replace(lines[1], f"extra {forged}"),
        proof.replace(lines[3] + "\n", ""),
        proof.replace(ORIGIN, f"{NAME}/other"),
        proof.replace("tlog-proof@v1", "tlog-proof@v2"),
        "",
    ):
        with pytest.raises(BadNote):
            outside.proved(changed.encode(), [key])


# ---- retention -------------------------------------------------------------------------------------------------------


def trim(path: Path, left: int) -> None:
    """Remove the first records, as retention does."""
    with apsw.Connection(str(path)) as store:
        frontier = Frontier()
        gone: list[Any] = store.execute(
            "SELECT hash FROM audit_leaf WHERE place < ? ORDER BY place", (left,)
        ).fetchall()
        for (hashed,) in gone:
            frontier.append(hashed)
        store.execute("DELETE FROM audit_leaf WHERE place < ?", (left,))
        store.execute("INSERT INTO audit_start VALUES ('default', ?, ?, 0)", (left, frontier.to_bytes()))


@pytest.mark.parametrize("left", [1, 255, 256, 300, 513])
@pytest.mark.parametrize("signed_before", [True, False])
async def test_records_that_left_keep_nobody_from_verifying_the_others(
    attacked: str, key_file: KeyFile, tmp_path: Path, left: int, signed_before: bool
) -> None:
    key = key_file.add()
    async with served(attacked, key_file) as log:
        await log.grow(RECORDS)
        if signed_before:
            await log.sign()
    trim(tmp_path / "swarm.db", left)
    if not signed_before:
        with apsw.Connection(str(tmp_path / "swarm.db")) as store:
            store.execute("DELETE FROM audit_hash; DELETE FROM checkpoint")
    async with served(attacked, key_file) as log:
        await log.grow(100)
        await log.sign()
        head = checkpoints.parse(notes.parse(await log.get(CHECKPOINT)))
        for index in (left, left + 1, 600, head.size - 1):
            assert outside.proved(await log.get(f"{index}/proof"), [key]).index == index
        with pytest.raises(FileMissing):
            await log.get(f"{left - 1}/proof")
        found = await outside.verify(log, [key])

    if signed_before:
        assert (found.status, found.begin) == ("whole", -(-left // 256) * 256)
    else:  # roots of tiles that left before they were stored are nowhere
        assert found.status in ("whole", "incomplete")


async def test_a_checkpoint_that_is_older_than_what_is_left_accuses_nobody(
    attacked: str, key_file: KeyFile, tmp_path: Path
) -> None:
    key = key_file.add()
    folder = Folder(tmp_path / "export")
    async with served(attacked, key_file) as log:
        await log.grow(100)
        await log.sign()
        kept = await log.get(CHECKPOINT)
        await outside.export(log, folder, [key])
        await log.grow(RECORDS)
        await log.sign()
    trim(tmp_path / "swarm.db", 300)
    async with served(attacked, key_file) as log:
        await log.grow(1)
        await log.sign()
        found = await outside.verify(log, [key], since=kept)
        copied = await outside.export(log, folder, [key])

    assert (found.status, copied.status) == ("incomplete", "incomplete")
    assert "cannot be compared any more" in found.reason


@pytest.mark.parametrize("facts", [b"no JSON", b'{"begin": -1, "keys": []}', b'{"keys": []}', b"\xff"])
async def test_what_a_log_says_of_itself_is_checked(key_file: KeyFile, tmp_path: Path, facts: bytes) -> None:
    key = key_file.add()
    folder = Folder(tmp_path / "export")
    async with served("sqlite://:memory:", key_file) as log:
        await log.grow(3)
        await log.sign()
        await outside.export(log, folder, [key])
    folder.put("log", facts)

    assert (await outside.verify(folder, [key])).status == "tampered"


async def test_the_server_signs_by_itself_while_it_runs(store_url: str, key_file: KeyFile) -> None:
    key = key_file.add()
    async with served(store_url, key_file) as log:
        await log.grow(5)
        async with asyncio.timeout(20):
            while (await log.ask(CHECKPOINT)).status != 200:  # noqa: ASYNC110  # the signer looks now and then
                await asyncio.sleep(0.1)

        assert (await outside.verify(log, [key])).status == "whole"
