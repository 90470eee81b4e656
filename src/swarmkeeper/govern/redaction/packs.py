"""Rule packs: reads and checks their files (TOML). detectors.py applies the rules.

Everything is checked, and anything unknown is refused: a rule that is silently dropped protects nobody. gitleaks.py
first converts files in the format of gitleaks.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec
import re2
import rfc8785

from swarmkeeper.govern.redaction import gitleaks
from swarmkeeper.govern.redaction.checks import CHECKS, NAMED_CHECKS

# The rule name in place of a text that could not be searched; no rule may have this name.
UNSCANNED = "unscanned"


class BadRules(ValueError):
    """The rule pack cannot be used. The message names the rule, and the example by its number; correct the file."""


@dataclass(frozen=True, slots=True)
class Detector:
    """A rule on text. Its secret is the first group with a match, or else the whole match."""

    id: str
    pattern: str
    keywords: tuple[str, ...] = ()  # lower case; the rule can match only with one in the text; none: it always runs
    group: int = 0  # of the pattern, which is the secret; 0: as above
    entropy: float = 0  # minimum, in bits per character
    check: str | None = None
    allow: tuple[str, ...] = ()  # a match is not a secret if one of these matches all of it
    real: bool = False  # evident placeholders, such as `xxxx`, are not secrets
    wrapped: bool = False  # it is also found where a line break cuts it
    correlates: bool = True  # equal secrets may get equal placeholders: such secrets are too many to try them all
    shipped: bool = False  # our tests tried its examples; the server does not
    hit: tuple[str, ...] = ()
    miss: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldRule:
    """A rule on places: any value there is hidden whole."""

    id: str
    keys: tuple[str, ...] = ()  # names of keys; `*` at either end matches anything; case, `-` and `_` are ignored
    pointers: tuple[str, ...] = ()  # JSON Pointers; `*` is any one segment, `**` any number of them
    hit: tuple[str, ...] = ()
    miss: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Allowance:
    """Values that are not secrets, although some detectors match them."""

    id: str
    rules: tuple[str, ...]  # ids of the detectors
    patterns: tuple[str, ...]  # one of them must match the whole value
    hit: tuple[str, ...] = ()
    miss: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pack:
    fields: tuple[FieldRule, ...]
    detectors: tuple[Detector, ...]
    allowances: tuple[Allowance, ...]
    hash: str  # SHA-256 of the content of all packs, in hexadecimal

    def __hash__(self) -> int:
        """Hash what is a hash already: a pack has thousands of texts, and each server looks for it in a cache."""
        return hash(self.hash)

    def allowed(self, rule: str) -> tuple[str, ...]:
        """Return the patterns of the allowances for this detector."""
        return tuple(
            pattern for allowance in self.allowances if rule in allowance.rules for pattern in allowance.patterns
        )


def read_packs(*texts: str, shipped: Pack | None = None) -> Pack:
    """Read rule packs, ours or in the format of gitleaks. If two rules match the same characters, the first wins.

    `shipped` comes first: the shipped rules, as `decoded` returns them.

    Raises:
        BadRules: a file is not TOML, contains anything unknown, names a rule twice, or fails the examples of its
            allowances.
    """
    if shipped is not None and not texts:
        return shipped
    fields = list(shipped.fields) if shipped is not None else []
    detectors = list(shipped.detectors) if shipped is not None else []
    allowances = list(shipped.allowances) if shipped is not None else []
    said: list[Any] = [shipped.hash] if shipped is not None else []
    for number, text in enumerate(texts, 1):
        where = f"rule pack {number}"
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as problem:
            raise BadRules(f"{where} is not TOML: {problem}") from None
        said.append(content)
        if gitleaks.is_such(content):
            entries, problems = gitleaks.converted(content)
            if problems:
                raise BadRules(f"{where}: " + "; ".join(problems))
            detectors.extend(_detector(entry, where, examples=False) for entry in entries)
            continue
        _known(content, {"version", "placeholders", "field", "detector", "allow"}, where)
        real = not _switch(content, "placeholders", where)
        if content.get("version") != 1:
            raise BadRules(f"{where}: version must be 1")
        fields.extend(_field(entry, where) for entry in _tables(content, "field", where))
        detectors.extend(_detector(entry, where, real=real) for entry in _tables(content, "detector", where))
        allowances.extend(_allowance(entry, where) for entry in _tables(content, "allow", where))
    names = [UNSCANNED, *(rule.id for rule in fields), *(rule.id for rule in detectors)]
    names += [allowance.id for allowance in allowances]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BadRules(f"rule {min(twice)!r} is defined twice")
    known = {rule.id for rule in detectors}
    for allowance in allowances:
        if missing := sorted(set(allowance.rules) - known):
            raise BadRules(f"allowance {allowance.id!r}: there is no detector {missing[0]!r}")
    try:
        digest = hashlib.sha256(rfc8785.dumps(said)).hexdigest()
    except rfc8785.CanonicalizationError:
        raise BadRules("a rule pack holds a value that JSON cannot: a date, or a number beyond 2^53") from None
    return Pack(tuple(fields), tuple(detectors), tuple(allowances), digest)


def encoded(pack: Pack) -> str:
    """Return the shipped rules without their examples, as JSON, one rule a line: read in a hundredth of the time."""

    def lines(rules: Sequence[FieldRule | Detector | Allowance]) -> str:
        return ",\n".join(
            msgspec.json.encode(
                {
                    name: value
                    for name, value in (asdict(rule) | {"hit": (), "miss": ()}).items()
                    if value not in ((), None, 0, 0.0, False) or name == "correlates"
                }
            ).decode()
            for rule in rules
        )

    detectors = lines([replace(detector, shipped=True) for detector in pack.detectors])
    return (
        f'{{"hash": "{pack.hash}",\n"fields": [\n{lines(pack.fields)}\n],\n"detectors": [\n{detectors}\n],\n'
        f'"allowances": [\n{lines(pack.allowances)}\n]}}\n'
    )


def decoded(text: str) -> Pack:
    """Read what `encoded` wrote."""
    return msgspec.json.decode(text, type=Pack)


def compiled(pattern: str, where: str, *, capture: bool = True, latin: bool = False) -> re2._Regexp:
    """Compile the pattern for UTF-8, or for plain bytes.

    Raises:
        BadRules: RE2 does not accept it, or it would be too large.
    """
    options = re2.Options()
    if latin:
        options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False  # RE2 would write to stderr, with the text
    options.never_capture = not capture
    if not capture:
        options.max_mem = 64 << 20  # all rules together need much; beyond the bound RE2 is slower, but still right
    try:
        return re2.compile(pattern.encode("ascii") if latin else pattern, options)
    except re2.error as problem:
        reason = problem.args[0] if problem.args else "unknown"
        raise BadRules(
            f"{where}: RE2 does not accept the pattern: {reason.decode() if isinstance(reason, bytes) else reason}"
        ) from None


def _tables(content: Mapping[str, object], name: str, where: str) -> list[Mapping[str, object]]:
    tables = content.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise BadRules(f"{where}: {name!r} must be written as [[{name}]]")
    return tables


def _known(entry: Mapping[str, object], names: AbstractSet[str], where: str) -> None:
    if unknown := sorted(entry.keys() - names):
        raise BadRules(f"{where}: unknown setting {unknown[0]!r}")


def _id(entry: Mapping[str, object], where: str) -> str:
    name = entry.get("id")
    if not isinstance(name, str) or re2.fullmatch("[a-z0-9][a-z0-9-]{0,63}", name) is None:
        raise BadRules(f"{where}: a rule's id must be lower case letters, digits and '-', at most 64")
    return name


def _texts(entry: Mapping[str, object], name: str, where: str) -> tuple[str, ...]:
    texts = entry.get(name, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise BadRules(f"{where}: {name!r} must be a list of texts")
    return tuple(texts)


def _examples(entry: Mapping[str, object], name: str, where: str) -> tuple[str, ...]:
    """Read examples. They may be written in parts, so that no scanner takes the file for a leak."""
    examples = entry.get(name)
    if not isinstance(examples, list) or not examples:
        raise BadRules(f"{where}: needs at least one {name!r} example")
    joined = ["".join(example) if _is_text_list(example) else example for example in examples]
    if not _is_text_list(joined):
        raise BadRules(f"{where}: {name!r} must hold texts, or lists of their parts")
    return tuple(joined)


def _switch(entry: Mapping[str, object], name: str, where: str, *, default: bool = True) -> bool:
    value = entry.get(name, default)
    if not isinstance(value, bool):
        raise BadRules(f"{where}: {name!r} must be true or false")
    return value


def _is_text_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _field(entry: Mapping[str, object], where: str) -> FieldRule:
    name = _id(entry, where)
    where = f"field rule {name!r}"
    _known(entry, {"id", "about", "keys", "pointers", "hit", "miss"}, where)
    keys, pointers = _texts(entry, "keys", where), _texts(entry, "pointers", where)
    if not keys and not pointers:
        raise BadRules(f"{where}: needs 'keys' or 'pointers'")
    if any(not pointer.startswith("/") for pointer in pointers):
        raise BadRules(f"{where}: a pointer must begin with '/'")
    if any("*" in key[1:-1] or not key.strip("*-_") for key in keys):
        raise BadRules(f"{where}: in a key, '*' is allowed only at either end, and not alone")
    return FieldRule(name, keys, pointers, _examples(entry, "hit", where), _examples(entry, "miss", where))


def _allowance(entry: Mapping[str, object], where: str) -> Allowance:
    name = _id(entry, where)
    where = f"allowance {name!r}"
    _known(entry, {"id", "about", "rules", "patterns", "hit", "miss"}, where)
    allowance = Allowance(
        name,
        _texts(entry, "rules", where),
        _texts(entry, "patterns", where),
        _examples(entry, "hit", where),
        _examples(entry, "miss", where),
    )
    if not allowance.rules or not allowance.patterns:
        raise BadRules(f"{where}: needs 'rules' and 'patterns'")
    pattern = compiled("|".join(f"(?:{word})" for word in allowance.patterns), where)
    for kind, examples in (("hit", allowance.hit), ("miss", allowance.miss)):
        for number, example in enumerate(examples, 1):
            if (pattern.fullmatch(example) is not None) != (kind == "hit"):
                raise BadRules(f"{where}: {kind} {number} is {'not ' if kind == 'hit' else ''}found")
    return allowance


_DETECTOR = frozenset(
    {"id", "about", "source", "keywords", "pattern", "entropy", "check", "allow", "wrapped", "correlate", "hit", "miss"}
)


def _detector(entry: Mapping[str, object], where: str, *, examples: bool = True, real: bool = False) -> Detector:
    name = _id(entry, where)
    where = f"detector {name!r}"
    _known(entry, _DETECTOR if examples else _DETECTOR | {"group"}, where)
    pattern, check, least = entry.get("pattern"), entry.get("check"), entry.get("entropy", 0)
    keywords = _texts(entry, "keywords", where)
    if not isinstance(pattern, str) or not pattern:
        raise BadRules(f"{where}: 'pattern' must be a text")
    if r"\C" in pattern or (not keywords and (r"\A" in pattern or r"\z" in pattern)):
        raise BadRules(f"{where}: the pattern may not use \\C, nor \\A and \\z without keywords")
    if check is not None and check not in CHECKS and check not in NAMED_CHECKS:
        raise BadRules(f"{where}: 'check' must be one of {', '.join(sorted((*CHECKS, *NAMED_CHECKS)))}")
    if isinstance(least, bool) or not isinstance(least, int | float):
        raise BadRules(f"{where}: 'entropy' must be a number")
    if any(word != word.casefold() for word in keywords):
        raise BadRules(f"{where}: keywords must be in lower case")
    return Detector(
        id=name,
        keywords=keywords,
        pattern=pattern,
        group=group if isinstance(group := entry.get("group", 0), int) else 0,
        entropy=float(least),
        check=str(check) if check is not None else None,
        allow=_texts(entry, "allow", where),
        real=real,
        wrapped=_switch(entry, "wrapped", where, default=False),
        correlates=_switch(entry, "correlate", where),
        hit=_examples(entry, "hit", where) if examples else (),
        miss=_examples(entry, "miss", where) if examples else (),
    )
