"""Each known attack on tokens, one test each, against what the server verifies with. A good token is taken always."""

import asyncio
import base64
import hashlib
import hmac
import json
import string
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.clock import SystemClock
from swarmkeeper.core.errors import AuthenticationFailed, SwarmkeeperError
from swarmkeeper.tokens.file import read
from swarmkeeper.tokens.keys import BadIssuerKeys, read_keys
from swarmkeeper.tokens.verifying import Tokens
from tests.examples import examples
from tests.tokens.conftest import HandClock, MakeTokens
from tests.tokens.provider import AUDIENCE, Provider, SigningKey, b64, toml, write, written


async def accepted(tokens: Tokens, token: str) -> str:
    """Return the subject's role, for a token that is taken."""
    return (await tokens.principal(token)).role


async def why_refused(tokens: Tokens, token: str) -> str:
    with pytest.raises(AuthenticationFailed) as refusal:
        await tokens.principal(token)
    return refusal.value.detail.removeprefix("the token is not accepted: ")


@pytest.fixture
async def tokens(tokens_of: MakeTokens, provider: Provider) -> Tokens:
    """The keys have been read, and a good token is taken."""
    made = tokens_of()
    assert await accepted(made, provider.token()) == "client"
    return made


def resigned(token: str, signature: bytes) -> str:
    return f"{token.rpartition('.')[0]}.{b64(signature)}"


# ---- algorithms ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE"])
async def test_a_token_without_signature_is_refused(tokens: Tokens, provider: Provider, name: str) -> None:
    unsigned = f"{b64(written({'alg': name, 'typ': 'JWT', 'kid': 'first'}))}.{b64(written(provider.claims()))}"

    assert "its algorithm is not one" in await why_refused(tokens, f"{unsigned}.{b64(b'x')}")
    assert "part is empty" in await why_refused(tokens, f"{unsigned}.")


@pytest.mark.parametrize("form", ["pem", "der", "jwk", "modulus"])
async def test_the_public_key_is_never_the_secret_of_an_hmac(
    tokens: Tokens, provider: Provider, rsa_key: SigningKey, form: str
) -> None:
    public = rsa_key.private.public_key()
    secret = {
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(rsa_key.jwk()).encode(),
        "modulus": base64.urlsafe_b64decode(rsa_key.jwk()["n"] + "=="),
    }[form]
    signed = f"{b64(written({**rsa_key.header(), 'alg': 'HS256'}))}.{b64(written(provider.claims()))}"
    forged = hmac.new(secret, signed.encode(), hashlib.sha256).digest()

    assert "its algorithm is not one" in await why_refused(tokens, f"{signed}.{b64(forged)}")


async def test_an_hmac_of_an_empty_secret_is_refused(tokens: Tokens, provider: Provider) -> None:
    signed = f"{b64(written({'alg': 'HS256', 'typ': 'JWT'}))}.{b64(written(provider.claims()))}"
    forged = hmac.new(b"", signed.encode(), hashlib.sha256).digest()

    assert "its algorithm is not one" in await why_refused(tokens, f"{signed}.{b64(forged)}")


def test_a_shared_secret_in_the_set_of_keys_is_left_out() -> None:
    for secret in ("", "c2VjcmV0"):
        with pytest.raises(BadIssuerKeys, match="no key for RS256; key 1: its kty is not one of"):
            read_keys(written({"keys": [{"kty": "oct", "k": secret, "kid": "first"}]}), ["RS256"])


async def test_an_algorithm_that_is_not_allowed_for_the_issuer_is_refused(
    tokens: Tokens, provider: Provider, rsa_key: SigningKey
) -> None:
    other = SigningKey("RS512", "first", rsa_key.private)

    assert "its algorithm is not one" in await why_refused(tokens, provider.token(other))


async def test_a_key_that_is_for_another_algorithm_is_not_used(
    tokens_of: MakeTokens, provider: Provider, rsa_key: SigningKey
) -> None:
    tokens = tokens_of(algorithms=["RS256", "PS256", "RS512"])
    for algorithm in ("PS256", "RS512"):  # the same key, which its `alg` allows for RS256 alone
        other = SigningKey(algorithm, "first", rsa_key.private)
        assert "no key of this name" in await why_refused(tokens, provider.token(other))

    assert await accepted(tokens, provider.token()) == "client"


