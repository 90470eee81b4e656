"""The first key of an empty store, which the settings name: created once, by one server, and never again."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.access.first_key import create_first_key
from swarmkeeper.app import Orchestrator
from swarmkeeper.broker.local import LocalBroker
from swarmkeeper.clock import SystemClock, SystemEntropy
from swarmkeeper.core.model import Limits
from swarmkeeper.core.ports import Store
from swarmkeeper.engine.loop import Engine
from swarmkeeper.govern import keys
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.observe.logs import Log
from swarmkeeper.settings import BadSetting, Settings
from swarmkeeper.storage.sqlite.store import SqliteStore
from tests.http.conftest import Caller

FIRST = keys.new_key(bytes(range(32)))
OTHER = keys.new_key(bytes(range(1, 33)))
RULES = Rulebook(Redactor.default())


class Servers:
    """Starts a server on one store again and again; `lines` is what they log of the first key."""

    def __init__(self, folder: Path) -> None:
        self._store = f"sqlite:///{folder / 'store.db'}"
        self.written = io.StringIO()

    @asynccontextmanager
    async def started(self, **settings: Any) -> AsyncIterator[Orchestrator]:
        log = Log(self.written, RULES, SystemClock().now)
        async with Orchestrator(Settings(store=self._store, **settings), log=log) as swarm:
            yield swarm

    @property
    def lines(self) -> list[str]:
        events = [json.loads(line)["event"] for line in self.written.getvalue().splitlines()]
        return [event for event in events if event.startswith("bootstrap_key")]


@pytest.fixture
def servers(tmp_path: Path) -> Servers:
    return Servers(tmp_path)


async def listed(store: Store) -> list[str]:
    """Return the ids of all keys."""
    return [row["id"] for row in await store.read("keys_page", {"tenant": "default", "after": "", "limit": 100})]


async def test_an_empty_store_gets_the_named_key_as_its_administrators_key(servers: Servers) -> None:
    async with servers.started(bootstrap_key=FIRST.text) as swarm:
        admin = Caller(swarm.app, FIRST.text)
        (key,) = (await admin.get("/keys")).json["items"]
        records = (await admin.get("/audit")).json["items"]

    assert (key["role"], key["expires_at"]) == ("admin", None)
    assert [(record["action"], record["actor"]["id"], record["resource"]) for record in records] == [
        ("key.create", "bootstrap", key["id"])
    ]
    assert servers.lines == ["bootstrap_key_created"]
    assert FIRST.secret not in servers.written.getvalue()


async def test_a_restart_with_the_same_setting_changes_nothing_and_says_so(servers: Servers) -> None:
    async with servers.started(bootstrap_key=FIRST.text) as swarm:
        before = await listed(swarm.store)
    async with servers.started(bootstrap_key=FIRST.text) as swarm:
        assert await swarm.knows(FIRST.text)
        assert await listed(swarm.store) == before

    assert servers.lines == ["bootstrap_key_created", "bootstrap_key_unused"]


async def test_a_store_with_keys_takes_no_other_and_the_file_may_be_gone(servers: Servers, tmp_path: Path) -> None:
    async with servers.started() as swarm:
        await swarm.make_key("client")
    async with servers.started(bootstrap_key=FIRST.text) as swarm:
        assert not await swarm.knows(FIRST.text)
    async with servers.started(bootstrap_key_file=str(tmp_path / "deleted")):
        pass

    assert servers.lines == ["bootstrap_key_unused"] * 2


async def test_a_revoked_first_key_does_not_come_back(servers: Servers) -> None:
    async with servers.started(bootstrap_key=FIRST.text) as swarm:
        admin = Caller(swarm.app, FIRST.text)
        (key,) = (await admin.get("/keys")).json["items"]
        assert (await admin.post(f"/keys/{key['id']}:revoke")).status == 200
    async with servers.started(bootstrap_key=FIRST.text) as swarm:
        assert not await swarm.knows(FIRST.text)


WEAK = keys.written("bootstrap0", "abcdefghijk" * 3 + "aaaaaaaaaa")


@pytest.mark.parametrize(
    ("text", "why"),
    [("secret", "expected a whole key"), (FIRST.text[:-1] + "0", "expected a whole key"), (WEAK, "can be guessed")],
)
@pytest.mark.parametrize("name", ["bootstrap_key", "bootstrap_key_file"])
async def test_what_is_no_key_or_can_be_guessed_is_refused_without_showing_it(
    servers: Servers, tmp_path: Path, name: str, text: str, why: str
) -> None:
    file = tmp_path / "first.key"
    file.write_text(text + "\n")
    file.chmod(0o600)
    value = text if name == "bootstrap_key" else str(file)

    with pytest.raises(BadSetting, match=f"^{name}: .*{why}") as refused:
        async with servers.started(**{name: value}):
            pass

    assert text not in str(refused.value)
    assert servers.lines == []
    async with servers.started() as swarm:
        assert not await swarm.has_keys()


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o666])
async def test_a_file_with_the_first_key_that_everyone_may_read_is_refused(
    servers: Servers, tmp_path: Path, mode: int
) -> None:
    file = tmp_path / "first.key"
    file.write_text(FIRST.text)
    file.chmod(mode)

    with pytest.raises(BadSetting, match="bootstrap_key_file: everyone on this machine may read the file"):
        async with servers.started(bootstrap_key_file=str(file)):
            pass


@pytest.mark.parametrize("second", [FIRST, OTHER])
async def test_servers_that_start_at_the_same_moment_create_one_key(second: keys.NewKey) -> None:
    store = SqliteStore("sqlite://:memory:")
    await store.open()
    log: list[str] = []

    async def start(key: keys.NewKey) -> None:
        engine = Engine(
            store,
            clock=SystemClock(),
            entropy=SystemEntropy(),
            rules=RULES,
            limits=Limits(),
            broker=LocalBroker(),
            log=lambda event, **fields: None,
        )
        await engine.start(alone=False)
        await create_first_key(
            engine,
            lambda: (key.public_id, key.secret),
            lambda secret: keys.digest(b"pepper", secret),
            lambda event, **fields: log.append(event),
            has_keys=False,  # both have looked before either has written
        )

    await asyncio.gather(start(FIRST), start(second))
    ids = await listed(store)
    await store.close()

    assert len(ids) == 1
    created = ["bootstrap_key_created"] * 2
    assert sorted(log) == (created if second is FIRST else ["bootstrap_key_created", "bootstrap_key_unused"])
