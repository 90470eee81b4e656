"""Which broker the servers of a store use, and what people see of its address."""

import sys
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client as NatsClient

from swarmkeeper.app import Orchestrator
from swarmkeeper.broker import choose, name_of_store
from swarmkeeper.broker.addresses import BrokerRefused, checked, shown
from swarmkeeper.broker.local import LocalBroker
from swarmkeeper.broker.nats import NatsBroker
from swarmkeeper.broker.postgres import PostgresBroker
from swarmkeeper.broker.remote import RemoteBroker
from swarmkeeper.broker.valkey import ValkeyBroker
from swarmkeeper.settings import BadSetting, Settings, read
from tests.broker.suite import heard, running, until
from tests.cli.shell import Shell
from tests.http.conftest import Caller, Fleet
from tests.http.test_work import planned
from tests.support.brokers import NatsServer, ValkeyServer
from tests.support.postgres import server

POSTGRES = "postgresql://someone@db/swarm"


@pytest.fixture
def store_url() -> str:
    return server().new_store()


def chosen(address: str, store: str = POSTGRES, *, shared: bool = True) -> LocalBroker | RemoteBroker:
    return choose(address, store, shared=shared, own="this-server", log=unlogged)("store")


def unlogged(event: str, **fields: Any) -> None:
    """Log nothing."""


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("", PostgresBroker),
        ("nats://host", NatsBroker),
        ("tls://someone:secret@host:4222", NatsBroker),
        ("valkey://host/1", ValkeyBroker),
        ("valkeys://host", ValkeyBroker),
        ("redis://:secret@host:6379", ValkeyBroker),
        ("rediss://host?ssl_cert_reqs=none", ValkeyBroker),
    ],
)
async def test_the_address_says_which_broker_it_is(address: str, kind: type) -> None:
    assert type(chosen(checked(address))) is kind


async def test_a_store_in_sqlite_has_a_broker_of_its_own_and_refuses_others() -> None:
    assert type(chosen("", "sqlite:///a.db", shared=False)) is LocalBroker
    with pytest.raises(BrokerRefused, match="SQLite has one server"):
        chosen("nats://host", "sqlite:///a.db", shared=False)


@pytest.mark.parametrize("module", ["nats", "valkey"])
def test_without_its_driver_a_broker_says_what_to_install(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, f"swarmkeeper.broker.{module}")
    monkeypatch.setattr(sys, "path", [place for place in sys.path if not (Path(place) / module).is_dir()])

    with pytest.raises(BrokerRefused, match=rf"pip install 'swarmkeeper\[{module}\]'"):
        chosen(f"{module}://host")


@pytest.mark.parametrize(
    "address",
    [
        *(
            "host:4222",
            "http://host",
            "nats://",
            "nats://host:none",
            "nats://host:0",
            "nats://host/path",
            "nats://[::1",
        ),
        *(
            "nats://host?tls=no",
            "valkey://host/first",
            "redis://host/0/1",
            "valkey://host#part",
            "nats://ho st",
            "unix:///a",
        ),
    ],
)
def test_a_wrong_address_is_refused_where_it_is_set_and_never_shown(address: str) -> None:
    with pytest.raises(BadSetting) as refused:
        read(environ={"SWARMKEEPER_BROKER": address})

    assert str(refused.value).startswith("SWARMKEEPER_BROKER: expected nats://")
    assert "hidden" not in str(refused.value)


def test_a_wrong_option_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(BrokerRefused, match="option"):
        chosen("valkey://someone:hidden@host?no_such_option=1")


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("nats://token-hidden@host:4222", "nats://host:4222"),
        ("rediss://someone:hidden@host/1?password=hidden", "rediss://host/1"),
    ],
)
def test_an_address_is_shown_without_what_is_secret(address: str, seen: str) -> None:
    assert shown(address) == seen
    assert "hidden" not in repr(Settings(broker=address))


def test_the_command_that_explains_settings_hides_passwords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(tmp_path, monkeypatch, capsys)
    shell.set(
        SWARMKEEPER_BROKER="nats://someone:hidden@host:4222", SWARMKEEPER_STORE="postgresql://someone:hidden@host/swarm"
    )
    for arguments in (["broker"], ["store"], [], ["--json"]):
        said = shell("config", "explain", *arguments)

        assert "hidden" not in said.out + said.err
        assert "host" in said.out


