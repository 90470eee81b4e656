"""Redacts values: the one place where `Redacted` is made. Every event, audit body, log line and error passes here.

Order: field rules (by place and name of key), then detectors on every text, on keys, and on encoded text. The shape is
kept: lists stay lists, and no key is dropped. The result is always plain JSON that RFC 8785 can write, whatever the
input. Anything that cannot be searched (too long, too deep, too much encoded, not JSON, a rule that failed) is hidden
whole. Reversed secrets, and secrets split over two fields, are not found. Nothing here logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from importlib import resources

import re2

from swarmkeeper.core.model import FieldRedaction, Json, Redacted
from swarmkeeper.govern.known_values import NOTHING, RULE, Known
from swarmkeeper.govern.redaction.detectors import TAG, TEXT_MAX, Detectors, Span
from swarmkeeper.govern.redaction.packs import UNSCANNED, BadRules, FieldRule, Pack, decoded, read_packs
from swarmkeeper.govern.redaction.tags import TenantTags

VALUE_MAX = 4 << 20  # characters in all texts of one value; texts beyond are hidden unseen
DEPTH_MAX = 96  # requests may have 64; our records add a few levels
SEGMENT_MAX = 64  # characters of one segment of a pointer

_INTEGER_MAX = 2**53 - 1  # the range that every JSON reader can represent
_CARD_MIN = 10**12  # a number of this size may be a card number, and is searched as text
_KEYS_REMEMBERED = 4_096
_TEXTS_REMEMBERED = 16_384
_KEY_REMEMBERED_MAX = 64
_KNOWN_REMEMBERED = 64  # tenants with values of their own

# Reading and compiling the shipped rules takes a tenth of a second; they never change, so they are shared.
_read = lru_cache(maxsize=4)(read_packs)
_compiled = lru_cache(maxsize=4)(Detectors)

# The shipped packs. If rules of two of them match the same characters, the earlier wins, so general ones come last.
SHIPPED = (
    *("default", "clouds", "code", "models", "payments", "messaging", "monitoring", "applications"),
    *("crypto", "issuers", "commands", "notations", "personal"),
)

# States of the pointer rules while walking down: places in their lists of segments.
_States = frozenset[tuple[int, int]]


def read_back(value: Json) -> Redacted:
    """Return a `Redacted` that was stored before."""
    return Redacted(value, ())


class Redactor:
    """Replaces secrets by `[redacted:<rule>]`, or `[redacted:<rule>:<key id>:<tag>]` if a tenant's tags are given.

    Deterministic: the same value, rules and tags give the same result.

    Raises:
        BadRules: the pack does not compile, or fails its own examples.
    """

    def __init__(self, pack: Pack) -> None:
        self.hash = pack.hash
        self.rules = (*(rule.id for rule in pack.fields), *(rule.id for rule in pack.detectors))
        self.places = frozenset(rule.id for rule in pack.fields)  # ids of the field rules
        self._detectors = _compiled(pack)
        self._places = _field_rules(pack.fields)
        self._quiet: dict[Known, _Quiet] = {}

    @classmethod
    def default(cls, *more: str) -> Redactor:
        """Return a redactor with the shipped rules, followed by those of other packs, given as text."""
        return cls(_read(*more, shipped=shipped_rules()))

    def compile_again(self) -> None:
        """Free what the trial of the rules left in memory; see `Detectors.compile_again`."""
        self._detectors.compile_again()

    def redact(
        self,
        value: Json,
        own: Mapping[str, Json] | None = None,
        *,
        tags: TenantTags | None = None,
        known: Known = NOTHING,
    ) -> Redacted:
        """Hide every secret in the value. The result shares no mutable part with it.

        `known` are secrets that were released to bots, and that no rule needs to match.

        `own` are further members of the value, an object, which contain nothing from callers: detectors skip them. If a
        field rule may match one of their names, they are treated like all other members.
        """
        quiet = self._quiet.get(known)
        if quiet is None or quiet.version != known.version:
            quiet = self._search_again(known)
        if own is not None:
            plain = quiet.keys.issuperset(own) or all(self._quiet_key(key, quiet) for key in own)
            if self._places.pointers or not plain:
                return self.redact({**own, **value}, tags=tags, known=known)
            if quiet.has(value):
                return Redacted({**own, **value})
            clean = self.redact(value, tags=tags, known=known)
            return Redacted({**own, **clean.value}, clean.fields)
        texts: list[str] = []
        try:
            copy = self._copy(value, texts, 0, quiet)
            if not texts:
                return Redacted(copy)
            # Separated by an empty line, or two digests would look like one encoded block and take the slow path.
            lines = "\n\n".join(texts)
            if len(lines) <= TEXT_MAX and self._detectors.quiet(lines, known):
                quiet.remember(texts)
                return Redacted(copy)
        except (_Suspect, UnicodeEncodeError):
            pass  # the slow path finds the reason and the place
        walk = _RedactionWalk(self._detectors, self._places, tags, known)
        clean = walk.value(value, "", 0, self._places.start)
        return Redacted(clean, tuple(walk.fields))

    def text(self, value: str, *, tags: TenantTags | None = None, known: Known = NOTHING) -> str:
        """Return the text with its secrets replaced."""
        return _redact_text(self._detectors, value, tags, known)[0]

    def find(self, text: str) -> list[Span]:
        """Return where the secrets of a text are and which rule found each, for reports about secrets.

        Raises:
            Unscanned: the text is too long, or contains too many secrets.
        """
        return self._detectors.find(text)

    def why_not(self, text: str, rule: str) -> str:
        """Explain why a rule finds nothing in a text itself."""
        if rule in self.places:
            return "the rule matches places, not text, and none of its places is here"
        return self._detectors.why_not(text, rule)

    def safe_segment(self, text: str, *, known: Known = NOTHING) -> str:
        """Make a caller's name safe to show in an error: redacted, printable, at most 64 characters."""
        return _printable(self.text(text, known=known))

    def _copy(self, value: Json, texts: list[str], depth: int, quiet: _Quiet) -> Json:
        """Copy the value and collect its texts, except keys known to be quiet. Raises _Suspect if it is not simple."""
        kind = type(value)
        if kind is str:
            if value not in quiet.texts:
                texts.append(value)
            return value
        if kind is float and -_CARD_MIN < value < _CARD_MIN:
            return value
        if kind is int:
            if not -_CARD_MIN < value < _CARD_MIN or quiet.known.is_number(value):
                _add_number(value, texts)
            return value
        if value is None or kind is bool:
            return value
        if kind is dict or kind is list or kind is tuple:
            if depth >= DEPTH_MAX or self._places.pointers:
                raise _Suspect
            if kind is not dict:
                return [self._copy(item, texts, depth + 1, quiet) for item in value]
            copy = {}
            for key, item in value.items():
                if key not in quiet.keys and not self._quiet_key(key, quiet):
                    raise _Suspect
                # The most frequent types are handled here, to save a call for each.
                kind = type(item)
                if kind is str:
                    if item not in quiet.texts:
                        texts.append(item)
                    copy[key] = item
                elif item is None:
                    copy[key] = item
                else:
                    copy[key] = self._copy(item, texts, depth + 1, quiet)
            return copy
        raise _Suspect

    def _search_again(self, known: Known) -> _Quiet:
        """Remember nothing as harmless: these values are new, or have changed since."""
        if len(self._quiet) >= _KNOWN_REMEMBERED:
            self._quiet = {}
        # A new one: another thread may be about to add to the old one what it searched for before.
        quiet = self._quiet[known] = _Quiet(known)
        return quiet

    def _quiet_key(self, key: object, quiet: _Quiet) -> bool:
        """Return whether no field rule matches this name."""
        if (
            type(key) is not str
            or self._places.by_key(key) is not None
            or _redact_text(self._detectors, key, None, quiet.known)[1]
        ):
            return False
        if len(quiet.keys) < _KEYS_REMEMBERED and len(key) <= _KEY_REMEMBERED_MAX:
            quiet.keys.add(key)
        return True


