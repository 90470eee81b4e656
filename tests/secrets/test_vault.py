"""Vault and OpenBao: KV, credentials for one lease, transit; and what happens when they are slow, sealed or gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from swarmkeeper.secrets.upkeep import SecretUpkeep
from swarmkeeper.secrets.vault import KvSource
from swarmkeeper.settings import BadSetting
from tests.secrets.conftest import VALUE, Files, Swarm, running
from tests.secrets.fake_vault import FakeVault, fake_vault


@pytest.fixture
async def vault() -> AsyncIterator[FakeVault]:
    async with fake_vault() as started:
        yield started


def config(
    files: Files,
    vault: FakeVault,
    *more: str,
    auth: str = "",
    kind: str = "vault",
    extra: str = "",
    timeout_seconds: float = 10,
) -> str:
    token = files.private("token", "root\n")
    how = auth or f'method = "token"\ntoken_file = "{token}"'
    rules = '[[secret]]\nname = "kv/*"\nbackend = "bao"\n[[secret]]\nname = "db/*"\nbackend = "bao"\nkey = "{name}"\n'
    return files.config(
        "\n".join(more)
        + f'\n[backend.bao]\nkind = "{kind}"\naddress = "{vault.url}"\n'
        + f"timeout_seconds = {timeout_seconds}\n{extra}"
        + f"[backend.bao.auth]\n{how}\n{rules}"
    )


def upkeep(swarm: Swarm) -> SecretUpkeep:
    it = swarm.orchestrator
    return SecretUpkeep(it.secrets, it.store, do=it.engine.do, clock=swarm.clock, log=it.log)


async def test_a_secret_in_kv_is_released_by_field_and_version(files: Files, vault: FakeVault, store: str) -> None:
    vault.put("kv/one", value="the first value")
    vault.put("kv/one", value="the second value", more="another field")
    async with running(store, secrets=config(files, vault), secrets_key_file=files.key()) as swarm:
        bot = await swarm.at_work("kv/one", "kv/one@1", "kv/one#more", "kv/one@3", "kv/none", "kv/one@x")

        assert await bot.values("kv/one", "kv/one@1", "kv/one#more") == [
            *("the second value", "the first value", "another field"),
        ]
        for absent in ("kv/one@3", "kv/none", "kv/one@x"):
            assert (await bot.resolve(absent)).json["code"] == "secret_not_found"
        listed = (await swarm.admin.get("/secrets")).json["items"]
        assert [(each["name"], each["version"], each["backend"]) for each in listed] == [
            ("kv/one", "1", "bao"),
            ("kv/one", "2", "bao"),
        ]


@pytest.mark.parametrize("method", ["approle", "kubernetes"])
async def test_the_server_logs_in_and_logs_in_again_when_its_token_is_refused(
    files: Files, vault: FakeVault, store: str, method: str
) -> None:
    vault.put("kv/one", value=VALUE)
    vault.namespace = "team"
    auth = {
        "approle": f'method = "approle"\nrole_id_file = "{files.private("role", "the-role")}"\n'
        f'secret_id_file = "{files.private("secret-id", "the-secret")}"',
        "kubernetes": f'method = "kubernetes"\nrole = "swarmkeeper"\ntoken_file = "{files.private("jwt", "the.jwt")}"',
    }[method]
    path = config(files, vault, auth=auth, extra='namespace = "team"\n')
    async with running(store, secrets=path, secrets_key_file=files.key()) as swarm:
        bot = await swarm.at_work("kv/one")
        assert await bot.values("kv/one") == [VALUE]

        vault.tokens.clear()

        assert await bot.values("kv/one") == [VALUE]
        assert vault.calls.count(f"POST /v1/auth/{method}/login") == 2


@pytest.mark.parametrize("trouble", ["slow", "sealed", "forbidden", "gone"])
async def test_a_back_end_in_trouble_answers_503_and_blocks_no_other_call(
    files: Files, vault: FakeVault, store: str, trouble: str
) -> None:
    vault.put("kv/one", value=VALUE)
    # However long this machine takes: what is asked of a slow back end waits until the other call was answered.
    path = config(files, vault, timeout_seconds=60 if trouble == "slow" else 0.5)
    async with running(store, secrets=path, secrets_key_file=files.key()) as swarm:
        await swarm.put("own")
        bot = await swarm.at_work("kv/one", "own")
        source = swarm.orchestrator.secrets.sources["bao"]
        assert isinstance(source, KvSource)
        vault.sealed = trouble == "sealed"
        if trouble == "slow":
            vault.answers.clear()
        if trouble == "forbidden":
            vault.tokens.clear()
        if trouble == "gone":
            source.vault._config = replace(source.vault._config, address="http://127.0.0.1:9")

        waiting = [asyncio.create_task(bot.resolve("kv/one")) for _ in range(40)]
        await asyncio.sleep(0)
        assert await bot.values("own") == [VALUE]
        if trouble == "slow":
            assert not any(each.done() for each in waiting)
            vault.sealed = True
            vault.answers.set()
            await asyncio.gather(*waiting)
            vault.answers.clear()
            source.vault._config = replace(source.vault._config, timeout_seconds=0.5)
            waiting = [asyncio.create_task(bot.resolve("kv/one")) for _ in range(40)]

        for answer in await asyncio.gather(*waiting):
            assert (answer.status, answer.json["code"]) == (503, "secrets_unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            assert "kv/one" not in answer.json["detail"]
        vault.answers.set()


# ---- credentials made for one lease --------------------------------------------------------------------------------


async def test_credentials_are_revoked_when_the_lease_ends(files: Files, vault: FakeVault, store: str) -> None:
    vault.roles.add("db/app")
    path = config(files, vault, kind="dynamic")
    async with running(store, secrets=path, secrets_key_file=files.key()) as swarm:
        bot = await swarm.at_work("db/app#username", "db/app#password", "db/none")

        user, password = await bot.values("db/app#username", "db/app#password")

        assert user.removeprefix("v-approle-db/app-") == password.removeprefix("made-for-one-lease-")
        assert len(vault.leases) == 1
        assert await upkeep(swarm).revoke() == 0, "the lease lives"
        assert (await bot.resolve("db/none")).json["code"] == "secret_not_found"
        await bot.report(output={})
        await upkeep(swarm).revoke()
        assert (vault.leases, len(vault.revoked)) == ({}, 1)
        assert await upkeep(swarm).revoke() == 0


async def test_credentials_of_a_lease_that_ended_while_no_server_ran_are_revoked_at_the_next_start(
    files: Files, vault: FakeVault, store: str
) -> None:
    vault.roles.add("db/app")
    settings = {"secrets": config(files, vault, kind="dynamic"), "secrets_key_file": files.key()}
    async with running(store, **settings) as swarm:
        bot = await swarm.at_work("db/app")
        await bot.values("db/app")
        vault.sealed = True
        await bot.report(output={})
        assert await upkeep(swarm).revoke() == 0
    vault.sealed = False

    async with running(store, **settings) as swarm:
        async with asyncio.timeout(10):
            while vault.leases:  # noqa: ASYNC110 - the fake has no event for it
                await asyncio.sleep(0.05)


async def test_credentials_are_revoked_at_once_if_they_are_not_released(
    files: Files, vault: FakeVault, store: str
) -> None:
    vault.roles.add("db/app")
    path = config(files, vault, "per_lease = 1", kind="dynamic")
    async with running(store, secrets=path, secrets_key_file=files.key()) as swarm:
        bot = await swarm.at_work("db/app", "db/none", "db/app#username")

        assert (await bot.resolve("db/app", "db/app#username")).status == 429
        assert (await bot.resolve("db/app", "db/none")).status == 404

        assert (vault.leases, len(vault.revoked)) == ({}, 2)


# ---- transit -------------------------------------------------------------------------------------------------------


async def test_the_master_key_may_be_wrapped_by_transit(files: Files, vault: FakeVault, store: str) -> None:
    transit = 'key_transit = {backend = "bao", key = "swarmkeeper"}'
    wrapped = files.private("keys", FakeVault.wrapped(bytes([1]) * 32) + "\n")
    async with running(store, secrets=config(files, vault, transit), secrets_key_file=wrapped) as swarm:
        await swarm.put("token")

    async with running(store, secrets_key_file=files.key(1, "plain")) as swarm:
        bot = await swarm.at_work("token")
        assert await bot.values("token") == [VALUE]


async def test_a_server_whose_transit_is_sealed_does_not_start(files: Files, vault: FakeVault, tmp_path: Path) -> None:
    vault.sealed = True
    transit = 'key_transit = {backend = "bao", key = "swarmkeeper"}'
    wrapped = files.private("keys", FakeVault.wrapped(bytes([1]) * 32))

    with pytest.raises(BadSetting, match="line 1: bao is sealed"):
        async with running(
            f"sqlite:///{tmp_path}/s.db", secrets=config(files, vault, transit), secrets_key_file=wrapped
        ):
            pass
