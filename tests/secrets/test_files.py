"""The files of the secrets broker: what is wrong is named by file, table and key. The back ends `env` and `file`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.secrets.references import held, is_name, parse
from swarmkeeper.secrets import config as configs
from swarmkeeper.secrets.config import BackendConfig, BadSecrets
from swarmkeeper.secrets.sealing import BadKeys, KeyRing, keys_of
from swarmkeeper.secrets.sources import EnvSource, FileSource, SourceDown
from swarmkeeper.settings import BadSetting
from tests.secrets.conftest import SECOND, VALUE, Files, running

VAULT = '[backend.v]\nkind = "vault"\naddress = "https://v:8200"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("per_lease = 0", "per_lease must be from 1 to 10000"),
        ('per_lease = "3"', "per_lease must be a whole number"),
        ("nonsense = 1", "nonsense is not known here"),
        ("= 1", "is no TOML"),
        ('[backend.x]\nkind = "nfs"', "backend.x.kind is one of env, file, vault, dynamic"),
        ('[backend.x]\nkind = "env"', "backend.x.prefix is missing"),
        ('[backend.x]\nkind = "env"\nprefix = ""', "backend.x.prefix is empty"),
        ('[backend.x]\nkind = "file"\ndirectory = "etc"', "backend.x.directory is an absolute path"),
        ('[backend.builtin]\nkind = "env"', "backend.builtin the server's own secrets need no table"),
        (VAULT, "backend.v.auth is missing"),
        (VAULT + '[backend.v.auth]\nmethod = "ldap"', "backend.v.auth.method is one of token, approle, kubernetes"),
        (VAULT + '[backend.v.auth]\nmethod = "token"', "backend.v.auth.token_file is missing"),
        ('[backend.v]\nkind = "vault"\naddress = "ftp://x"', "backend.v.address is a URL"),
        ('[backend.v]\nkind = "vault"\naddress = "http://v:8200"', "backend.v.address is https://…: over http://"),
        ('[backend.v]\nkind = "dynamic"\naddress = "http://10.0.0.7:8200"', "backend.v.address is https://…: over"),
        ('[backend.v]\nkind = "vault"\naddress = "http://localhost.evil:1"', "backend.v.address is https://…: over"),
        (f"{VAULT}insecure = true", "backend.v.insecure has a meaning only with an address http://…"),
        (f'{VAULT}insecure = "yes"', "backend.v.insecure is true or false"),
        ('[[secret]]\nname = "../x"', "secret[1].name has letters"),
        ('[[secret]]\nname = "x"\nbackend = "y"', "secret[1].backend is no table `backend` of this file"),
        ('[[secret]]\nname = "x*"\nkey = "y"', "secret[1].key needs {name}"),
        ('[[secret]]\nname = "x"\nallow = {team = "y"}', "secret[1].allow.team is not known here"),
        ('[[secret]]\nname = "x"\nallow = {labels = {team = 3}}', "secret[1].allow.labels.team must be a string"),
        ('key_transit = {backend = "none", key = "k"}', "key_transit.backend is no back end of kind vault"),
    ],
)
def test_what_is_wrong_is_named_by_file_table_and_key(files: Files, text: str, said: str) -> None:
    path = files.config(text)

    with pytest.raises(BadSecrets) as refused:
        configs.read(path)

    assert str(refused.value).startswith(f"{path}: ")
    assert said in str(refused.value)


def test_a_file_that_others_may_read_is_refused(files: Files) -> None:
    path = files.config("")
    Path(path).chmod(0o640)

    with pytest.raises(BadSecrets, match="others on this machine may read it"):
        configs.read(path)
    with pytest.raises(BadSecrets, match="cannot be read"):
        configs.read(f"{path}-absent")
    with pytest.raises(BadSecrets, match="no plain file"):
        configs.read(str(files.folder))


# ---- master keys ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "line"), [("x", 1), ("# a comment\nAAAA", 2), ("\nsecret-words", 2)])
def test_a_line_that_is_no_key_is_named_and_not_shown(text: str, line: int) -> None:
    with pytest.raises(BadKeys, match=f"line {line} is no master key") as refused:
        keys_of(text)

    assert "secret-words" not in str(refused.value)


def test_a_value_opens_only_in_its_own_row_and_unchanged() -> None:
    ring = KeyRing([bytes(32)], os.urandom)
    sealed = ring.seal(VALUE, "secret", "acme", "a", "1")

    assert ring.open(sealed, "secret", "acme", "a", "1") == VALUE
    for other in (("secret", "acme", "a", "2"), ("secret", "acm", "ea", "1"), ("secret", "other", "a", "1")):
        with pytest.raises(BadKeys, match="was changed"):
            ring.open(sealed, *other)


WRONG_KEYS: tuple[tuple[dict[str, str | int], str], ...] = (
    ({}, "encrypted values of secrets: give the settings `secrets` and"),
    ({"secrets_key_file": 2}, "wrong master key: a value in the store is encrypted under master key"),
    ({"secrets": ""}, "are both missing: one of them has the master key"),
    ({"secrets": 'key_command = ["false"]'}, "key_command: ends with 1"),
    ({"secrets": 'key_command = ["no-such-program"]'}, "key_command: cannot be run"),
)


async def test_a_server_without_the_right_master_key_does_not_start(files: Files, store: str) -> None:
    async with running(store, secrets_key_file=files.key()) as swarm:
        await swarm.put("token")

    for wrong, said in WRONG_KEYS:
        given = {name: files.key(2, "other") if isinstance(it, int) else files.config(it) for name, it in wrong.items()}
        with pytest.raises(BadSetting) as refused:
            async with running(store, **given):
                pass

        assert said in str(refused.value)


async def test_a_command_may_give_the_master_key(files: Files, store: str) -> None:
    path = files.key()
    async with running(store, secrets=files.config(f'key_command = ["cat", "{path}"]')) as swarm:
        assert (await swarm.put("token")).status == 200


async def test_values_are_sealed_again_under_a_new_master_key_so_that_the_old_one_can_go(
    files: Files, store: str
) -> None:
    async with running(store, secrets_key_file=files.keys("old", 1)) as swarm:
        await swarm.put("token")
        bot = await swarm.at_work("token")
        await bot.values("token")

    async with running(store, secrets_key_file=files.keys("both", 2, 1)) as swarm:
        from tests.secrets.test_vault import upkeep

        await upkeep(swarm).seal_again()

    async with running(store, secrets_key_file=files.keys("new", 2)) as swarm:
        assert swarm.orchestrator.rules.text(VALUE, tenant="default") != VALUE
        bot = await swarm.at_work("token")
        assert await bot.values("token") == [VALUE]


async def test_a_value_that_was_not_released_for_long_is_known_no_more(files: Files, store: str) -> None:
    from tests.secrets.test_vault import upkeep

    settings = {"secrets": files.config("known_days = 2"), "secrets_key_file": files.key()}
    async with running(store, **settings) as swarm:
        await swarm.put("token")
        bot = await swarm.at_work("token")
        await bot.values("token")
        swarm.clock.ahead += 86_400 * SECOND
        await upkeep(swarm).forget()
        assert swarm.orchestrator.rules.text(VALUE, tenant="default") != VALUE

        swarm.clock.ahead += 2 * 86_400 * SECOND
        await upkeep(swarm).forget()

        assert swarm.orchestrator.rules.text(VALUE, tenant="default") == VALUE
    async with running(store, **settings) as swarm:
        assert swarm.orchestrator.rules.text(VALUE, tenant="default") == VALUE


# ---- names ---------------------------------------------------------------------------------------------------------


@given(st.text(max_size=30))
def test_no_name_leads_out_of_a_directory(text: str) -> None:
    if is_name(text):
        assert not Path(text).is_absolute()
        assert ".." not in Path(text).parts
        assert Path("/root", text).resolve().is_relative_to("/root")


@given(st.from_regex(r"[a-z0-9]{1,8}(/[a-z]{1,3}){0,2}(@[0-9]{1,3})?(#[a-z]{1,5})?", fullmatch=True))
def test_a_reference_is_read_as_it_is_written(text: str) -> None:
    reference = parse(text)

    assert reference is not None
    assert str(reference) == text
    assert held({"a": [{"b": f"secret://{text}"}], "c": f"see secret://{text}"}) == {text}


# ---- env and file --------------------------------------------------------------------------------------------------


async def test_a_variable_is_found_by_prefix_and_name_and_no_other(files: Files) -> None:
    environ = {"APP_GITHUB_TOKEN": VALUE, "HOME": "/root", "GITHUB_TOKEN": "another"}
    source = EnvSource(BackendConfig("e", "env", prefix="APP_"), environ)

    found = await source.fetch("github/token", None, [None])

    assert found is not None
    assert found.values == {None: VALUE}
    assert await source.fetch("home", None, [None]) is None
    assert await source.fetch("github/token", "1", [None]) is None


async def test_files_are_read_as_kubernetes_mounts_them_and_nothing_outside(files: Files, tmp_path: Path) -> None:
    mounted = tmp_path / "mounted"
    version = mounted / "..2026_11_28"
    version.mkdir(parents=True)
    (version / "token").write_text(f"{VALUE}\n")
    (mounted / "..data").symlink_to("..2026_11_28")
    (mounted / "token").symlink_to("..data/token")
    (mounted / "folder").mkdir()
    outside = tmp_path / "outside"
    outside.write_text("nothing for a bot")
    (mounted / "out").symlink_to(outside)
    (mounted / "up").symlink_to("..")
    os.mkfifo(mounted / "pipe")
    (mounted / "loop").symlink_to("loop")
    source = FileSource(BackendConfig("f", "file", directory=str(mounted)))

    found = await source.fetch("token", None, [None])

    assert found is not None
    assert found.values == {None: VALUE}
    for name in ("out", "up/outside", "folder", "pipe", "loop", "absent", "../outside", str(outside), "token/x"):
        assert await source.fetch(name, None, [None]) is None, name


async def test_a_directory_that_is_gone_is_trouble_and_not_an_absent_secret(tmp_path: Path) -> None:
    with pytest.raises(SourceDown):
        await FileSource(BackendConfig("f", "file", directory=str(tmp_path / "gone"))).fetch("token", None, [None])


async def test_a_secret_from_a_file_reaches_a_bot(files: Files, store: str, tmp_path: Path) -> None:
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "token").write_text(VALUE)
    (tmp_path / "mounted" / "pin").write_text("123")
    text = f'[backend.k]\nkind = "file"\ndirectory = "{tmp_path}/mounted"\n[[secret]]\nname = "k8s-*"\nbackend = "k"\n'
    text = text.replace('name = "k8s-*"', 'name = "token"') + '[[secret]]\nname = "pin"\nbackend = "k"\n'
    async with running(store, secrets=files.config(text), secrets_key_file=files.key()) as swarm:
        bot = await swarm.at_work("token", "pin")

        assert await bot.values("token") == [VALUE]
        refused = await bot.resolve("pin")
        assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/names/0")


@pytest.mark.parametrize(
    ("address", "more"),
    [
        ("http://127.0.0.1:8200", ""),
        ("http://[::1]:8200", ""),
        ("http://localhost:8200", ""),
        ("http://vault.internal:8200", "insecure = true\n"),
        ("https://vault.example.com", ""),
    ],
)
def test_vault_is_called_in_plain_text_on_this_machine_or_if_the_file_says_so(
    files: Files, address: str, more: str
) -> None:
    auth = '[backend.v.auth]\nmethod = "token"\ntoken_file = "t"\n'
    config = configs.read(files.config(f'[backend.v]\nkind = "vault"\naddress = "{address}"\n{more}{auth}'))

    assert config.backends["v"].address == address