class _Quiet:
    """A memory of what is harmless for those who know certain values: keys that match no rule, and short texts without
    a secret (names, our words)."""

    __slots__ = ("keys", "known", "texts", "version")

    def __init__(self, known: Known) -> None:
        self.known, self.version = known, known.version
        self.keys: set[str] = set()
        self.texts: set[str] = set()

    def has(self, value: Mapping[str, Json]) -> bool:
        """Return whether it contains only texts and names that were found harmless before."""
        for key, item in value.items():
            if key not in self.keys or type(item) is not str or item not in self.texts:
                return False
        return True

    def remember(self, texts: list[str]) -> None:
        if len(self.texts) > _TEXTS_REMEMBERED:
            self.texts.clear()
        self.texts.update(text for text in texts if len(text) <= _KEY_REMEMBERED_MAX)


def default_rules() -> tuple[str, ...]:
    """Return the texts of the shipped rule packs, in their order."""
    folder = resources.files("swarmkeeper.govern").joinpath("rules")
    return tuple(folder.joinpath(f"{name}.toml").read_text(encoding="utf-8") for name in SHIPPED)


@lru_cache(maxsize=4)
def _field_rules(rules: tuple[FieldRule, ...]) -> _FieldRules:
    return _FieldRules(rules)


@cache
def shipped_rules() -> Pack:
    """Return the shipped rules. `scripts/gen_docs.py` makes their file from the packs; tests try all examples."""
    file = resources.files("swarmkeeper.govern").joinpath("rules/shipped.json")
    return decoded(file.read_text(encoding="utf-8"))