async def test_a_signature_of_another_kind_of_key_is_refused(
    tokens_of: MakeTokens, provider: Provider, ec_key: SigningKey
) -> None:
    tokens = tokens_of(algorithms=["RS256", "ES256"])

    assert "no key of this name" in await why_refused(tokens, provider.token(ec_key, {"kid": "first"}))


# ---- keys that a token brings along ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
async def test_a_key_that_the_token_brings_along_is_refused(tokens: Tokens, provider: Provider, name: str) -> None:
    own = SigningKey.made("RS256", "first")
    value = {"jwk": own.jwk(), "jku": "https://evil.example/keys", "x5u": "https://evil.example/x", "x5c": ["MII="]}

    assert f"its header has {name}" in await why_refused(tokens, provider.token(own, {name: value[name]}))
    assert f"its header has {name}" in await why_refused(tokens, provider.token(None, {name: value[name]}))


@pytest.mark.parametrize(
    "header", [{"crit": ["exp"]}, {"crit": []}, {"b64": False, "crit": ["b64"]}, {"zip": "DEF"}, {"enc": "A128GCM"}]
)
async def test_an_extension_of_the_header_is_refused(tokens: Tokens, provider: Provider, header: Any) -> None:
    assert "its header has" in await why_refused(tokens, provider.token(None, header))


async def test_an_encrypted_token_is_refused(tokens: Tokens) -> None:
    header = b64(written({"alg": "RSA-OAEP", "enc": "A256GCM"}))

    assert "encrypted" in await why_refused(tokens, f"{header}.{b64(b'k')}.{b64(b'i')}.{b64(b'c')}.{b64(b't')}")


@pytest.mark.parametrize(
    "kid", ["../../etc/passwd", "/dev/null", "' OR 1=1 --", "first\0", "FIRST", "first ", "file:///x"]
)
async def test_a_kid_is_a_name_and_nothing_else(tokens: Tokens, provider: Provider, kid: str) -> None:
    assert "no key of this name" in await why_refused(tokens, provider.token(None, {"kid": kid}))


@pytest.mark.parametrize("kid", ["", "k" * 257, 7, None, ["first"], {"first": 1}])
async def test_a_kid_that_is_no_short_string_is_refused(tokens: Tokens, provider: Provider, kid: Any) -> None:
    assert "kid" in await why_refused(tokens, provider.token(None, {"kid": kid}))


async def test_the_key_of_another_issuer_signs_nothing_here(tokens: Tokens, provider: Provider) -> None:
    other = SigningKey.made("RS256", "first")  # of the same name

    assert "signature is wrong" in await why_refused(tokens, provider.token(other))


# ---- keys of the set -------------------------------------------------------------------------------------------------


def _without(key: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in key.items() if name not in names}


def test_a_point_that_is_not_on_the_curve_is_no_key(ec_key: SigningKey) -> None:
    off = {**ec_key.jwk(), "y": b64(b"\1" * 32)}

    with pytest.raises(BadIssuerKeys, match="key 1: it is not a valid public key"):
        read_keys(written({"keys": [off]}), ["ES256"])
    with pytest.raises(BadIssuerKeys, match="key 1: it is not a valid public key"):
        read_keys(written({"keys": [{**ec_key.jwk(), "x": b64(b"\0" * 32), "y": b64(b"\0" * 32)}]}), ["ES256"])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"use": "enc"}, "its use is not sig"),
        ({"key_ops": ["sign"]}, "its key_ops are without verify"),
        ({"key_ops": "verify"}, "its key_ops are without verify"),
        ({"alg": "PS256"}, "not for one of the allowed algorithms"),
        ({"kty": "EC"}, "not for one of the allowed algorithms"),
        ({"d": "AQAB"}, "it is a private key"),
        ({"kid": "k" * 257}, "its kid"),
        ({"kid": 7}, "its kid"),
        ({"n": "AQAB"}, "it is not a valid public key|2048 to 4096 bits"),
        ({"e": "AQ"}, "it is not a valid public key"),
        ({"e": b64(b"\xff" * 64)}, "it is not a valid public key|exponent"),
        ({"n": 7}, "it is not a valid public key"),
    ],
)
def test_a_key_for_something_else_is_left_out(rsa_key: SigningKey, change: dict[str, Any], why: str) -> None:
    with pytest.raises(BadIssuerKeys, match=f"key 1: .*({why})"):
        read_keys(written({"keys": [{**rsa_key.jwk(), **change}]}), ["RS256"])

    kept = read_keys(written({"keys": [{**rsa_key.jwk(), **change}, {**rsa_key.jwk(), "kid": "good"}]}), ["RS256"])
    assert [key.kid for key in kept.keys] == ["good"]
    assert len(kept.unused) == 1


