"""Which parts of a text are secrets: rules read from a pack (TOML), compiled once, run by RE2 behind a keyword filter.

Theory. Most texts hold no secret, and most rules need a word to stand in the text (`ghp_`, `password`, `://`). One
regular expression made of all those words, and of the rules that have none, says for a whole value at once that there
is nothing to find. Only where it says otherwise does an Aho-Corasick automaton over the words tell which rules could
match, and only those run. RE2 is linear in the text whatever the pattern, so a rule cannot be made to hang. What
stands encoded in a text (encoded.py) is read and looked at in the same way, and so is what stands encoded in that, but
no deeper; what is found there hides the encoded text it stood in. What a value looks like as a whole (its keys, its
shape) is not known here: see redaction.py. Nothing here logs, and no message repeats the text.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ahocorasick
import re2
import rfc8785

from swarmkeeper.govern import encoded, views
from swarmkeeper.govern.checks import CHECKS, Check, entropy

TEXT_MAX = 1 << 20  # characters; more is not looked at but hidden whole
FINDS_MAX = 1_000  # in one text; whoever sends more of them sends a dump, which is hidden whole
TRIES_MAX = 10_000  # candidates that a check may refuse in one text, for the same reason
LEVELS = 2  # base64 of base64 is read, a third wrapping is not

# A refused candidate up to this long is searched again from its second character: a card number may begin inside it.
# Longer ones are not, so that the work stays linear.
_SHORT = 64

_ABSENT = (-1, -1)  # what RE2 says of a group that took no part

_Found = tuple[int, int, int]  # first character, the one after the last, number of the rule

# What stands where a text could not be looked at; no rule may take this name.
UNSCANNED = "unscanned"


class BadRules(ValueError):
    """The rule pack cannot be used. The message names the rule, and the example by its number; mend the file."""


class Unscanned(Exception):
    """The text has met a cap: nobody knows what is in it, so all of it must be hidden."""


@dataclass(frozen=True, slots=True)
class Span:
    start: int
    end: int
    rule: str


@dataclass(frozen=True, slots=True)
class Detector:
    """One rule on text. What it finds is its first group that took part in the match, or else the whole match."""

    id: str
    keywords: tuple[str, ...]  # lower case; without one of them the rule cannot match; none: it always runs
    pattern: str
    entropy: float  # bits a character, at least
    check: str | None
    allow: tuple[str, ...]  # what it finds is no secret if one of these matches all of it
    hit: tuple[str, ...]
    miss: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One rule on places: the value there is hidden whole, whatever it is."""

    id: str
    keys: tuple[str, ...]  # names of keys; `*` at either end stands for anything; case, `-` and `_` do not count
    pointers: tuple[str, ...]  # JSON Pointers; `*` is any one segment, `**` any number of them
    hit: tuple[str, ...]
    miss: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pack:
    fields: tuple[FieldRule, ...]
    detectors: tuple[Detector, ...]
    hash: str  # SHA-256 of everything the packs say, in hexadecimal


def read_packs(*texts: str) -> Pack:
    """Read rule packs, the first one's rules coming first where two claim the same characters.

    Raises:
        BadRules: a file is no TOML, says something unknown, or names a rule twice.
    """
    fields: list[FieldRule] = []
    detectors: list[Detector] = []
    said: list[Any] = []
    for number, text in enumerate(texts, 1):
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as problem:
            raise BadRules(f"rule pack {number} is not TOML: {problem}") from None
        where = f"rule pack {number}"
        _known(content, {"version", "field", "detector"}, where)
        if content.get("version") != 1:
            raise BadRules(f"{where}: version must be 1")
        fields.extend(_field(entry, where) for entry in _tables(content, "field", where))
        detectors.extend(_detector(entry, where) for entry in _tables(content, "detector", where))
        said.append(content)
    names = [UNSCANNED, *(rule.id for rule in fields), *(rule.id for rule in detectors)]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BadRules(f"rule {min(twice)!r} is defined twice")
    try:
        digest = hashlib.sha256(rfc8785.dumps(said)).hexdigest()
    except rfc8785.CanonicalizationError:
        raise BadRules("a rule pack holds a value that JSON cannot: a date, or a number beyond 2^53") from None
    return Pack(tuple(fields), tuple(detectors), digest)


