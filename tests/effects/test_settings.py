"""What an operator sets has its effect on a swarm that runs with it. Those of commands, on commands."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator, make_log
from swarmkeeper.clock import SystemClock
from swarmkeeper.govern.keys import new_key
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.sdk.client import Client
from swarmkeeper.server import serving
from swarmkeeper.settings import Settings
from tests.cli.shell import Shell
from tests.effects.conftest import attempt_seconds, ended, submitted
from tests.http.conftest import Caller, Fleet


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[tuple[Orchestrator, Caller]]:
    """A swarm with these settings, and a caller who may do everything."""
    async with Orchestrator(Settings(**{"store": "sqlite://:memory:", **settings})) as swarm:
        yield swarm, Caller(swarm.app, await swarm.make_key("admin"))


async def test_the_rules_that_were_set_hide_what_they_say(tmp_path: Path) -> None:
    rules, others = tmp_path / "redaction.toml", tmp_path / "gitleaks.toml"
    rules.write_text('version = 1\n[[field]]\nid = "pin"\nkeys = ["pin"]\nhit = ["PIN"]\nmiss = ["pins"]')
    others.write_text('[[rules]]\nid = "badge"\nregex = "badge-[0-9]{4}"\nkeywords = ["badge"]')

    async with running(redaction=f"{rules}, {others}") as (_, admin):
        tested = await admin.post("/redaction:test", {"value": {"pin": 1, "note": "badge-1234"}})

    assert tested.json["value"] == {"pin": "[redacted:pin]", "note": "[redacted:gitleaks-badge]"}


# ---- where ---------------------------------------------------------------------------------------------------------


async def test_everything_is_kept_in_the_store_that_was_named(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'here.db'}"
    async with running(store=store) as (_, admin):
        task_id = await submitted(admin, "a")

    assert (tmp_path / "here.db").is_file()
    async with running(store=store) as (_, admin):
        assert (await admin.get(f"/tasks/{task_id}")).status == 200


async def test_a_server_listens_on_the_port_that_was_set() -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]

    async with serving(Settings(store="sqlite://:memory:", port=port, log_level="error")) as served:
        client = Client(f"http://127.0.0.1:{port}", await served.swarm.make_key("client"))
        assert (await client.health()).status == "ok"
        await client.aclose()


async def test_links_begin_with_the_public_url() -> None:
    async with running(public_url="https://swarm.example") as (_, admin):
        made = await admin.post("/tasks", {"title": "x"})

        assert made.headers["location"] == f"https://swarm.example/tasks/{made.json['id']}"


async def test_behind_a_root_path_calls_and_links_have_it() -> None:
    async with running(root_path="/swarm") as (_, admin):
        made = await admin.post("/swarm/tasks", {"title": "x"})

        assert (made.status, made.headers["location"]) == (201, f"/swarm/tasks/{made.json['id']}")


async def test_whoever_a_trusted_proxy_names_is_the_caller() -> None:
    async with running(trusted_proxy="127.0.0.0/8") as (swarm, _):
        proxy = Caller(swarm.app)
        guesses = [await proxy.get("/tasks", x_forwarded_for="1.1.1.1") for _ in range(11)]

        assert guesses[-1].status == 429
        assert (await proxy.get("/tasks", x_forwarded_for="2.2.2.2")).status == 401


@pytest.mark.parametrize(("set_to", "sees_all"), [("acme", True), ("default", False), ("", False)])
async def test_the_operators_tenant_sees_figures_of_all_tenants(set_to: str, sees_all: bool) -> None:
    async with running(operator_tenant=set_to) as (swarm, admin):
        await admin.post("/tasks", {"title": "x"})
        operator = Caller(swarm.app, await swarm.make_key("operator", tenant="acme"))

        assert (b"swarmkeeper_commands_total" in (await operator.get("/metrics")).body) == sees_all
        assert ("waiting_commands" in (await operator.get("/readyz?verbose=true")).json) == sees_all


async def test_open_metrics_need_no_key_on_this_machine() -> None:
    async with running(metrics_open=True) as (swarm, _):
        assert (await Caller(swarm.app).get("/metrics")).status == 200


# ---- what is logged ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "lines"), [("debug", 2), ("info", 1), ("error", 0)])
def test_no_less_than_the_log_level_is_logged(level: str, lines: int, capsys: pytest.CaptureFixture[str]) -> None:
    log = make_log(Settings(log_level=level), Rulebook(Redactor.default()), SystemClock())

    log("request", path="/tasks")
    log("started")

    assert len(capsys.readouterr().err.splitlines()) == lines


@pytest.mark.parametrize("as_json", [True, False])
def test_it_is_logged_in_the_format_that_was_set(
    as_json: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where it is left to the terminal, each of the two would come out the other way.
    monkeypatch.setattr("sys.stderr.isatty", lambda: as_json)
    settings = Settings(log_format="json" if as_json else "text")

    make_log(settings, Rulebook(Redactor.default()), SystemClock())("started")

    assert capsys.readouterr().err.startswith("{") is as_json


# ---- bounds and defaults -------------------------------------------------------------------------------------------


async def test_leases_and_attempts_are_as_long_as_was_set_where_nobody_says() -> None:
    async with running(lease_seconds=60, timeout_seconds=7200) as (swarm, admin):
        await submitted(admin, "a")

        lease = await (await Fleet(swarm).bot("Executor")).one()

        assert lease["heartbeat_after_seconds"] == 20
        assert attempt_seconds(lease, 60) == 7200


async def test_work_waits_for_a_bot_as_long_as_was_set_where_nobody_says() -> None:
    async with running(schedule_to_start_seconds=1) as (_, admin):
        task = await ended(admin, await submitted(admin, "a"))

        assert (task["outcome"], task["failure"]["code"]) == ("expired", "no_taker")


async def test_work_is_tried_as_often_as_was_set_where_nobody_says() -> None:
    async with running(max_attempts=1) as (swarm, admin):
        await submitted(admin, "a")
        bot = await Fleet(swarm).bot("Executor")

        assert (await bot.report(await bot.one(), error={"message": "no"})).json["task_status"] == "FAILED"


class Forward(SystemClock):
    """A clock that may be set forward."""

    ahead = 0

    def monotonic(self) -> int:
        return super().monotonic() + self.ahead


async def test_an_idempotency_key_is_forgotten_after_the_time_that_was_set() -> None:
    clock = Forward()
    settings = Settings(store="sqlite://:memory:", idempotency_seconds=60)
    async with Orchestrator(settings, clock=clock) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        first = await admin.post("/tasks", {"title": "x"}, idempotency_key="k")
        clock.ahead = 59_000_000
        within = await admin.post("/tasks", {"title": "x"}, idempotency_key="k")
        clock.ahead = 61_000_000
        after = await admin.post("/tasks", {"title": "x"}, idempotency_key="k")

    assert (within.json["id"], after.status) == (first.json["id"], 201)
    assert after.json["id"] != first.json["id"]


async def test_nobody_is_held_back_longer_than_was_set() -> None:
    async with running(wait_seconds_max=0.02) as (swarm, admin):
        bot = await Fleet(swarm).bot("Executor")
        task_id = await submitted(admin)
        async with asyncio.timeout(5):
            assert (await bot.lease(wait_seconds=60)).json["leases"] == []
            assert (await admin.get(f"/tasks/{task_id}?wait_seconds=60")).json["outcome"] is None


async def test_no_more_commands_wait_than_was_set() -> None:
    async with running(queue_commands=2) as (_, admin):
        answer = await admin.post("/tasks:batch", {"tasks": [{"title": "x"}] * 4})

        assert [each["status"] for each in answer.json["results"]] == [201, 201, 503, 503]


async def test_a_server_that_stops_waits_for_its_answers_as_long_as_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, forever = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    async def hangs(*args: object, **named: object) -> None:
        asked.set()
        await forever.wait()

    settings = Settings(store="sqlite://:memory:", port=0, stop_seconds=1, log_level="error")
    async with serving(settings) as served:
        monkeypatch.setattr(served.swarm.app.state.services.queries, "tasks", hangs)
        client = Client(served.url, await served.swarm.make_key("client"))
        asking = asyncio.ensure_future(client.call("GET", "/tasks"))
        await asked.wait()
        stopped_at = loop.time()
    waited = loop.time() - stopped_at
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await client.aclose()

    assert 0.9 < waited < 6


# ---- secrets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_a_file", [True, False])
async def test_keys_are_good_with_the_pepper_that_they_were_made_with_and_no_other(
    tmp_path: Path, in_a_file: bool
) -> None:
    def pepper(text: str) -> dict[str, str]:
        if not in_a_file:
            return {"pepper": text}
        file = tmp_path / text
        file.write_text(text)
        file.chmod(0o600)
        return {"pepper_file": str(file)}

    store = f"sqlite:///{tmp_path / 'a.db'}"
    async with running(store=store, **pepper("red")) as (_, admin):
        key = str(admin.key)

    async with running(store=store, **pepper("red")) as (swarm, _):
        assert await swarm.knows(key)
    async with running(store=store, **pepper("green")) as (swarm, _):
        assert not await swarm.knows(key)


@pytest.mark.parametrize("in_a_file", [True, False])
async def test_the_first_key_of_a_store_is_the_one_that_was_set(tmp_path: Path, in_a_file: bool) -> None:
    text = new_key(bytes(range(32))).text
    file = tmp_path / "first.key"
    file.write_text(text + "\n")
    file.chmod(0o600)
    setting = {"bootstrap_key_file": str(file)} if in_a_file else {"bootstrap_key": text}

    async with running(**setting) as (swarm, _):
        assert (await Caller(swarm.app, text).get("/keys")).status == 200


# ---- what commands use ---------------------------------------------------------------------------------------------


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("in_a_file", [True, False])
async def test_commands_speak_to_the_server_that_was_set_with_the_key_that_was_set(
    shell: Shell, in_a_file: bool
) -> None:
    async with serving(Settings(store="sqlite://:memory:", port=0, log_level="error")) as served:
        key = await served.swarm.make_key("client")
        file = shell.folder / "a.key"
        file.write_text(key)
        file.chmod(0o600)
        secret = {"SWARMKEEPER_API_KEY_FILE": str(file)} if in_a_file else {"SWARMKEEPER_API_KEY": key}
        shell.set(SWARMKEEPER_URL=served.url, **secret)

        said = await asyncio.to_thread(shell, "submit", "Count", "--json")

    assert (said.code, json.loads(said.out)["title"]) == (0, "Count")
