"""The SDK and the command line with tokens, against a server over HTTP."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swarmkeeper import sync
from swarmkeeper.sdk.client import Client
from swarmkeeper.sdk.errors import Unauthenticated
from swarmkeeper.server import Served, serving
from swarmkeeper.settings import BadSetting, Settings, read
from tests.cli.shell import Shell
from tests.tokens.provider import Provider, toml, write


@pytest.fixture
async def served(provider: Provider, tmp_path: Path) -> AsyncIterator[Served]:
    file = write(tmp_path / "identity.toml", toml(provider, leeway_seconds=0))
    own = Settings(store="sqlite://:memory:", port=0, log_level="error", identity=str(file))
    async with serving(own) as served:
        await served.swarm.make_key("admin")
        yield served


async def test_a_client_signs_in_with_a_token(served: Served, provider: Provider) -> None:
    async with Client(served.url, token=provider.token()) as client:
        assert (await client.submit("Count")).title == "Count"

    def blocking() -> str:
        with sync.Client(served.url, token=provider.token()) as client:
            return client.submit("Count again").title

    assert await asyncio.to_thread(blocking) == "Count again"


async def test_a_file_of_a_token_is_read_again_when_the_token_has_expired(
    served: Served, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text(provider.token(exp=int(time.time()) + 2))
    monkeypatch.setenv("SWARMKEEPER_TOKEN_FILE", str(file))
    async with Client(served.url) as client:
        await client.submit("one")
        file.write_text(provider.token() + "\n")  # as Kubernetes does before the old one expires
        await asyncio.sleep(2)
        assert (await client.submit("two")).title == "two"

        file.write_text(provider.token(exp=int(time.time()) - 5))
        client.calls.credential.reread()
        with pytest.raises(Unauthenticated, match="it has expired"):
            await client.submit("three")


def test_a_key_and_a_token_at_once_are_refused_before_any_call(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="a key and a token cannot be used together"):
        Client("http://127.0.0.1:1", "swk_x", token="a.b.c")
    monkeypatch.setenv("SWARMKEEPER_API_KEY", "swk_x")
    monkeypatch.setenv("SWARMKEEPER_TOKEN", "a.b.c")
    with pytest.raises(ValueError, match="the environment has a key and a token"):
        Client("http://127.0.0.1:1")
    assert Client("http://127.0.0.1:1", "swk_y").calls.credential.headers() == {"x-api-key": "swk_y"}
    assert Client("http://127.0.0.1:1", token="d.e.f").calls.credential.headers() == {"authorization": "Bearer d.e.f"}


@pytest.mark.parametrize("token", ["a b", "a\nb", "é.b.c"])
def test_a_token_that_no_header_can_carry_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="ASCII characters without spaces"):
        Client("http://127.0.0.1:1", token=token)


def test_the_nearer_of_key_and_token_is_used(tmp_path: Path) -> None:
    (tmp_path / "swarmkeeper.toml").write_text('api_key = "swk_far"\n')

    near = read({"token": "a.b.c"}, environ={"SWARMKEEPER_API_KEY": "swk_near"}, folder=tmp_path).settings
    assert (near.token, near.api_key) == ("a.b.c", "")
    key = read({}, environ={"SWARMKEEPER_API_KEY": "swk_near"}, folder=tmp_path).settings
    assert (key.token, key.api_key) == ("", "swk_near")
    file = read({}, environ={"SWARMKEEPER_TOKEN_FILE": "t"}, folder=tmp_path).settings
    assert (file.token_file, file.api_key) == ("t", "")
    with pytest.raises(BadSetting, match="SWARMKEEPER_TOKEN: a key and a token cannot be used together"):
        read({}, environ={"SWARMKEEPER_API_KEY": "swk_a", "SWARMKEEPER_TOKEN": "a.b.c"}, folder=tmp_path)


@pytest.mark.parametrize("how", ["variable", "file", "flag"])
async def test_commands_sign_in_with_a_token(
    served: Served, provider: Provider, shell: Shell, tmp_path: Path, how: str
) -> None:
    file = tmp_path / "token"
    file.write_text(provider.token())
    flags = {"flag": ("--token-file", str(file))}.get(how, ())
    given = {"variable": {"SWARMKEEPER_TOKEN": provider.token()}, "file": {"SWARMKEEPER_TOKEN_FILE": str(file)}}
    shell.set(SWARMKEEPER_URL=served.url, **given.get(how, {}))

    said = await asyncio.to_thread(shell, "submit", "Count", "--json", *flags)

    assert (said.code, said.json["title"]) == (0, "Count"), said.err


# ---- identity check --------------------------------------------------------------------------------------------------


async def checked(shell: Shell, *arguments: str) -> tuple[int, list[dict[str, object]], str]:
    said = await asyncio.to_thread(shell, "identity", "check", *arguments, "--json")
    return said.code, [json.loads(line) for line in said.out.splitlines()], said.err


async def test_check_says_what_a_token_becomes_or_why_it_is_refused(
    shell: Shell, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(write(tmp_path / "identity.toml", toml(provider)))

    code, (issuer,), _ = await checked(shell, file)
    assert (code, issuer["ok"], issuer["keys"]) == (0, True, 1)
    code, (_, token), _ = await checked(shell, file, provider.token())
    assert (code, token["token"], token["tenant"], token["role"]) == (0, "accepted", "default", "client")
    code, (_, token), _ = await checked(shell, file, provider.token(aud="other"))
    assert (code, token["problem"]) == (1, "the token is not accepted: it is not for this server (aud)")

    monkeypatch.setattr("sys.stdin", io.StringIO(provider.token() + "\n"))
    plain = await asyncio.to_thread(shell, "identity", "check", file, "-")
    assert "role=client" in plain.out
    assert f"owner={provider.url}#ann" in plain.out


async def test_check_says_which_issuer_does_not_answer_and_what_is_wrong_in_the_file(
    shell: Shell, provider: Provider, tmp_path: Path
) -> None:
    provider.fails = "500"
    code, (issuer, token), _ = await checked(shell, str(write(tmp_path / "a.toml", toml(provider))), provider.token())
    assert (code, issuer["problem"], token["token"]) == (1, "it answered with 500", "refused")

    code, _, said = await checked(shell, str(write(tmp_path / "b.toml", toml(provider, algorithms=["none"]))))
    assert code == 2
    assert "b.toml: issuer 1 algorithms 1: expected one of" in said