class _Suspect(Exception):
    """The value may contain a secret: it must be walked."""


class _RedactionWalk:
    """One careful pass over a value, which records what was hidden and where."""

    def __init__(self, detectors: Detectors, places: _FieldRules, tags: TenantTags | None, known: Known) -> None:
        self._known = known
        self._detectors = detectors
        self._places = places
        self._tags = tags
        self._left = VALUE_MAX
        self.fields: list[FieldRedaction] = []

    def value(self, value: Json, pointer: str, depth: int, states: _States) -> Json:
        if isinstance(value, str):
            return self._text(value, pointer)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return self._number(int(value), pointer)
        if isinstance(value, float):
            # A card number may be a float; NaN and infinity are not JSON.
            if value.is_integer() and abs(value) <= _INTEGER_MAX:
                shown = self._number(int(value), pointer)
                return shown if isinstance(shown, str) else float(value)
            return value if abs(value) < float("inf") else self._unscanned(pointer)
        if depth < DEPTH_MAX:
            if isinstance(value, Mapping):
                return self._object(value, pointer, depth, states)
            if isinstance(value, list | tuple):
                return [self._member(str(n), str(n), item, pointer, depth, states) for n, item in enumerate(value)]
        return self._unscanned(pointer)

    def _object(self, value: Mapping[object, Json], pointer: str, depth: int, states: _States) -> dict[str, Json]:
        clean: dict[str, Json] = {}
        taken: dict[str, int] = {}
        for key, item in value.items():
            shown, rules = self._redacted(key) if isinstance(key, str) else _hidden()
            name = shown
            while name in clean:
                taken[shown] = taken.get(shown, 1) + 1
                name = f"{shown}#{taken[shown]}"
            below = f"{pointer}/{segment(name)}"
            self.fields.extend(FieldRedaction(below, rule, within="key") for rule in rules)
            original = key if isinstance(key, str) else ""
            rule = self._places.by_key(original)
            if rule is not None:
                clean[name] = self._field(item, below, rule)
            else:
                clean[name] = self._member(original, segment(name), item, pointer, depth, states)
        return clean

    def _member(self, key: str, shown: str, item: Json, pointer: str, depth: int, states: _States) -> Json:
        below = f"{pointer}/{shown}"
        states, rule = self._places.step(states, key)
        if rule is not None:
            return self._field(item, below, rule)
        return self.value(item, below, depth + 1, states)

    def _text(self, value: str, pointer: str) -> str:
        clean, rules = self._redacted(value)
        self.fields.extend(FieldRedaction(pointer, rule) for rule in rules)
        return clean

    def _redacted(self, value: str) -> tuple[str, tuple[str, ...]]:
        self._left -= len(value)
        return _redact_text(self._detectors, value, self._tags, self._known) if self._left >= 0 else _hidden()

    def _number(self, value: int, pointer: str) -> Json:
        if abs(value) > _INTEGER_MAX:
            return self._unscanned(pointer)
        if self._known.is_number(value):
            return self._replace(pointer, RULE)
        if abs(value) < _CARD_MIN:
            return value
        rules = _redact_text(self._detectors, str(abs(value)), None, self._known)[1]
        return self._replace(pointer, rules[0]) if rules else value

    def _field(self, value: Json, pointer: str, rule: str) -> str:
        if isinstance(value, str) and re2.fullmatch(rf"\[redacted:{rule}(?:{TAG})?\]", value) is not None:
            return str.__str__(value)  # it was hidden before
        self.fields.append(FieldRedaction(pointer, rule))
        return _placeholder(rule, value, self._tags) if isinstance(value, str) else _placeholder(rule)

    def _replace(self, pointer: str, rule: str) -> str:
        self.fields.append(FieldRedaction(pointer, rule))
        return _placeholder(rule)

    def _unscanned(self, pointer: str) -> str:
        return self._replace(pointer, UNSCANNED)


