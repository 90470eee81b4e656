"""Reads the corpus beside it: texts with secrets (marked), and texts without any. Nothing here was ever a real secret.

Tokens are made from `formats.txt` by a seeded generator, so that no scanner takes the files for leaks, and put into the
places of `contexts.txt`. Everything else is written by hand. The rules are not read here, and no rule was written from
these texts, but for the class `literal in source code`, twenty commands and the files of scanners: reviews wrote those
texts first, and the rules that were missing afterwards.
"""

from __future__ import annotations

import base64
import hashlib
import random
import re
import string
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

FOLDER = Path(__file__).parent
SEED = 20_261_128

_ALPHABETS = {
    "A": string.ascii_letters + string.digits,
    "B": string.ascii_uppercase + "234567",
    "H": "0123456789ABCDEF",
    "Q": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
    "U": string.ascii_uppercase + string.digits,
    "a": string.ascii_letters,
    "b": string.ascii_letters + string.digits + "+/",
    "d": string.digits,
    "h": "0123456789abcdef",
    "l": string.ascii_lowercase + string.digits,
    "u": string.ascii_letters + string.digits + "-_",
}
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PIECE = re.compile(r"\{(?:([ABHQUabdhlu])(\d+)|(guid|GUID))\}")
_BASIC = re.compile(r"\{basic ([^{}]+|\{.*\})\}")
_MARKED = re.compile("«(.+?)»", re.DOTALL)
_LONG = 24


@dataclass(frozen=True, slots=True)
class Sample:
    kind: str  # the class, by which results are counted
    text: str
    secrets: tuple[str, ...] = ()  # none of which may be left; empty: the text must stay as it is


@dataclass(frozen=True, slots=True)
class _Format:
    issuer: str
    form: str
    needs_name: bool


def positives() -> list[Sample]:
    """Return texts with secrets: by hand, and each token format in five of the places."""
    chance = random.Random(SEED)
    return [
        *_by_hand(FOLDER / "positives.txt", chance),
        *_tokens(chance),
        *_by_hand(FOLDER / "scanners_positives.txt", chance),
    ]


def negatives() -> list[Sample]:
    """Return texts without secrets: by hand, and each pair of name and value in seven of the notations."""
    chance = random.Random(SEED)
    found = list(_by_hand(FOLDER / "negatives.txt", chance))
    notations = [line for _, line in _lines(FOLDER / "negatives_notations.txt")]
    for kind, line in _lines(FOLDER / "negatives_pairs.txt"):
        name, value = line.split(" | ", 1)
        for notation in chance.sample(notations, 7):
            words = {"{name}": name, "{NAME}": _snake(name).upper(), "{name-}": _snake(name).replace("_", "-")}
            found.append(Sample(kind, _filled(notation, words | {"{value}": value})))
    found.extend(_by_hand(FOLDER / "scanners_negatives.txt", chance))
    return found


def held_out() -> tuple[list[Sample], list[Sample]]:
    """Return texts with and without secrets that were written after the last change of the rules."""
    chance = random.Random(SEED)
    return list(_by_hand(FOLDER / "held_out_positives.txt", chance)), list(
        _by_hand(FOLDER / "held_out_negatives.txt", chance)
    )


def shape(text: str) -> str:
    """Return what is left of a text without the letters and digits in it: texts of equal shape are much alike."""
    return re.sub(r"\d+", "0", re.sub(r"[^\W\d_]+", "a", text))


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    kind = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            kind = line[3:]
        elif line and kind:
            yield kind, line


def _by_hand(file: Path, chance: random.Random) -> Iterator[Sample]:
    for kind, line in _lines(file):
        disguised, secrets = _disguised(_based(line, chance), chance)
        text = minted(disguised, chance)
        marked = [_laid_out(secret) for secret in _MARKED.findall(text)]
        if text != disguised:  # a made token must be gone whole
            marked += [piece for secret in marked if len(secret) >= _LONG for piece in _middle_and_end(secret)]
        yield Sample(kind, _laid_out(_MARKED.sub(r"\1", text)), (*secrets, *marked))


def _middle_and_end(secret: str) -> tuple[str, str]:
    middle = len(secret) // 2
    return secret[middle - 4 : middle + 4], secret[-9:-1]


def _based(line: str, chance: random.Random) -> str:
    return _BASIC.sub(lambda match: base64.b64encode(minted(match[1], chance).encode()).decode(), line)


def _laid_out(text: str) -> str:
    return text.replace("⏎", "\n").replace("→", "\t") if "⏎" in text or "→ " not in text else text


def _tokens(chance: random.Random) -> Iterator[Sample]:
    places = list(_lines(FOLDER / "contexts.txt"))
    named = [line for kind, line in places if kind == "named"]
    for issuer, form, needs_name in _formats():
        for place in chance.sample(named if needs_name else [line for _, line in places], 5):
            token = minted(form, chance)
            snake = re.sub(r"\W+", "_", issuer).strip("_")
            words = {
                "{T}": token,
                "{NAME}": snake.upper(),
                "{name}": snake.lower(),
                "{Name}": snake.title().replace("_", ""),
                "{Title}": issuer,
            }
            kind = "token of a known issuer" if not needs_name else "token beside its issuer's name"
            yield Sample(kind, _laid_out(_filled(place, words)), _cores(token))


