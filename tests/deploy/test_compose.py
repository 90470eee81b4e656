"""compose.yaml is valid, names what exists, and lets no service do more than it needs."""

import asyncio
import importlib.util
import re
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import pytest
import yaml

from swarmkeeper import sync
from swarmkeeper.broker.nats import connect
from swarmkeeper.broker.remote import ConnectionLost
from swarmkeeper.sdk.runner import DRAIN_SECONDS
from swarmkeeper.settings import BY_NAME, Settings
from tests.acceptance.server import Server
from tests.support.brokers import NatsServer
from tests.tidy.tree import ROOT

SCHEMA = resources.files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json")
VALID = jsonschema_rs.validator_for(SCHEMA.read_text(encoding="utf-8"))
FILE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
BOTS = ("planner", "executor", "evaluator")


class _Overlay(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types here
    """Reads a file that replaces parts of another one."""


_Overlay.add_constructor("!reset", lambda loader, node: RESET)
RESET = "reset"
OVER = yaml.load((ROOT / "compose.postgresql.yaml").read_text(encoding="utf-8"), Loader=_Overlay)  # it is a SafeLoader
NEW: dict[str, dict[str, Any]] = {name: made for name, made in OVER["services"].items() if name not in SERVICES}


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def test_it_is_a_valid_compose_file() -> None:
    assert [error.message for error in VALID.iter_errors(FILE)] == []
    assert not VALID.is_valid({**FILE, "services": {"orchestrator": {"imag": "swarmkeeper"}}})


@pytest.mark.parametrize("name", [*SERVICES, *NEW])
def test_every_service_has_a_read_only_root_and_no_capability(name: str) -> None:
    service = {**SERVICES, **NEW}[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert [port for port in service.get("ports", ()) if not port.startswith("127.0.0.1:")] == []
    assert ":" in service["image"] or service["image"] in ("swarmkeeper", "swarmkeeper-bot")


def test_what_it_mounts_builds_and_waits_for_exists() -> None:
    targets = re.findall(r"^FROM .+ AS (\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in FILE["volumes"], volume
        assert service.get("build", {"target": "bot"})["target"] in targets
        assert service.get("depends_on", {}).keys() <= SERVICES.keys()


def test_each_bot_runs_an_example_with_the_key_that_is_made_for_it() -> None:
    assert dict(word.split("=") for word in SERVICES["keys"]["command"]) == {
        **{name: f"bot:{name}" for name in BOTS},
        "prometheus": "operator",
    }
    for name in BOTS:
        [program] = SERVICES[name]["command"]
        assert (ROOT / "examples" / program).is_file()
        assert SERVICES[name]["environment"]["SWARMKEEPER_API_KEY_FILE"] == f"/run/keys/{name}.key"
        assert SERVICES[name]["depends_on"] == {"keys": {"condition": "service_completed_successfully"}}


def test_every_variable_of_ours_is_a_setting() -> None:
    named = {name for service in SERVICES.values() for name in service.get("environment", ()) if "GF_" not in name}

    assert {name.removeprefix("SWARMKEEPER_").lower() for name in named} <= set(BY_NAME)


def test_nothing_is_killed_while_it_finishes_its_work() -> None:
    assert seconds(SERVICES["orchestrator"]["stop_grace_period"]) > 2 * Settings().stop_seconds
    for name in BOTS:
        assert seconds(SERVICES[name]["stop_grace_period"]) > DRAIN_SECONDS + 5


# ---- two orchestrators, PostgreSQL and NATS --------------------------------------------------------------------------


def _merged() -> dict[str, Any]:
    """Return the services of both files together, as far as these files need it."""
    merged = {name: dict(service) for name, service in SERVICES.items()} | NEW
    for name in OVER["services"].keys() & SERVICES.keys():
        for part, value in OVER["services"][name].items():
            if value == RESET:
                merged[name].pop(part, None)
            elif isinstance(value, dict):
                merged[name][part] = {**merged[name].get(part, {}), **value}
            else:
                raise AssertionError(f"{name}: {part} is neither a mapping nor taken away")
    return merged


def test_both_files_together_are_a_valid_compose_file() -> None:
    volumes = {**FILE["volumes"], **OVER["volumes"]}
    merged = {**FILE, "services": _merged(), "volumes": volumes}

    assert [error.message for error in VALID.iter_errors(merged)] == []
    for service in _merged().values():
        assert service.get("depends_on", {}).keys() <= merged["services"].keys()
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in volumes, volume


def test_several_orchestrators_share_what_must_be_shared_and_no_port_or_file() -> None:
    orchestrator = _merged()["orchestrator"]
    settings = {
        name.removeprefix("SWARMKEEPER_").lower(): value
        for name, value in orchestrator["environment"].items()
        if name.startswith("SWARMKEEPER_") and "$" not in value
    }

    assert orchestrator["deploy"] == {"replicas": 2}
    assert not orchestrator.keys() & {"ports", "volumes"}
    assert settings.keys() == {"store", "insecure"}
    assert settings.keys() <= BY_NAME.keys()
    assert urlsplit(settings["store"]).hostname in NEW


def test_everybody_calls_through_the_load_balancer_which_asks_whether_a_server_is_ready() -> None:
    config = (ROOT / "deploy" / "compose" / "haproxy.cfg").read_text(encoding="utf-8")
    waits = {int(found) for found in re.findall(r"timeout (?:client|server) (\d+)s", config)}

    for name in ("keys", *BOTS):
        assert _merged()[name]["environment"]["SWARMKEEPER_URL"] == "http://door:7700"
    assert "httpchk GET /readyz" in config
    assert "orchestrator:7700 resolvers" in config
    assert min(waits) > Settings().wait_seconds_max


# ---- passwords -------------------------------------------------------------------------------------------------------


def filled(value: str, given: Mapping[str, str]) -> str:
    """Return a value with its variables replaced as Compose does. Raises KeyError for a required one that is absent."""

    def replaced(found: re.Match[str]) -> str:
        name, required = found.groups()
        assert required, f"{name} may be missing, and its value would be empty"
        return given[name]

    return re.sub(r"\$\{(\w+)(:\?[^}]+)?\}", replaced, value)


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("orchestrator", "SWARMKEEPER_BOOTSTRAP_KEY"),
        ("orchestrator", "SWARMKEEPER_PEPPER"),
        ("orchestrator", "SWARMKEEPER_BROKER"),
        ("orchestrator", "SWARMKEEPER_STREAM"),
        ("orchestrator", "PGPASSWORD"),
        ("keys", "SWARMKEEPER_API_KEY"),
        ("postgres", "POSTGRES_PASSWORD"),
        ("nats", "NATS_PASSWORD"),
    ],
)
def test_every_secret_comes_from_the_environment_and_is_refused_if_it_is_missing(name: str, variable: str) -> None:
    value = _merged()[name]["environment"][variable]

    with pytest.raises(KeyError):
        filled(value, {})


def test_no_service_has_a_default_account() -> None:
    grafana = SERVICES["grafana"]["environment"]
    nats = _merged()["nats"]

    assert grafana == {
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
        "GF_AUTH_DISABLE_LOGIN_FORM": "true",
        "GF_AUTH_BASIC_ENABLED": "false",
        "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true",
    }
    assert nats["command"][-2:] == ["-c", "/etc/nats/swarmkeeper.conf"]
    assert "./deploy/compose/nats.conf:/etc/nats/swarmkeeper.conf:ro" in nats["volumes"]


def test_the_documented_command_makes_every_secret_of_both_files() -> None:
    required = set(re.findall(r"\$\{(\w+):\?", (ROOT / "compose.yaml").read_text(encoding="utf-8")))
    required |= set(re.findall(r"\$\{(\w+):\?", (ROOT / "compose.postgresql.yaml").read_text(encoding="utf-8")))
    guide = (ROOT / "docs" / "guides" / "run-as-a-service.md").read_text(encoding="utf-8")
    [listed] = re.findall(r"for name in ([A-Z_ ]+); do", guide)
    [above] = re.findall(r"for name in ([A-Z_ ]+); do", (ROOT / "compose.postgresql.yaml").read_text(encoding="utf-8"))

    assert listed == above
    assert {*listed.split(), "SWARMKEEPER_BOOTSTRAP_KEY"} == required


class ComposedNats(NatsServer):
    """NATS with the options and the file of the compose file, on a port and in a folder of its own."""

    def command(self) -> list[str]:
        file = ROOT / "deploy" / "compose" / "nats.conf"
        program, *_ = super().command()
        return [
            program,
            "--addr",
            "127.0.0.1",
            "--port",
            str(self.port),
            "-js",
            "-sd",
            str(self.folder),
            "-c",
            str(file),
        ]


@pytest.mark.parametrize("password", ["3e10", "0" * 64, "f" * 64])
def test_nats_lets_in_who_has_the_password_and_nobody_else(
    password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = _merged()
    monkeypatch.setenv(
        "NATS_PASSWORD", filled(services["nats"]["environment"]["NATS_PASSWORD"], {"NATS_PASSWORD": password})
    )
    address = filled(services["orchestrator"]["environment"]["SWARMKEEPER_BROKER"], {"NATS_PASSWORD": password})

    async def lets_in(url: str) -> bool:
        try:
            connection = await connect(url, closed=lambda: None)
        except ConnectionLost:
            return False
        await connection.close()
        return True

    with ComposedNats(tmp_path) as server:
        here = f"127.0.0.1:{server.port}"
        right = address.replace("nats:4222", here)
        tried = [right, f"nats://{here}", right.replace(password, "wrong")]
        assert [asyncio.run(lets_in(url)) for url in tried] == [True, False, False]


# ---- the keys of the others ------------------------------------------------------------------------------------------


def make_keys() -> Callable[[Path, dict[str, str]], None]:
    spec = importlib.util.spec_from_file_location("make_keys", ROOT / "deploy" / "compose" / "make_keys.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main: Callable[[Path, dict[str, str]], None] = module.main
    return main


def test_keys_are_made_once_and_the_group_may_read_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"counter": "bot:executor", "prometheus": "operator"}
    folder = tmp_path / "keys"
    folder.mkdir()
    with Server(tmp_path / "store.db") as server:
        monkeypatch.setenv("SWARMKEEPER_URL", server.url)
        monkeypatch.setenv("SWARMKEEPER_API_KEY", server.key("admin"))
        make_keys()(folder, wanted)
        made = {file.name: file.read_text() for file in folder.iterdir()}
        make_keys()(folder, wanted)
        with sync.Client() as client:
            keys = list(client.keys())

    assert made == {file.name: file.read_text() for file in folder.iterdir()}
    assert sorted(made) == ["counter.key", "prometheus.key"]
    assert sorted((str(key.role), str(key.bot)) for key in keys if key.role != "admin") == [
        ("bot:executor", "counter"),
        ("operator", "None"),
    ]
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o640}
    assert folder.stat().st_mode & 0o777 == 0o750