class Detectors:
    """The compiled detectors of a pack.

    Raises:
        BadRules: a pattern does not compile, or a rule fails its own examples.
    """

    def __init__(self, pack: Pack) -> None:
        # Our own placeholders are no secrets, so that redacting twice changes nothing; what only looks like one may be.
        names = (UNSCANNED, *(rule.id for rule in pack.fields), *(rule.id for rule in pack.detectors))
        placeholders = frozenset(f"[redacted:{name}]".encode() for name in names)
        self._compiled = [_Compiled(detector, placeholders) for detector in pack.detectors]
        self._always = frozenset(n for n, rule in enumerate(self._compiled) if not rule.detector.keywords)
        self._words = ahocorasick.Automaton()
        by_word: dict[str, set[int]] = {}
        for n, rule in enumerate(self._compiled):
            for word in rule.detector.keywords:
                by_word.setdefault(word, set()).add(n)
        for word, rules in by_word.items():
            self._words.add_word(word, frozenset(rules))
        if by_word:  # an automaton of no words cannot be made
            self._words.make_automaton()
        alternatives = [f"(?i:{re2.escape(word)})" for word in by_word]
        alternatives += [f"(?:{self._compiled[n].detector.pattern})" for n in sorted(self._always)]
        # Several texts are asked about at once, one to a line.
        self._gate = _compile("(?m)" + "|".join(alternatives), "all rules", capture=False) if alternatives else None
        for rule in self._compiled:
            self._try(rule)

    def quiet(self, lines: str) -> bool:
        """Whether no rule can find anything in any of these lines: the fast answer to the usual case.

        Raises:
            UnicodeEncodeError: they hold half a character.
        """
        data = views.folded(lines).encode()
        if not self._calm(data):
            return False
        readings = encoded.glance(data)
        if readings is None:
            return False
        inner = [views.folded(reading).encode() for reading in readings]
        return all(self._calm(reading) and not encoded.possible(reading) for reading in inner)

    def _calm(self, data: bytes) -> bool:
        return self._gate is None or self._gate.search(data) is None

    def find(self, text: str) -> list[Span]:
        """The secrets in a text, in order and apart; where rules overlap, the union under the first rule's name.

        Raises:
            Unscanned: too long, or too much was found.
            UnicodeEncodeError: it holds half a character.
        """
        if len(text) > TEXT_MAX:
            raise Unscanned
        try:
            found = self._look(text, LEVELS, encoded.Budget())
        except encoded.TooMuch:
            raise Unscanned from None
        return [Span(start, end, self._compiled[n].detector.id) for start, end, n in found]

    def _look(self, text: str, levels: int, budget: encoded.Budget) -> list[_Found]:
        """What is found in the text, and in what stands encoded in it."""
        view = views.plain(text)
        data = view.text.encode()
        found = self._matches(view.text, data)
        if levels and encoded.possible(data):
            for inner in encoded.decoded(view.text, budget):
                deeper = self._look(inner.text, levels - 1, budget)
                found += [(*inner.original(start, end), n) for start, end, n in deeper]
                if len(found) > FINDS_MAX:
                    raise Unscanned
            found = _united(found)
        return [(*view.original(start, end), n) for start, end, n in found]

    def _matches(self, text: str, data: bytes) -> list[_Found]:
        candidates = self._candidates(text)
        found = [(start, end, n) for n in sorted(candidates) for start, end in self._compiled[n].spans(data)]
        if len(found) > FINDS_MAX:
            raise Unscanned
        place = _Places(data)
        return [(place.of(start), place.of(end), n) for start, end, n in _united(found)]

    def _candidates(self, text: str) -> set[int]:
        chosen = set(self._always)
        if not len(self._words):
            return chosen
        for _, rules in self._words.iter(text.casefold()):
            chosen |= rules
            if len(chosen) == len(self._compiled):
                break
        return chosen

    def _try(self, rule: _Compiled) -> None:
        """Run a rule's examples through everything that a text goes through."""
        detector = rule.detector
        n = self._compiled.index(rule)
        for number, example in enumerate(detector.hit, 1):
            if self.quiet(example) or n not in self._candidates(example) or not rule.spans(example.encode()):
                raise BadRules(f"detector {detector.id!r}: hit {number} is not found")
        for number, example in enumerate(detector.miss, 1):
            if rule.spans(example.encode()):
                raise BadRules(f"detector {detector.id!r}: miss {number} is found")


class _Compiled:
    """A detector ready to run on UTF-8."""

    def __init__(self, detector: Detector, placeholders: frozenset[bytes]) -> None:
        where = f"detector {detector.id!r}"
        self.detector = detector
        self._pattern = _compile(detector.pattern, where)
        self._check: Check | None = CHECKS[detector.check] if detector.check else None
        self._placeholders = placeholders
        self._allow = _compile("|".join(f"(?:{word})" for word in detector.allow), where) if detector.allow else None
        self._groups = range(1, self._pattern.groups + 1)
        if self._pattern.search(b"") is not None:
            raise BadRules(f"{where}: the pattern matches nothing at all")

    def spans(self, data: bytes) -> list[tuple[int, int]]:
        """Where the rule finds a secret, in bytes. Raises Unscanned where a cap is met."""
        spans: list[tuple[int, int]] = []
        at = refused = 0
        while (match := self._pattern.search(data, at)) is not None:
            first, last = start, end = match.span()
            for n in self._groups:
                if (span := match.span(n)) != _ABSENT:
                    start, end = span
                    break
            size = self._secret(data[start:end])
            if size is not None and size > 0:
                spans.append((start, start + size))
                # What stands behind the secret in this match may be the context in front of the next one.
                at = start + size
            else:
                refused += 1
                at = last if last - first > _SHORT else _next_letter(data, first)
            if len(spans) > FINDS_MAX or refused > TRIES_MAX:
                raise Unscanned
        return spans

    def _secret(self, found: bytes) -> int | None:
        """How many bytes of what was found are the secret; None: it is none."""
        if found in self._placeholders or (self._allow is not None and self._allow.fullmatch(found) is not None):
            return None
        if not self.detector.entropy and self._check is None:
            return len(found)
        text = found.decode()
        if not text or entropy(text) < self.detector.entropy:
            return None
        size = len(text) if self._check is None else self._check(text)
        return None if size is None else len(text[:size].encode())