async def test_a_server_of_a_store_in_sqlite_refuses_a_broker_and_leaves_no_file(tmp_path: Path) -> None:
    store = tmp_path / "swarm.db"
    with pytest.raises(BadSetting, match=r"^broker: a store in SQLite has one server"):
        async with Orchestrator(Settings(store=f"sqlite:///{store}", broker="nats://someone:hidden@127.0.0.1:1")):
            pass

    assert not store.exists()


def test_the_name_of_a_store_depends_on_its_secret_and_does_not_tell_it() -> None:
    names = {name_of_store(bytes([number]) * 32) for number in range(100)}

    assert len(names) == 100
    assert all(len(name) == 16 and name.isalnum() for name in names)


async def test_servers_of_one_store_exchange_hints_through_the_broker_that_is_set(
    store_url: str, tmp_path: Path
) -> None:
    with NatsServer(tmp_path, secret="hidden") as nats:
        settings = Settings(store=store_url, broker=nats.url)
        listener = NatsClient()
        await listener.connect(nats.url)
        messages: list[str] = []

        async def keep(message: Any) -> None:
            messages.append(message.subject)

        await listener.subscribe("swarmkeeper-hints.*.look", cb=keep)
        async with Orchestrator(settings) as a, Orchestrator(settings) as b:
            assert type(a.broker) is type(b.broker) is NatsBroker
            await until(lambda: a.broker.is_connected and b.broker.is_connected)  # type: ignore[union-attr]  # see above
            bot = await Fleet(a).bot("Executor")
            await planned(Caller(a.app, await a.make_key("client")), "x")
            async with b.broker.subscribe("look") as hints:
                await planned(Caller(a.app, await a.make_key("client")), "y")
                queues = await heard(hints)
            answer = await bot.lease(wait_seconds=5)
        await listener.close()

    assert queues.replace(b",", b"").isdigit()
    assert answer.json["leases"]
    assert len(set(messages)) == 1


async def test_a_server_runs_although_its_broker_does_not(
    store_url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    valkey = ValkeyServer(tmp_path, secret="hidden")
    async with Orchestrator(Settings(store=store_url, broker=valkey.url, log_format="json")) as swarm:
        bot = await Fleet(swarm).bot("Executor")
        await planned(Caller(swarm.app, await swarm.make_key("client")), "x")

        assert (await bot.lease(wait_seconds=5)).json["leases"]
    said = capfd.readouterr().err
    assert '"event": "broker_lost"' in said
    assert f'"broker": "valkey://127.0.0.1:{valkey.port}"' in said
    assert "hidden" not in said


@pytest.mark.parametrize("kind", [NatsServer, ValkeyServer])
async def test_a_password_lets_in_and_a_wrong_one_does_not(
    kind: type[NatsServer] | type[ValkeyServer], tmp_path: Path
) -> None:
    logged: list[Any] = []
    with kind(tmp_path, secret="hidden") as broker:
        right = chosen(broker.url)
        wrong = choose(
            broker.url.replace("hidden", "mistaken"),
            *(POSTGRES,),
            shared=True,
            own="this-server",
            log=lambda event, **fields: logged.append((event, fields)),
        )("store")
        assert isinstance(right, RemoteBroker)
        assert isinstance(wrong, RemoteBroker)
        async with running(right), running(wrong, connected=False):
            await until(lambda: bool(logged))

    assert logged[0][0] == "broker_lost"
    assert "hidden" not in str(logged)
    assert "mistaken" not in str(logged)


async def test_credentials_are_not_sent_in_the_clear_if_the_address_says_tls(tmp_path: Path) -> None:
    logged: list[Any] = []
    with NatsServer(tmp_path, secret="hidden") as nats:
        broker = NatsBroker(
            nats.url.replace("nats://", "tls://"), "store", lambda event, **fields: logged.append((event, fields))
        )
        async with running(broker, connected=False):
            await until(lambda: bool(logged))

    assert "offers no TLS" in logged[0][1]["reason"]