def test_a_short_key_of_rsa_is_left_out() -> None:
    with pytest.raises(BadIssuerKeys, match="an RSA key has 2048 to 4096 bits"):
        read_keys(written({"keys": [SigningKey.made("RS256", "short", bits=1024).jwk()]}), ["RS256"])


def test_two_keys_of_one_name_are_no_set(rsa_key: SigningKey) -> None:
    with pytest.raises(BadIssuerKeys, match="same kid"):
        read_keys(written({"keys": [rsa_key.jwk(), rsa_key.jwk()]}), ["RS256"])


def test_a_set_of_keys_is_bounded(rsa_key: SigningKey) -> None:
    keys = [{**rsa_key.jwk(), "kid": str(each)} for each in range(101)]

    assert len(read_keys(written({"keys": keys[:100]}), ["RS256"]).keys) == 100
    with pytest.raises(BadIssuerKeys, match="more than 100 keys"):
        read_keys(written({"keys": keys}), ["RS256"])


# ---- spelling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("addition", ["=", "==", " ", "\n", "\t", "%3D", "+", "/"])
async def test_base64_has_one_spelling(tokens: Tokens, provider: Provider, part: int, addition: str) -> None:
    parts = provider.token().split(".")
    parts[part] += addition

    assert "base64url" in await why_refused(tokens, ".".join(parts))


async def test_unused_bits_at_the_end_of_base64_are_zero(tokens: Tokens, provider: Provider) -> None:
    token = provider.token()  # 256 bytes of signature: its last letter has four unused bits
    letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    same = [token[:-1] + letters[letters.index(token[-1]) | bits] for bits in range(1, 16)]

    for each in same:
        padded = [text.rpartition(".")[2] + "==" for text in (each, token)]
        assert base64.urlsafe_b64decode(padded[0]) == base64.urlsafe_b64decode(padded[1])
        assert "one way" in await why_refused(tokens, each)


async def test_a_name_that_occurs_twice_is_refused(tokens: Tokens, provider: Provider, rsa_key: SigningKey) -> None:
    claims = json.dumps(provider.claims())
    twice = [
        rsa_key.token(claims.replace("{", '{"sub": "root", ', 1).encode()),
        rsa_key.token(claims.replace("{", '{"s\\u0075b": "root", ', 1).encode()),
        rsa_key.token(claims.replace("{", '{"deep": {"a": 1, "a": 2}, ', 1).encode()),
        rsa_key.token(provider.claims(), b'{"alg": "none", "alg": "RS256", "kid": "first", "typ": "JWT"}'),
    ]

    for each in twice:
        assert "has a name twice" in await why_refused(tokens, each)


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"[]", b"7", b'"sub"', b"null", b"{", b"\xff\xfe", b'\xef\xbb\xbf{"sub": "ann"}', b"[" * 5_000),
        b'{"exp": NaN}',
        b'{"exp": Infinity}',
        b'{"exp": 1e999}',
        b'{"exp": ' + b"9" * 5_000 + b"}",
        b'{"sub": "\\ud800"}',
    ],
)
async def test_what_is_no_json_object_is_refused(tokens: Tokens, rsa_key: SigningKey, payload: bytes) -> None:
    why = await why_refused(tokens, rsa_key.token(payload))

    assert why.startswith("its payload is not" if payload else "a part is empty")


@pytest.mark.parametrize("text", ["", ".", "..", "...", "a.b", "a.b.c.d", "x" * 9_000, "é.é.é"])
async def test_what_is_no_token_is_refused(tokens: Tokens, text: str) -> None:
    assert await why_refused(tokens, text)


async def test_a_token_has_at_most_8_kib(tokens: Tokens, provider: Provider) -> None:
    long = next(token for size in range(5_900, 5_000, -1) if len(token := provider.token(note="n" * size)) <= 8 * 1024)
    longer = provider.token(note="n" * 6_000)

    assert await accepted(tokens, long) == "client"
    assert len(long) > 8 * 1024 - 4
    assert "more than 8 KiB" in await why_refused(tokens, longer)


@examples(150, deadline=None)
@given(st.data())
def test_any_change_of_one_byte_is_refused(changing: tuple[Any, Tokens, str], data: st.DataObject) -> None:
    run, tokens, token = changing
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.characters(codec="latin-1").filter(lambda letter: letter != token[place]))
    changed = token[:place] + letter + token[place + 1 :]

    async def refused() -> None:
        with pytest.raises(SwarmkeeperError):
            await tokens.principal(changed)
        assert (await tokens.principal(token)).role == "client"

    run(refused())