class _FieldRules:
    """Field rules: finds the rule, if any, that matches a place."""

    def __init__(self, rules: tuple[FieldRule, ...]) -> None:
        self._exact: dict[str, str] = {}
        self._globs: list[tuple[bool, str, bool, str]] = []  # (open at the left, name, open at the right, rule)
        self.pointers: list[tuple[tuple[str, ...], str]] = []  # (segments, rule)
        for rule in rules:
            for key in rule.keys:
                self._add_key(key, rule.id)
            self.pointers.extend((_segments(pointer), rule.id) for pointer in rule.pointers)
        self.start: _States = self._closure({(n, 0) for n in range(len(self.pointers))})
        for rule in rules:
            self._try(rule)

    def by_key(self, key: str) -> str | None:
        """Return the rule that matches every place of this name."""
        name = _bare(key)
        exact = self._exact.get(name)
        if exact is not None:
            return exact
        for left, middle, right, rule in self._globs:
            if (middle in name) if left and right else name.endswith(middle) if left else name.startswith(middle):
                return rule
        return None

    def step(self, states: _States, key: str) -> tuple[_States, str | None]:
        """Go one segment down; return the states there, and the rule whose pointer ends there."""
        if not states:
            return states, None
        after: set[tuple[int, int]] = set()
        for n, at in states:
            segments = self.pointers[n][0]
            if at < len(segments):
                if segments[at] == "**":
                    after.add((n, at))
                elif segments[at] in ("*", key):
                    after.add((n, at + 1))
        closed = self._closure(after)
        ended = min((n for n, at in closed if at == len(self.pointers[n][0])), default=None)
        return closed, None if ended is None else self.pointers[ended][1]

    def _closure(self, states: set[tuple[int, int]]) -> _States:
        """Add the states reached when `**` matches no segment."""
        closed = set(states)
        for n, at in states:
            segments = self.pointers[n][0]
            while at < len(segments) and segments[at] == "**":
                at += 1
                closed.add((n, at))
        return frozenset(closed)

    def _add_key(self, key: str, rule: str) -> None:
        left, right = key.startswith("*"), key.endswith("*")
        name = _bare(key.strip("*"))
        if left or right:
            self._globs.append((left, name, right, rule))
        else:
            self._exact.setdefault(name, rule)

    def _try(self, rule: FieldRule) -> None:
        for kind, examples in (("hit", rule.hit), ("miss", rule.miss)):
            for number, example in enumerate(examples, 1):
                if (self._owner(example) == rule.id) != (kind == "hit"):
                    raise BadRules(f"field rule {rule.id!r}: {kind} {number} is {'not ' if kind == 'hit' else ''}found")

    def _owner(self, example: str) -> str | None:
        """Return the rule that matches an example: a name of a key, or a pointer."""
        if not example.startswith("/"):
            return self.by_key(example)
        states, owner = self.start, None
        for segment in _segments(example):
            states, owner = self.step(states, segment)
            owner = self.by_key(segment) or owner
        return owner


def _redact_text(
    detectors: Detectors, value: str, tags: TenantTags | None, known: Known
) -> tuple[str, tuple[str, ...]]:
    """Return the text with its secrets replaced, and the rules that found them, each once."""
    try:
        spans = detectors.find(value, known)
    except Exception:  # whatever a rule does, the text is not shown
        return _hidden()
    if not spans:
        return (value if type(value) is str else str.__str__(value)), ()
    pieces: list[str] = []
    at = 0
    for span in spans:
        pieces += (value[at : span.start], _placeholder(span.rule, span.secret, tags if span.correlates else None))
        at = span.end
    pieces.append(value[at:])
    return "".join(pieces), tuple(dict.fromkeys(span.rule for span in spans))


def _hidden() -> tuple[str, tuple[str, ...]]:
    return _placeholder(UNSCANNED), (UNSCANNED,)


def _placeholder(rule: str, secret: str = "", tags: TenantTags | None = None) -> str:
    return f"[redacted:{rule}{'' if tags is None else tags.of(secret)}]"


def _add_number(value: int, texts: list[str]) -> None:
    if not -_INTEGER_MAX <= value <= _INTEGER_MAX:
        raise _Suspect
    texts.append(str(abs(value)))


def _printable(text: str) -> str:
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[: SEGMENT_MAX + 1])
    return shown if len(shown) <= SEGMENT_MAX else shown[: SEGMENT_MAX - 1] + "…"


def segment(name: str) -> str:
    """Return a redacted key as a segment of a JSON Pointer (RFC 6901)."""
    return _printable(name).replace("~", "~0").replace("/", "~1")


def _segments(pointer: str) -> tuple[str, ...]:
    return tuple(segment.replace("~1", "/").replace("~0", "~") for segment in pointer[1:].split("/"))


def _bare(key: str) -> str:
    return key.casefold().replace("-", "").replace("_", "")
