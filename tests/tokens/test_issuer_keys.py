"""The keys of an issuer: read when needed, kept while the issuer is away, read again when it has new ones."""

import asyncio
import json
import ssl
import time
from pathlib import Path

import pytest

from swarmkeeper.core.errors import AuthenticationFailed, Overloaded
from swarmkeeper.tokens import fetching
from swarmkeeper.tokens.file import IssuerTable, read
from swarmkeeper.tokens.keys import BadIssuerKeys
from swarmkeeper.tokens.verifying import Tokens
from tests.sinks.receivers import Certificates
from tests.tokens.conftest import HandClock, MakeTokens
from tests.tokens.provider import Provider, SigningKey, toml, write

FAILURES = ["500", "garbage", "huge", "redirect", "compressed"]


@pytest.fixture(scope="session")
def next_key() -> SigningKey:
    return SigningKey.made("RS256", "next")


async def read_again(tokens: Tokens) -> None:
    """Wait for the read in progress."""
    for issuer in tokens._issuers.values():
        if issuer.keys._reading is not None:
            await issuer.keys._reading


@pytest.mark.parametrize("jwks", ["/keys", None], ids=["jwks_url", "discovery"])
async def test_keys_are_read_with_the_first_token_and_kept(
    tokens_of: MakeTokens, provider: Provider, clock: HandClock, jwks: str | None
) -> None:
    tokens = tokens_of(jwks_url=jwks and provider.url + jwks)
    assert provider.calls == 0

    for number in range(5):
        assert (await tokens.principal(provider.token(jti=str(number)))).role == "client"
        clock.advance(59)
    assert provider.calls == 1


async def test_a_new_key_is_found_by_the_first_token_that_names_it(
    tokens_of: MakeTokens, provider: Provider, clock: HandClock, next_key: SigningKey
) -> None:
    tokens = tokens_of()
    old = provider.token()
    await tokens.principal(old)
    clock.advance(11)

    provider.keys = [next_key]
    assert (await tokens.principal(provider.token())).role == "client"
    assert provider.calls == 2
    with pytest.raises(AuthenticationFailed, match="no key of this name"):
        await tokens.principal(old)  # the issuer has withdrawn its key


async def test_invented_keys_cost_the_issuer_one_call_in_ten_seconds(
    tokens_of: MakeTokens, provider: Provider, clock: HandClock
) -> None:
    tokens = tokens_of()
    await tokens.principal(provider.token())
    clock.advance(11)

    async def invented(number: int) -> None:
        with pytest.raises(AuthenticationFailed, match="no key of this name"):
            await tokens.principal(provider.token(None, {"kid": f"invented-{number}"}))

    await asyncio.gather(*map(invented, range(50)))
    for number in range(50, 60):
        await invented(number)
    assert provider.calls == 2

    clock.advance(11)
    await invented(60)
    assert provider.calls == 3


@pytest.mark.parametrize("failure", FAILURES)
async def test_known_keys_go_on_serving_while_the_issuer_is_away_up_to_a_bound(
    tokens_of: MakeTokens, provider: Provider, clock: HandClock, failure: str
) -> None:
    tokens = tokens_of(jwks_seconds=60, jwks_stale_seconds=600)
    token = provider.token(exp=int(time.time()) + 7_200)
    await tokens.principal(token)

    provider.fails = failure
    for _ in range(10):
        clock.advance(60)
        assert (await tokens.principal(token)).role == "client"
        assert (
            await tokens.principal(provider.token(exp=int(time.time()) + 7_200, jti=str(clock.at)))
        ).role == "client"
        await read_again(tokens)
    clock.advance(1)
    for _ in range(2):  # from memory, and anew
        with pytest.raises(Overloaded) as unknown:
            await tokens.principal(token)
        assert (unknown.value.retryable, unknown.value.retry_after) == (True, 2)
        tokens._known.clear()

    provider.fails = ""
    clock.advance(2)
    assert (await tokens.principal(token)).role == "client"


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        ("500", "it answered with 500"),
        ("garbage", "the set of keys is not valid JSON"),
        ("huge", "it answered with more than 256 KiB"),
        ("redirect", "it answered with 302; redirects are not followed"),
        ("compressed", "it answered compressed"),
    ],
)
async def test_a_failure_of_the_issuer_has_its_reason(
    tokens_of: MakeTokens, provider: Provider, failure: str, reason: str
) -> None:
    (issuer,) = tokens_of()._issuers.values()
    provider.fails = failure

    with pytest.raises(BadIssuerKeys, match=reason):
        await fetching.fetch_keys(issuer.table)
    assert provider.sent < 16 << 20  # what the network had taken already


@pytest.mark.parametrize("failure", FAILURES)
async def test_without_any_keys_a_token_may_be_good_and_is_to_be_sent_again(
    tokens_of: MakeTokens, provider: Provider, clock: HandClock, failure: str
) -> None:
    tokens = tokens_of()
    provider.fails = failure

    with pytest.raises(Overloaded):
        await tokens.principal(provider.token())
    provider.fails = ""
    clock.advance(2)
    assert (await tokens.principal(provider.token())).role == "client"