@pytest.fixture(scope="module", params=["RS256", "PS256", "ES256", "EdDSA"])
def changing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """What runs a coroutine, what verifies tokens, and a good token of each kind."""
    provider = Provider([SigningKey.made(request.param, "first")], url="https://provider.example")
    folder = tmp_path_factory.mktemp("issuer")
    (folder / "keys.json").write_text(json.dumps(provider.published()))
    text = toml(provider, jwks_file="keys.json", insecure=False)
    with asyncio.Runner() as runner:
        tokens = Tokens(read(write(folder / "identity.toml", text)), SystemClock(), lambda *_, **__: None)
        yield runner.run, tokens, provider.token()
        runner.run(tokens.close())


# ---- claims ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "audience",
    [
        *(None, "other", "swarmkeepe", "swarmkeeper ", "SWARMKEEPER", [], ["other"], [["swarmkeeper"]], 7, True),
        *({"swarmkeeper": 1}, ["swarmkeeper", 7]),
    ],
)
async def test_a_token_for_another_audience_is_refused(tokens: Tokens, provider: Provider, audience: Any) -> None:
    assert "aud" in await why_refused(tokens, provider.token(aud=audience))


async def test_a_token_for_several_audiences_is_taken(tokens: Tokens, provider: Provider) -> None:
    assert await accepted(tokens, provider.token(aud=["other", AUDIENCE])) == "client"


@pytest.mark.parametrize("issuer", [None, "", "https://evil.example", 7, ["x"]])
async def test_a_token_of_an_unknown_issuer_is_refused(tokens: Tokens, provider: Provider, issuer: Any) -> None:
    assert "issuer" in await why_refused(tokens, provider.token(iss=issuer))
    assert "issuer" in await why_refused(tokens, provider.token(iss=provider.url + "/"))


@pytest.mark.parametrize("subject", [None, "", 7, "a\nb", "x" * 256, ["ann"], "ann\u202eroot"])
async def test_a_subject_is_one_short_line(tokens: Tokens, provider: Provider, subject: Any) -> None:
    assert "sub" in await why_refused(tokens, provider.token(sub=subject))


@pytest.mark.parametrize("exp", ["tomorrow", "4102444800", True, -1, [1], 1 << 50])
async def test_a_time_is_a_number_of_seconds(tokens: Tokens, provider: Provider, exp: Any) -> None:
    for name in ("exp", "nbf", "iat"):
        assert f"its {name} is not a time" in await why_refused(tokens, provider.token(**{name: exp}))


async def test_a_token_without_expiry_is_refused(tokens: Tokens, provider: Provider) -> None:
    assert "no exp" in await why_refused(tokens, provider.token(exp=None))


async def test_a_token_is_taken_until_its_expiry_and_the_leeway(
    tokens: Tokens, provider: Provider, clock: HandClock
) -> None:
    now = clock.at // 1_000_000
    clock.at = now * 1_000_000
    token = provider.token(exp=now + 10)

    clock.at = (now + 40) * 1_000_000 - 1  # leeway_seconds is 30
    assert await accepted(tokens, token) == "client"
    clock.at += 1
    assert "expired" in await why_refused(tokens, token)  # from memory
    assert "expired" in await why_refused(tokens, provider.token(exp=now + 10, jti="2"))


@pytest.mark.parametrize("name", ["nbf", "iat"])
async def test_a_token_is_not_taken_before_its_time(
    tokens: Tokens, provider: Provider, clock: HandClock, name: str
) -> None:
    now = clock.at // 1_000_000
    token = provider.token(None, None, **{name: now + 100})

    clock.at = (now + 70) * 1_000_000 - 1
    assert "not valid yet" in await why_refused(tokens, token)
    clock.at += 1
    assert await accepted(tokens, token) == "client"
    clock.at -= 1  # the clock was set back
    assert "not valid yet" in await why_refused(tokens, token)