class _Places:
    """Turns byte offsets of UTF-8 into places in the text, asked for in ascending order."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._ascii = data.isascii()
        self._byte = self._place = 0

    def of(self, byte: int) -> int:
        if self._ascii:
            return byte
        self._place += len(self._data[self._byte : byte].decode())
        self._byte = byte
        return self._place


def _united(found: list[_Found]) -> list[_Found]:
    """In order and apart: where some overlap, their union, under the first rule."""
    united: list[_Found] = []
    for start, end, rule in sorted(found):
        if united and start < united[-1][1]:
            first, last, other = united[-1]
            united[-1] = (first, max(last, end), min(rule, other))
        else:
            united.append((start, end, rule))
    return united


def _next_letter(data: bytes, at: int) -> int:
    at += 1
    while at < len(data) and data[at] & 0xC0 == 0x80:
        at += 1
    return at


def _compile(pattern: str, where: str, *, capture: bool = True) -> re2._Regexp:
    options = re2.Options()
    options.log_errors = False  # RE2 would write to stderr, text and all
    options.never_capture = not capture
    if not capture:
        options.max_mem = 64 << 20  # that of all rules together is large; past its bound RE2 is slower, not wrong
    try:
        return re2.compile(pattern, options)
    except re2.error as problem:
        reason = problem.args[0] if problem.args else "unknown"
        raise BadRules(
            f"{where}: RE2 does not accept the pattern: {reason.decode() if isinstance(reason, bytes) else reason}"
        ) from None


# Reading a pack: everything is checked, and whatever is not known is refused.


def _tables(content: Mapping[str, object], name: str, where: str) -> list[Mapping[str, object]]:
    tables = content.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise BadRules(f"{where}: {name!r} must be written as [[{name}]]")
    return tables


def _known(entry: Mapping[str, object], names: set[str], where: str) -> None:
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
    """Examples may be written in parts, so that nobody's scanner takes the file for a leak."""
    examples = entry.get(name)
    if not isinstance(examples, list) or not examples:
        raise BadRules(f"{where}: needs at least one {name!r} example")
    joined = ["".join(example) if _is_text_list(example) else example for example in examples]
    if not _is_text_list(joined):
        raise BadRules(f"{where}: {name!r} must hold texts, or lists of their parts")
    return tuple(joined)


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
        raise BadRules(f"{where}: in a key '*' may stand at either end only, and not alone")
    return FieldRule(name, keys, pointers, _examples(entry, "hit", where), _examples(entry, "miss", where))


def _detector(entry: Mapping[str, object], where: str) -> Detector:
    name = _id(entry, where)
    where = f"detector {name!r}"
    _known(
        entry,
        {"id", "about", "source", "keywords", "pattern", "entropy", "check", "allow", "hit", "miss"},
        where,
    )
    pattern, check, least = entry.get("pattern"), entry.get("check"), entry.get("entropy", 0)
    keywords = _texts(entry, "keywords", where)
    if not isinstance(pattern, str) or not pattern:
        raise BadRules(f"{where}: 'pattern' must be a text")
    if r"\C" in pattern or (not keywords and (r"\A" in pattern or r"\z" in pattern)):
        raise BadRules(f"{where}: the pattern may not use \\C, nor \\A and \\z without keywords")
    if check is not None and check not in CHECKS:
        raise BadRules(f"{where}: 'check' must be one of {', '.join(CHECKS)}")
    if isinstance(least, bool) or not isinstance(least, int | float):
        raise BadRules(f"{where}: 'entropy' must be a number")
    if any(word != word.casefold() or not word.isascii() or len(word) < 1 for word in keywords):
        raise BadRules(f"{where}: keywords must be ASCII in lower case")
    return Detector(
        id=name,
        keywords=keywords,
        pattern=pattern,
        entropy=float(least),
        check=str(check) if check is not None else None,
        allow=_texts(entry, "allow", where),
        hit=_examples(entry, "hit", where),
        miss=_examples(entry, "miss", where),
    )