def _formats() -> list[tuple[str, str, bool]]:
    rows = []
    for line in (FOLDER / "formats.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            issuer, form = line.split(" | ")
            rows.append((issuer, form.removesuffix("*"), form.endswith("*")))
    return rows


def _cores(token: str) -> tuple[str, ...]:
    """Return the pieces of a token that must be gone: of a URL, only what follows the public part."""
    if "://" in token:
        token = max(re.split(r"[/@:]", token), key=len)
    return (token[-12:], token[len(token) // 2 - 4 : len(token) // 2 + 4])


def minted(form: str, chance: random.Random) -> str:
    """Return a token of the form, from chance alone."""

    def piece(match: re.Match[str]) -> str:
        if match[3]:
            made = str(uuid.UUID(int=chance.getrandbits(128), version=4))
            return made if match[3].islower() else made.upper()
        letters, size = _ALPHABETS[match[1]], int(match[2])
        made = "".join(chance.choices(letters, k=size))
        # No issuer's token is all letters or all digits, and chance makes few such.
        if size >= 10 and match[1] not in "da" and not (re.search("[0-9]", made) and re.search("[A-Za-z]", made)):
            return piece(match)
        # A dash at the end would be taken for punctuation.
        return made if made[-1].isalnum() else made[:-1] + "x"

    return _PIECE.sub(piece, form)


def _filled(place: str, words: dict[str, str]) -> str:
    return re.sub("|".join(map(re.escape, words)), lambda match: words[match[0]], place)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


_SLOT = re.compile(
    r"\{(bip39|wif|xprv|zprv|fullwidth|upper|entities|broken|quoted|json|base64|percent|hex|zero)(?: ([a-z0-9 ]+))?\}"
)


def _disguised(line: str, chance: random.Random) -> tuple[str, tuple[str, ...]]:
    """Put made secrets in place of the slots in a line; return it with what must be gone."""
    match = _SLOT.search(line)
    if match is None:
        return line, ()
    text, secrets = _made(match[1], match[2] or "", chance)
    return line[: match.start()] + text + line[match.end() :], secrets


def _made(what: str, detail: str, chance: random.Random) -> tuple[str, tuple[str, ...]]:
    github, slack = minted("ghp_{A36}", chance), minted("xoxb-{d12}-{d13}-{A24}", chance)
    password = "password=" + minted("{A14}", chance)
    half = len(github) // 2
    if what == "bip39":
        words = seed_phrase(12 if detail == "numbered" else int(detail), chance)
        shown = " ".join(f"{n}. {word}" for n, word in enumerate(words, 1)) if detail == "numbered" else " ".join(words)
        return shown, (" ".join(shown.split(" ")[2:6]),)
    if what == "wif":
        text = base58check(b"\x80" + chance.randbytes(32) + (b"\x01" if detail == "compressed" else b""))
        return text, (text[4:],)
    if what in ("xprv", "zprv"):
        version = {"xprv": "0488ade4", "zprv": "04b2430c"}[what]
        text = base58check(bytes.fromhex(version) + b"\0" * 9 + chance.randbytes(32) + b"\0" + chance.randbytes(32))
        return text, (text[8:],)
    if what == "fullwidth":
        text = "".join(chr(ord(c) + 0xFEE0) if c > " " else c for c in (github if detail == "github" else password))
        return text, (text[12:],)
    if what == "upper":
        text = (github if detail == "github" else slack).upper()
        return text, (text[12:],)
    if what == "entities":
        text = "".join(f"&#x{ord(c):x};" if detail.startswith("hex") else f"&#{ord(c)};" for c in github)
        if detail == "hex password":
            text = "".join(f"&#x{ord(c):x};" for c in password)
        return text, (text[-40:],)
    if what == "broken":
        if detail == "openai":
            github = minted("sk-proj-{A48}", chance)
        between = {"quoted": '" +\n    "', "continued": "\\\n"}.get(detail, "\n")
        text = github[:half] + between + github[half:]
        return (f'token = "{text}"' if detail == "quoted" else f"see {text} ok"), (
            github[half - 8 : half],
            github[-12:],
        )
    if what == "quoted":
        return f"{github[:half]}=\n{github[half:]}", (github[half - 8 : half], github[-12:])
    if what == "json":
        inner = minted("{A14}", chance)
        return f'{{"body":"{{\\"inner\\":\\"{{\\\\\\"password\\\\\\":\\\\\\"{inner}\\\\\\"}}\\"}}"}}', (inner,)
    if what == "base64":
        text = base64.b64encode(f"token {github}".encode()).decode()
        return text, (text[12:-4],)
    if what == "percent":
        text = "".join(f"%{ord(c):02X}" for c in slack)
        return text, (text[12:],)
    if what == "hex":
        text = minted("sk_live_{A24}", chance).encode().hex()
        return text, (text[12:],)
    text = "\u200b".join(minted("npm_{A36}", chance))
    return text, (text[12:],)


def base58check(payload: bytes) -> str:
    whole = payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    number, letters = int.from_bytes(whole, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        letters = _BASE58[rest] + letters
    return letters


def seed_phrase(count: int, chance: random.Random) -> list[str]:
    """Return a valid phrase of BIP-39."""
    words = resources.files("swarmkeeper.govern").joinpath("rules/bip39-english.txt").read_text().split()
    bits = count * 32 // 3
    entropy = chance.randbytes(bits // 8)
    check = hashlib.sha256(entropy).digest()[0] >> (8 - bits // 32)
    number = int.from_bytes(entropy, "big") << (bits // 32) | check
    return [words[number >> (11 * at) & 2047] for at in reversed(range(count))]
