"""Secrets that look like those of a hundred issuers, made from the examples of the shipped rules."""

from __future__ import annotations

import random
import string
import tomllib
from importlib.resources import files
from typing import Any

from swarmkeeper.govern.redaction.redactor import Redactor
from tests.acceptance.planted import PIECE, Secret

LETTERS = ("abcdef", "ABCDEF", string.digits, string.ascii_lowercase, string.ascii_uppercase)
CORE_LENGTH = PIECE + 4
TRIES = 50


class Kind:
    """The secrets of one rule: its example, with other characters wherever the rule lets them be others."""

    def __init__(self, rule: str, example: str, redactor: Redactor, chance: random.Random) -> None:
        self.rule, self._example = rule, example
        self._redactor, self._chance = redactor, chance
        self._free = [at for at in range(len(example)) if self._may_change(at)]

    def another(self) -> Secret | None:
        """Return a secret that differs from all others; None if this kind has no such."""
        for _ in range(TRIES):
            letters = list(self._example)
            for at in self._free:
                letters[at] = self._like(letters[at])
            text = "".join(letters)
            core = self._core(text)
            if core is not None and len(core) >= CORE_LENGTH and core not in self._example:
                return Secret(self.rule, text, core)
        return None

    def _like(self, letter: str) -> str:
        """Return a letter of the same sort: a digit for a digit, and one that hexadecimal has for one that it has."""
        return next((self._chance.choice(sort) for sort in LETTERS if letter in sort), letter)

    def _may_change(self, at: int) -> bool:
        old = self._example[at]
        new = next((new for new in (self._like(old) for _ in range(9)) if new != old), old)
        return new != old and self._core(self._example[:at] + new + self._example[at + 1 :]) is not None

    def _core(self, text: str) -> str | None:
        """Return what redaction takes out of the text; None if it is not by this rule alone."""
        redacted = self._redactor.redact({"a": text})
        if [field.rule for field in redacted.fields] != [self.rule]:
            return None
        before, _, rest = redacted.value["a"].partition("[redacted:")
        return text[len(before) : len(text) - len(rest.partition("]")[2])]


def kinds(count: int, each: int) -> list[tuple[str, list[Secret]]]:
    """Return that many kinds with that many secrets each: the same in every run. None was ever a real one."""
    chance = random.Random(2_400)
    redactor = Redactor.default()
    examples = [(str(rule["id"]), rule["hit"][0]) for rule in _rules() if rule.get("hit")]
    chance.shuffle(examples)
    found = []
    for rule, hit in examples:
        example = hit if isinstance(hit, str) else "".join(hit)
        if not CORE_LENGTH <= len(example) <= 120 or not example.isprintable():
            continue
        kind = Kind(rule, example, redactor, chance)
        secrets = [secret for secret in (kind.another() for _ in range(each)) if secret is not None]
        if len({secret.core for secret in secrets}) == each:
            found.append((rule, secrets))
        if len(found) == count:
            return found
    raise AssertionError(f"the rules give {len(found)} kinds")


def _rules() -> list[dict[str, Any]]:
    packs = sorted(files("swarmkeeper.govern").joinpath("rules").iterdir(), key=lambda pack: pack.name)
    return [
        rule
        for pack in packs
        if pack.name.endswith(".toml")
        for rule in tomllib.loads(pack.read_text("utf-8")).get("detector", [])
    ]