async def test_a_token_is_taken_up_to_its_greatest_age(
    tokens_of: MakeTokens, provider: Provider, clock: HandClock
) -> None:
    tokens = tokens_of(max_age_seconds=100, leeway_seconds=0)
    now = clock.at // 1_000_000
    token = provider.token(iat=now, exp=now + 3_600)

    clock.at = (now + 100) * 1_000_000 - 1
    assert await accepted(tokens, token) == "client"
    clock.at += 1
    assert "issued too long ago" in await why_refused(tokens, token)
    assert "no iat" in await why_refused(tokens, provider.token(iat=None))


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt", None])
async def test_types_of_access_tokens_are_taken(
    tokens: Tokens, provider: Provider, rsa_key: SigningKey, typ: str | None
) -> None:
    header = {"alg": "RS256", "kid": "first", **({} if typ is None else {"typ": typ})}

    assert await accepted(tokens, rsa_key.token(provider.claims(), written(header))) == "client"


@pytest.mark.parametrize("typ", ["dpop+jwt", "logout+jwt", "JWS", "", "secevent+jwt", 7])
async def test_tokens_for_other_uses_are_refused_by_their_type(tokens: Tokens, provider: Provider, typ: Any) -> None:
    assert "typ" in await why_refused(tokens, provider.token(None, {"typ": typ}))


async def test_access_tokens_alone_can_be_asked_for(tokens_of: MakeTokens, provider: Provider, rsa_key: Any) -> None:
    tokens = tokens_of(typ="at+jwt")

    assert await accepted(tokens, provider.token(None, {"typ": "at+JWT"})) == "client"
    assert "typ" in await why_refused(tokens, provider.token())
    untyped = rsa_key.token(provider.claims(), written({"alg": "RS256", "kid": "first"}))
    assert "no typ" in await why_refused(tokens, untyped)


# ---- what is good ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "algorithm",
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
)
async def test_a_token_of_each_algorithm_is_taken(tokens_of: MakeTokens, provider: Provider, algorithm: str) -> None:
    provider.keys = [SigningKey.made(algorithm, "first")]
    tokens = tokens_of()

    assert await accepted(tokens, provider.token()) == "client"
    forged = resigned(provider.token(), provider.keys[0].sign(b"something else"))
    assert "signature is wrong" in await why_refused(tokens, forged)


async def test_a_token_without_kid_is_taken_if_the_issuer_has_one_key(
    tokens_of: MakeTokens, provider: Provider, rsa_key: SigningKey
) -> None:
    provider.keys = [SigningKey("RS256", None, rsa_key.private)]
    assert await accepted(tokens_of(), provider.token()) == "client"

    provider.keys = [rsa_key, SigningKey.made("RS256", "other")]
    unnamed = SigningKey("RS256", None, rsa_key.private)
    assert "no key of this name" in await why_refused(tokens_of(), provider.token(unnamed))


async def test_a_token_is_verified_once_and_remembered_within_a_bound(
    tokens: Tokens, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmkeeper.tokens.verifying.KNOWN_MAX", 2)
    before = tokens.verified
    first = provider.token(jti="1")
    for _ in range(5):
        await tokens.principal(first)
    assert tokens.verified == before + 1

    for number in range(2, 6):
        await tokens.principal(provider.token(jti=str(number)))
    assert len(tokens._known) == 2
    await tokens.principal(first)
    assert tokens.verified == before + 6


# ---- SPIFFE ----------------------------------------------------------------------------------------------------------


SVID = "spiffe://example.org/ns/bots/sa/reader"


def svid(provider: Provider, **claims: Any) -> str:
    return provider.token(**{"iss": None, "sub": SVID, **claims})


async def test_the_trust_domain_of_a_svid_chooses_its_issuer(tokens_of: MakeTokens, provider: Provider) -> None:
    tokens = tokens_of(issuer="spiffe://example.org", spiffe=True, jwks_url=f"{provider.url}/keys")

    provider.keys = [
        replace(provider.keys[0], more={"use": "jwt-svid"}),
        SigningKey.made("RS256", "x", use="x509-svid"),
    ]
    assert await accepted(tokens, svid(provider)) == "client"
    assert "no key of this name" in await why_refused(
        tokens, provider.keys[1].token(provider.claims(iss=None, sub=SVID))
    )
    assert await accepted(tokens, svid(provider, iss="https://spire.example.org")) == "client"
    for subject in (
        *("spiffe://example.org", "spiffe://example.org/", "spiffe://other.org/a", "spiffe://example.org/../a", "ann"),
        *("spiffe://example.org//a", "spiffe://EXAMPLE.org/a", "spiffe://u@example.org/a", "https://example.org/a"),
    ):
        assert "issuer" in await why_refused(tokens, svid(provider, sub=subject))
    assert "issuer" in await why_refused(tokens, svid(provider, iss="spiffe://example.org", sub="ann"))
