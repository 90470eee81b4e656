"""An OpenID provider on this machine: keys, discovery, rotation, and every way in which a provider can fail.

It signs with `cryptography` itself, not with the library that the server verifies with: so a mistake that both sides
of one library share is seen.
"""

import asyncio
import base64
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

SHA: dict[str, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}
CURVES: dict[str, tuple[str, type[ec.EllipticCurve]]] = {
    "ES256": ("P-256", ec.SECP256R1),
    "ES384": ("P-384", ec.SECP384R1),
    "ES512": ("P-521", ec.SECP521R1),
}
AUDIENCE = "swarmkeeper"


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def number(value: int, size: int = 0) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def written(content: Any) -> bytes:
    return content if isinstance(content, bytes) else json.dumps(content).encode()


@dataclass
class SigningKey:
    """A private key for one algorithm."""

    algorithm: str
    kid: str | None
    private: Any
    more: Mapping[str, Any] = field(default_factory=dict)  # further members of its JWK

    @classmethod
    def made(cls, algorithm: str, kid: str | None = None, bits: int = 2048, **more: Any) -> Self:
        if algorithm in CURVES:
            return cls(algorithm, kid, ec.generate_private_key(CURVES[algorithm][1]()), more)
        if algorithm in ("EdDSA", "Ed25519"):
            return cls(algorithm, kid, ed25519.Ed25519PrivateKey.generate(), more)
        return cls(algorithm, kid, rsa.generate_private_key(65537, bits), more)

    def jwk(self) -> dict[str, Any]:
        public = self.private.public_key()
        found: dict[str, Any]
        if isinstance(public, ec.EllipticCurvePublicKey):
            numbers, size = public.public_numbers(), (public.key_size + 7) // 8
            curve = CURVES[self.algorithm][0]
            found = {"kty": "EC", "crv": curve, "x": number(numbers.x, size), "y": number(numbers.y, size)}
        elif isinstance(public, ed25519.Ed25519PublicKey):
            found = {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes_raw())}
        else:
            found = {"kty": "RSA", "n": number(public.public_numbers().n), "e": number(public.public_numbers().e)}
        named = {} if self.kid is None else {"kid": self.kid}
        return {**found, **named, "use": "sig", "alg": self.algorithm, **self.more}

    def sign(self, content: bytes) -> bytes:
        if self.algorithm in ("EdDSA", "Ed25519"):
            return bytes(self.private.sign(content))
        sha = SHA[self.algorithm[2:]]()
        if self.algorithm.startswith("ES"):
            size = (self.private.key_size + 7) // 8
            r, s = decode_dss_signature(self.private.sign(content, ec.ECDSA(sha)))
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        if self.algorithm.startswith("PS"):
            return bytes(self.private.sign(content, padding.PSS(padding.MGF1(sha), sha.digest_size), sha))
        return bytes(self.private.sign(content, padding.PKCS1v15(), sha))

    def header(self) -> dict[str, Any]:
        return {"alg": self.algorithm, "typ": "JWT", **({} if self.kid is None else {"kid": self.kid})}

    def token(self, claims: Any, header: Any = None) -> str:
        """Return a token. Bytes are taken as they are; a header is merged into the usual one."""
        head = header if isinstance(header, bytes) else {**self.header(), **(header or {})}
        signed = f"{b64(written(head))}.{b64(written(claims))}"
        return f"{signed}.{b64(self.sign(signed.encode()))}"


@dataclass
class Provider:
    """Serves discovery and keys. `fails` says how: down, slow, 500, garbage, huge, redirect, compressed."""

    keys: list[SigningKey]
    fails: str = ""
    calls: int = 0  # of the set of keys
    sent: int = 0  # bytes of an answer without end
    url: str = ""
    document: dict[str, Any] = field(default_factory=dict)  # further members of the discovery document
    _runner: web.AppRunner | None = None
    _waiting: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/keys", self._keys)
        app.router.add_get("/elsewhere", self._elsewhere)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        assert site._server is not None
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]  # asyncio's own server has it

    async def stop(self) -> None:
        self._waiting.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _discovery(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.document})

    async def _keys(self, request: web.Request) -> web.StreamResponse:
        self.calls += 1
        match self.fails:
            case "slow":
                await self._waiting.wait()
            case "500":
                return web.Response(status=500)
            case "garbage":
                return web.Response(body=b"<html>sign in</html>")
            case "huge":
                return await self._endless(request)
            case "redirect":
                return web.Response(status=302, headers={"Location": f"{self.url}/elsewhere"})
            case "compressed":
                answer = web.json_response(self.published())
                answer.enable_compression(web.ContentCoding.gzip)
                return answer
        return web.json_response(self.published())

    async def _elsewhere(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self.published())

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b" " * 65_536)
            self.sent += 65_536

    def published(self) -> dict[str, Any]:
        return {"keys": [key.jwk() for key in self.keys]}

    def claims(self, **more: Any) -> dict[str, Any]:
        """Return good claims; None leaves one out."""
        now = int(time.time())
        found = {"iss": self.url, "sub": "ann", "aud": AUDIENCE, "exp": now + 600, "iat": now, **more}
        return {name: value for name, value in found.items() if value is not None}

    def token(self, key: SigningKey | None = None, header: Any = None, **claims: Any) -> str:
        return (key or self.keys[0]).token(self.claims(**claims), header)


RULE = 'when = {}\ntenant = "default"\nrole = "client"\n'


def toml(provider: Provider, *rules: str, **keys: Any) -> str:
    """Return a file of one issuer. JSON's texts, numbers, booleans and lists are those of TOML."""
    given = {
        "issuer": provider.url,
        "audience": AUDIENCE,
        "algorithms": sorted({key.algorithm for key in provider.keys}),
        "insecure": True,
        "allow_private": True,
        **keys,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in given.items() if value is not None]
    return "\n".join(["[[issuer]]", *lines, *(f"[[issuer.rule]]\n{rule}" for rule in rules or (RULE,)), ""])


def write(path: Path, *tables: str) -> Path:
    path.write_text("\n".join(tables))
    return path
