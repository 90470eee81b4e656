"""Secrets to be planted, the forms they are sent in, and the search for them in what a server kept or said.

The search shares nothing with the redaction but the library RE2: it looks for each form as bytes, whole or in part.
"""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import re2

WORD = string.ascii_letters + string.digits
ZERO_WIDTH = ("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad")
# Half a secret is one too. Shorter pieces would be found by chance.
PIECE = 12
BEGINNING = 8  # no needle is shorter


@dataclass(frozen=True)
class Secret:
    rule: str  # of govern/rules/default.toml
    text: str  # as it is sent
    core: str  # what of it nobody may see


def made() -> list[Secret]:
    """One secret each for twenty rules, the same in every run. None was ever a real one."""
    chance = random.Random(20)

    def some(count: int, letters: str = WORD) -> str:
        return "".join(chance.choices(letters, k=count))

    def secret(rule: str, before: str, core: str, after: str = "") -> Secret:
        return Secret(rule, before + core + after, core)

    header = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode()
    claims = base64.urlsafe_b64encode(b'{"sub":"%d","admin":true}' % chance.randrange(10**9)).decode().rstrip("=")
    return [
        secret("swarmkeeper-key", "", f"swk_{some(10)}_{some(43)}_{some(6)}"),
        secret("aws-access-key", "", "AKIA" + some(16, string.ascii_uppercase + "234567")),
        secret("aws-secret-key", "aws_secret_access_key=", some(38) + "/+"),
        secret("google-api-key", "", "AIza" + some(35)),
        secret("google-oauth", "", "GOCSPX-" + some(28)),
        secret("azure-storage-key", "AccountKey=", some(86) + "=="),
        secret("azure-client-secret", "", f"{some(3)}8Q~{some(33)}"),
        secret("github-token", "", "ghp_" + some(36)),
        secret("gitlab-token", "", "glpat-" + some(20)),
        secret("npm-token", "", "npm_" + some(36)),
        secret("pypi-token", "", "pypi-AgE" + some(50)),
        secret("anthropic-key", "", f"sk-ant-api03-{some(40)}"),
        secret("openai-key", "", "sk-proj-" + some(40)),
        secret("hugging-face-token", "", "hf_" + some(34)),
        secret("stripe-key", "", "sk_live_" + some(24)),
        secret("slack-token", "", f"xoxb-{some(12, string.digits)}-{some(24)}"),
        secret("sendgrid-key", "", f"SG.{some(22)}.{some(43)}"),
        secret("jwt", "", f"{header.rstrip('=')}.{claims}.{some(43)}"),
        secret("url-password", "postgresql://app:", some(20), "@db.example/app"),
        secret("password-pair", "password=", some(20)),
    ]


def forms(text: str) -> dict[str, str]:
    """The text as it stands, and each way in which it may be dressed up."""
    return {
        "plain": text,
        "base64": base64.b64encode(text.encode()).decode(),
        "base64url": base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
        "percent": "".join(f"%{byte:02X}" for byte in text.encode()),
        "hex": text.encode().hex(),
        "escaped": "".join(f"\\u{ord(letter):04x}" for letter in text),
        "entities": "".join(f"&#{ord(letter)};" for letter in text),
        "zero-width": "".join(letter + ZERO_WIDTH[at % 6] if at % 3 == 2 else letter for at, letter in enumerate(text)),
    }


def _pieces(core: str) -> set[str]:
    middle = (len(core) - PIECE) // 2
    return {core[:PIECE], core[middle : middle + PIECE], core[-PIECE:]}


def _needles(core: str) -> Iterator[str]:
    """What stands in a text that holds a piece of the secret in one of the forms."""
    for piece in _pieces(core):
        yield piece
        yield quote(piece, safe="")
        shown = forms(piece)
        yield from (shown["percent"], shown["percent"].lower(), shown["hex"], shown["hex"].upper(), shown["escaped"])
        yield shown["entities"]
        for ahead in range(3):  # base64 looks different at each of three places; ends depend on what is beside
            for encoded in (base64.b64encode, base64.urlsafe_b64encode):
                yield encoded(b"\0" * ahead + piece.encode()).decode()[4 if ahead else 0 : -4]


class Search:
    def __init__(self, secrets: list[Secret]) -> None:
        self._needles: dict[bytes, list[tuple[bytes, Secret]]] = {}  # by how they begin
        for secret in secrets:
            for needle in map(str.encode, _needles(secret.core)):
                self._needles.setdefault(needle[:BEGINNING], []).append((needle, secret))
        options = re2.Options()
        options.max_mem = 1 << 28  # there are thousands of beginnings
        options.encoding = options.Encoding.LATIN1  # of bytes
        any_beginning = b"|".join(b"".join(b"\\x%02x" % byte for byte in begin) for begin in sorted(self._needles))
        self._beginnings = re2.compile(any_beginning, options)

    def found(self, kept: bytes | str) -> set[str]:
        """The rules whose secrets stand in what was kept, in any form, also where JSON or a header wrote it down."""
        text = kept if isinstance(kept, str) else kept.decode("utf-8", "replace")
        bare = text.replace("\\\\", "\\")
        for mark in ZERO_WIDTH:
            bare = bare.replace(mark, "").replace(f"\\u{ord(mark):04x}", "")
            bare = bare.replace(mark.encode().decode("latin-1"), "")  # of a header
        return {secret.rule for shown in {text, bare} for secret in self._in(shown.encode("utf-8", "surrogatepass"))}

    def _in(self, text: bytes) -> Iterator[Secret]:
        at = 0
        while begins := self._beginnings.search(text, at):
            at = begins.start()
            for needle, secret in self._needles[begins[0]]:
                if text.startswith(needle, at):
                    yield secret
            at += 1
