"""Where settings come from, which source wins, and what is refused."""

from pathlib import Path

import pytest

from swarmkeeper import settings
from swarmkeeper.settings import SETTINGS, BadSetting, Settings, read, unread


def write(folder: Path, text: str, *, dev: str | None = None) -> Path:
    (folder / "swarmkeeper.toml").write_text(text)
    if dev is not None:
        (folder / ".swarmkeeper").mkdir()
        (folder / ".swarmkeeper" / "settings.toml").write_text(dev)
    return folder


def test_a_flag_goes_before_the_environment_the_dev_folder_the_file_and_the_default(tmp_path: Path) -> None:
    write(
        tmp_path,
        'port = 1\nhost = "a"\nlog_level = "error"\nmax_attempts = 9',
        dev='port = 2\nhost = "b"\nlog_level = "debug"',
    )
    environ = {"SWARMKEEPER_PORT": "3", "SWARMKEEPER_HOST": "c"}

    found = read({"port": "4", "host": None}, environ=environ, folder=tmp_path)

    assert found.settings.port == 4
    assert found.settings.host == "c"
    assert found.settings.log_level == "debug"
    assert found.settings.max_attempts == 9
    assert found.settings.queue_commands == 10_000


def test_explain_names_the_source_that_won_and_those_that_did_not(tmp_path: Path) -> None:
    write(tmp_path, "port = 1", dev="port = 2")

    given = read({"port": "4"}, environ={"SWARMKEEPER_PORT": "3"}, folder=tmp_path).explain("port")

    assert [(value.source, value.value) for value in given] == [
        ("flag", 4),
        ("environment", 3),
        (".swarmkeeper", 2),
        ("swarmkeeper.toml", 1),
        ("default", 7700),
    ]
    assert given[1].place == "SWARMKEEPER_PORT"


def test_an_unknown_key_is_refused_with_its_place_and_what_was_probably_meant(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"swarmkeeper.toml: 'prot' is not a setting: did you mean 'port'\?"):
        read(environ={}, folder=write(tmp_path, "prot = 1"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "70000"),
        ("port", "http"),
        ("port", "1.5"),
        ("host", " "),
        ("store", ""),
        ("log_level", "loud"),
        ("metrics_open", "maybe"),
        ("lease_seconds", "-17"),
        ("lease_seconds", "nan"),
        ("trusted_proxy", "10.0.0.0/8,home"),
        ("public_url", "example.org"),
        ("url", "http://user:secret@example.org"),
        ("root_path", "swarm"),
    ],
)
def test_an_invalid_value_is_refused_with_its_position_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(BadSetting) as refused:
        read({name: value}, environ={}, folder=Path("/nowhere"))

    assert str(refused.value).startswith(f"--{name.replace('_', '-')}: ")
    if value.strip():
        assert value not in str(refused.value)


def test_a_file_must_be_toml_and_hold_values_of_the_right_kind(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"swarmkeeper.toml: not TOML"):
        read(environ={}, folder=write(tmp_path, "port ="))
    with pytest.raises(BadSetting, match=r"swarmkeeper.toml: metrics_open: expected true or false"):
        read(environ={}, folder=write(tmp_path, "metrics_open = 1"))


def test_settings_made_in_code_are_checked_too() -> None:
    with pytest.raises(BadSetting, match="port"):
        Settings(port=-1)


def test_the_nearer_of_a_key_and_a_key_file_holds(tmp_path: Path) -> None:
    write(tmp_path, "", dev='api_key_file = "here.key"')

    found = read(environ={"SWARMKEEPER_API_KEY": "swk_x"}, folder=tmp_path)

    assert found.settings.api_key == "swk_x"
    assert found.settings.api_key_file == ""
    with pytest.raises(BadSetting, match="cannot be used together"):
        read(environ={"SWARMKEEPER_API_KEY": "a", "SWARMKEEPER_API_KEY_FILE": "b"}, folder=tmp_path)


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert read(environ={"SWARMKEEPER_PORT": ""}, folder=Path("/nowhere")).settings.port == 7700


def test_what_kubernetes_puts_beside_a_service_of_our_name_is_left_alone() -> None:
    environ = {
        "SWARMKEEPER_PORT": "tcp://10.0.0.1:7700",
        "SWARMKEEPER_SERVICE_HOST": "10.0.0.1",
        "SWARMKEEPER_PROT": "1",
    }

    assert read(environ=environ, folder=Path("/nowhere")).settings.port == 7700
    assert unread(environ) == ["SWARMKEEPER_PROT"]


def test_secrets_are_not_shown_with_the_settings() -> None:
    shown = repr(Settings(pepper="hot pepper", api_key="swk_secret"))

    assert "hot" not in shown
    assert "swk" not in shown


def test_limits_carry_what_was_set() -> None:
    limits = Settings(
        lease_seconds=2, timeout_seconds=3, schedule_to_start_seconds=4, max_attempts=5, idempotency_seconds=60
    ).limits()

    assert (limits.lease_ttl, limits.timeout, limits.start) == (2_000_000, 3_000_000, 4_000_000)
    assert (limits.max_attempts, limits.idempotency) == (5, 60_000_000)


def test_a_pepper_file_that_everyone_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pepper"
    file.write_text("hot\n")
    file.chmod(0o644)

    with pytest.raises(BadSetting, match="chmod 600"):
        Settings(pepper_file=str(file)).pepper_bytes()
    file.chmod(0o600)
    assert Settings(pepper_file=str(file)).pepper_bytes() == b"hot"
    assert Settings(pepper="x").pepper_bytes() == b"x"
    assert Settings().pepper_bytes() is None


def test_every_setting_says_what_it_means() -> None:
    assert [setting.name for setting in SETTINGS if len(setting.meaning) < 10] == []
    assert {setting.variable for setting in SETTINGS} == {f"SWARMKEEPER_{setting.name.upper()}" for setting in SETTINGS}
    assert set(settings.BY_NAME) == {setting.name for setting in SETTINGS}