async def test_a_key_that_is_not_known_is_not_refused_while_the_issuer_is_away(
    tokens_of: MakeTokens, provider: Provider, clock: HandClock, next_key: SigningKey
) -> None:
    tokens = tokens_of()
    await tokens.principal(provider.token())
    clock.advance(11)
    provider.fails, provider.keys = "500", [next_key]

    for _ in range(2):
        with pytest.raises(Overloaded):
            await tokens.principal(provider.token())


async def test_a_slow_issuer_holds_up_nobody_else(
    provider: Provider, clock: HandClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, next_key: SigningKey
) -> None:
    monkeypatch.setattr(fetching, "SECONDS_MAX", 1.0)
    slow = Provider([next_key], fails="slow")
    await slow.start()
    file = write(tmp_path / "identity.toml", toml(provider), toml(slow))
    tokens = Tokens(read(file), clock, lambda *_, **__: None)
    waiting = asyncio.ensure_future(tokens.principal(slow.token()))
    await asyncio.sleep(0.05)

    began = time.monotonic()
    assert (await tokens.principal(provider.token())).role == "client"
    assert time.monotonic() - began < 0.5
    assert not waiting.done()
    with pytest.raises(Overloaded):
        await waiting
    await tokens.close()
    await slow.stop()


async def test_a_slow_issuer_does_not_hold_up_the_tokens_of_keys_that_are_known(
    tokens_of: MakeTokens, provider: Provider, clock: HandClock
) -> None:
    tokens = tokens_of(jwks_seconds=10)
    await tokens.principal(provider.token())
    clock.advance(11)
    provider.fails = "slow"

    began = time.monotonic()
    for number in range(5):
        assert (await tokens.principal(provider.token(jti=str(number)))).role == "client"
    assert time.monotonic() - began < 0.5
    assert provider.calls <= 2


async def test_a_caller_that_leaves_does_not_end_the_read_for_others(tokens_of: MakeTokens, provider: Provider) -> None:
    tokens = tokens_of()
    first = asyncio.ensure_future(tokens.principal(provider.token()))
    second = asyncio.ensure_future(tokens.principal(provider.token(jti="2")))
    await asyncio.sleep(0)

    first.cancel()
    assert (await second).role == "client"


async def test_discovery_of_another_issuer_is_refused(tokens_of: MakeTokens, provider: Provider) -> None:
    tokens = tokens_of()
    for document in ({"issuer": "https://other.example"}, {"jwks_uri": "ftp://x/keys"}, {"jwks_uri": 7}):
        provider.document = document
        with pytest.raises(BadIssuerKeys, match="discovery document"):
            await fetching.fetch_keys(next(iter(tokens._issuers.values())).table)


async def test_keys_are_not_read_from_private_addresses_unless_that_is_allowed(
    tokens_of: MakeTokens, provider: Provider
) -> None:
    for url in (provider.url, provider.url.replace("127.0.0.1", "localhost"), "http://[::ffff:127.0.0.1]:1"):
        (issuer,) = tokens_of(jwks_url=f"{url}/keys", allow_private=False)._issuers.values()
        with pytest.raises(BadIssuerKeys, match="not public: allow_private = true permits it"):
            await fetching.fetch_keys(issuer.table)
    (issuer,) = tokens_of(jwks_url="http://169.254.169.254/keys")._issuers.values()
    with pytest.raises(BadIssuerKeys, match="to which nothing is ever sent"):
        await fetching.fetch_keys(issuer.table)
    assert provider.calls == 0


async def test_a_file_of_keys_is_read_again(
    tokens_of: MakeTokens, provider: Provider, clock: HandClock, tmp_path: Path, next_key: SigningKey
) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(provider.published()))
    tokens = tokens_of(jwks_file="keys.json")
    assert (await tokens.principal(provider.token())).role == "client"

    provider.keys = [next_key]
    file.write_text(json.dumps(provider.published()))
    clock.advance(11)
    assert (await tokens.principal(provider.token())).role == "client"
    assert provider.calls == 0
    file.unlink()
    clock.advance(3_601)
    with pytest.raises(Overloaded):
        await tokens.principal(provider.token(exp=int(time.time()) + 9_000))


async def test_an_issuer_is_trusted_by_its_certificate(
    rsa_key: SigningKey, clock: HandClock, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    certificates = Certificates.made(tmp_path_factory.mktemp("certificates"))
    context = certificates.server_context()
    context.verify_mode = ssl.CERT_NONE  # it asks for none of its callers
    provider = Provider([rsa_key])
    await provider.start(context)

    def issuer_with(**keys: object) -> IssuerTable:
        (table,) = read(write(tmp_path / "identity.toml", toml(provider, insecure=False, **keys)))
        return table

    assert len((await fetching.fetch_keys(issuer_with(ca_file=str(certificates.folder / "ca.pem")))).keys) == 1
    with pytest.raises(BadIssuerKeys, match="CERTIFICATE_VERIFY_FAILED"):
        await fetching.fetch_keys(issuer_with())
    with pytest.raises(BadIssuerKeys, match="No such file"):
        await fetching.fetch_keys(issuer_with(ca_file="missing.pem"))
    await provider.stop()
