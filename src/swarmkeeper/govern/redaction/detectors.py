"""Finds secrets in a text: the rules of a pack (packs.py), compiled once, run by RE2 behind a keyword filter.

Theory. Most texts contain no secret, and most rules need a keyword in the text (`ghp_`, `password`, `://`). One regular
expression of all keywords, and of the rules without keywords, tells for a whole value at once that there is nothing to
find. Only if it matches, an Aho-Corasick automaton over the keywords selects the rules that could match, and only those
run. RE2 is linear in the text whatever the pattern, so a rule cannot hang. Encoded text (encoded.py) is decoded and
searched in the same way, and so is encoded text inside it, but no deeper; a secret found there hides the encoded text
that contained it. Keys and shape of a value are not known here: see redactor.py. Nothing here logs, and no message
repeats the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import re2

from swarmkeeper.govern.redaction import encoded, views
from swarmkeeper.govern.redaction.checks import CHECKS, Check, entropy
from swarmkeeper.govern.redaction.packs import UNSCANNED, BadRules, Detector, Pack, compiled

TEXT_MAX = 1 << 20  # characters; a longer text is not searched but hidden whole
FINDS_MAX = 1_000  # in one text; more of them are a dump, which is hidden whole
TRIES_MAX = 10_000  # candidates that a check may reject in one text, for the same reason
LEVELS = 2  # base64 of base64 is decoded, a third level is not

# A rejected candidate up to this length is searched again from its second character: a card number may begin inside.
# Longer ones are not, so that the work stays linear.
_SHORT = 64

# A pattern that matches the same in bytes as in decoded text: it lists what it accepts, in ASCII only.
_PLAIN = re2.compile(r"""(?:[0-9A-Za-z(){}|?*+:,!#%&'"@=<>~_ /-]|\[[^\\\]^][^\\\]]*\]|\\[bdsw.+*?()|/-])*""")

_ABSENT = (-1, -1)  # span that RE2 gives for a group without a match

_Found = tuple[int, int, int, str]  # first character, end, number of the rule, the secret as decoded

TAG = ":[0-9a-f]{8}:[0-9a-f]{16}"  # in a placeholder: id of the key, and the tag that equal secrets share


class Unscanned(Exception):
    """The text exceeds a limit: its content is unknown, so all of it must be hidden."""


@dataclass(frozen=True, slots=True)
class Span:
    start: int
    end: int
    rule: str
    secret: str = field(default="", repr=False, compare=False)  # decoded, without invisible characters
    correlates: bool = field(default=False, compare=False)  # its placeholder may show which secrets are equal


class Detectors:
    """The compiled detectors of a pack.

    Raises:
        BadRules: a pattern does not compile, or a rule fails its own examples.
    """

    def __init__(self, pack: Pack) -> None:
        self._pack = pack
        self._compile()
        for rule in self._compiled:
            self._try(rule)

    def compile_again(self) -> None:
        """Free the memory that RE2 uses for the examples.

        RE2 builds its automata while it searches. Those of the shipped rules' examples have 11 MB, and few of them are
        needed again soon.
        """
        re2.purge()  # otherwise the same patterns are found there
        self._compile()

    def _compile(self) -> None:
        names = (UNSCANNED, *(rule.id for rule in self._pack.fields), *(rule.id for rule in self._pack.detectors))
        # Exact, because text that only looks like a placeholder may be a secret.
        self._placeholder = compiled(rf"\[redacted:(?:{'|'.join(names)})(?:{TAG})?\]", "placeholders", capture=False)
        self._compiled = [_Compiled(detector, self._pack.allowed(detector.id)) for detector in self._pack.detectors]
        self._always = frozenset(n for n, rule in enumerate(self._compiled) if not rule.detector.keywords)
        by_word: dict[str, set[int]] = {}
        for n, rule in enumerate(self._compiled):
            for word in rule.detector.keywords:
                by_word.setdefault(word, set()).add(n)
        words_said = [f"(?i:{re2.escape(word)})" for word in by_word]
        always = [self._compiled[n].detector.pattern for n in sorted(self._always)]
        alternatives = words_said + [f"(?:{pattern})" for pattern in always]
        # Selects in one pass the rules that may match: by keyword, or by the whole pattern if a rule has no keyword.
        self._signs = _compile_set([*words_said, *always])
        self._rules_of_sign = [frozenset(rules) for rules in by_word.values()] + [{n} for n in sorted(self._always)]
        # Checks several texts at once, one per line.
        self._gate = compiled("(?m)" + "|".join(alternatives), "all rules", capture=False) if alternatives else None
        # Decoded bytes are checked as they are, before it is known whether they are text.
        self._inner_gate = self._innermost_gate = None
        if alternatives and all(pattern.isascii() and _PLAIN.fullmatch(pattern) for pattern in always):
            # The neighbours of a secret may be garbage there, so word boundaries are dropped.
            unbound = [pattern.replace(r"\b", "") for pattern in always]
            asked = "(?m)" + "|".join([*words_said, *(f"(?:{pattern})" for pattern in unbound), *views.TRANSFORMED])
            self._innermost_gate = compiled(asked, "all rules", capture=False, latin=True)
            self._inner_gate = compiled(f"{asked}|{encoded.POSSIBLE}", "all rules", capture=False, latin=True)

    def quiet(self, lines: str) -> bool:
        """Return whether no rule can match in any of these lines. This is the fast answer to the usual case.

        Raises:
            UnicodeEncodeError: the text contains a lone surrogate.
        """
        data = views.folded(lines).encode()
        return self._calm(data) and not self._anything_inside(data, LEVELS, encoded.Budget())

    def _anything_inside(self, data: bytes, levels: int, budget: encoded.Budget) -> bool:
        """Return whether encoded text in this UTF-8 may contain a secret; False is certain."""
        gate = self._inner_gate if levels > 1 else self._innermost_gate
        try:
            for batch in encoded.batches(data, budget):
                if gate is not None and gate.search(batch.raw) is None:
                    continue
                for reading in batch.readings():
                    text = views.folded(reading)
                    inner = text.encode()
                    if not self._calm(inner) and self._matches(text, inner):
                        return True
                    if levels > 1 and self._anything_inside(inner, levels - 1, budget):
                        return True
        except (encoded.TooMuch, Unscanned):
            return True
        return False

    def _calm(self, data: bytes) -> bool:
        return self._gate is None or self._gate.search(data) is None

    def find(self, text: str) -> list[Span]:
        """Return the secrets of a text, in order, without overlaps; overlapping matches become one, under the first
        rule.

        Raises:
            Unscanned: the text is too long, or contains too many secrets.
            UnicodeEncodeError: the text contains a lone surrogate.
        """
        if len(text) > TEXT_MAX:
            raise Unscanned
        try:
            found = self._look(text, LEVELS, encoded.Budget())
        except encoded.TooMuch:
            raise Unscanned from None
        rules = self._compiled
        return [
            Span(start, end, rules[n].detector.id, secret, rules[n].detector.correlates)
            for start, end, n, secret in found
        ]

    def why_not(self, text: str, rule: str) -> str:
        """Explain why a rule finds nothing in the text itself; offsets are in characters."""
        compiled = next(one for one in self._compiled if one.detector.id == rule)
        words = compiled.detector.keywords
        data = views.folded(text).encode("utf-8", "replace")
        if words and not any(re2.search(f"(?i){re2.escape(word)}", data) for word in words):
            return f"the text has none of its keywords: {', '.join(words)}"
        return compiled.why_not(data, self._placeholders_in(data))

    def _look(self, text: str, levels: int, budget: encoded.Budget) -> list[_Found]:
        """Search the text, and the encoded text in it."""
        view = views.plain(text)
        data = view.text.encode()
        found = self._matches(view.text, data)
        if levels and self._anything_inside(data, levels, encoded.Budget(budget.left)):
            for inner in encoded.decoded(view.text, budget):
                deeper = self._look(inner.text, levels - 1, budget)
                found += [(*inner.original(start, end), n, secret) for start, end, n, secret in deeper]
                if len(found) > FINDS_MAX:
                    raise Unscanned
            found = _united(found)
        return [(*view.original(start, end), n, secret) for start, end, n, secret in found]

    def _matches(self, text: str, data: bytes) -> list[_Found]:
        candidates = self._candidates(text)
        placeholders = self._placeholders_in(data)
        found = [
            (start, end, n, data[start:end].decode())
            for n in sorted(candidates)
            for start, end in self._compiled[n].spans(data, placeholders)
        ]
        if len(found) > FINDS_MAX:
            raise Unscanned
        place = _CharacterOffsets(data)
        return [(place.of(start), place.of(end), n, secret) for start, end, n, secret in _united(found)]

    def _placeholders_in(self, data: bytes) -> list[tuple[int, int]]:
        """Return the spans of our own placeholders. They are not secrets, so redacting twice changes nothing."""
        if b"[redacted:" not in data:
            return []
        return [match.span() for match in self._placeholder.finditer(data)]

    def _candidates(self, text: str) -> set[int]:
        chosen: set[int] = set()
        for sign in self._signs.Match(text) or ():
            chosen |= self._rules_of_sign[sign]
        return chosen

    def _try(self, rule: _Compiled) -> None:
        """Run a rule's examples through all steps that a text goes through."""
        detector = rule.detector
        n = self._compiled.index(rule)
        if rule.lets_more_through:
            rule = _Compiled(detector, ())  # without the allowances of other packs
        for number, example in enumerate(detector.hit, 1):
            if self.quiet(example) or n not in self._candidates(example) or not rule.spans(example.encode()):
                raise BadRules(f"detector {detector.id!r}: hit {number} is not found")
        for number, example in enumerate(detector.miss, 1):
            if rule.spans(example.encode()):
                raise BadRules(f"detector {detector.id!r}: miss {number} is found")


class _Compiled:
    """A detector ready to run on UTF-8."""

    def __init__(self, detector: Detector, allowed: tuple[str, ...]) -> None:
        where = f"detector {detector.id!r}"
        self.detector = detector
        self._pattern = compiled(detector.pattern, where)
        self._check: Check | None = CHECKS[detector.check] if detector.check else None
        self.lets_more_through = bool(allowed)
        allow = (*detector.allow, *allowed)
        self._allow = compiled("|".join(f"(?:{word})" for word in allow), where) if allow else None
        if detector.group > self._pattern.groups:
            raise BadRules(f"{where}: the pattern has no group {detector.group}")
        self._groups = (detector.group,) if detector.group else range(1, self._pattern.groups + 1)
        if self._pattern.search(b"") is not None:
            raise BadRules(f"{where}: the pattern matches nothing at all")

    def spans(self, data: bytes, placeholders: Sequence[tuple[int, int]] = ()) -> list[tuple[int, int]]:
        """Return the secrets outside of `placeholders`, as spans of bytes. Raises Unscanned beyond a limit."""
        spans: list[tuple[int, int]] = []
        at = refused = 0
        while (match := self._pattern.search(data, at)) is not None:
            first, last = start, end = match.span()
            for n in self._groups:
                if (span := match.span(n)) != _ABSENT:
                    start, end = span
                    break
            is_placeholder = any(begin <= start and end <= stop for begin, stop in placeholders)
            size = None if is_placeholder else self._secret(data[start:end])
            if size is not None and size > 0:
                spans.append((start, start + size))
                # Text after the secret in this match may be the context before the next one.
                at = start + size
            else:
                refused += 1
                at = last if last - first > _SHORT else _next_letter(data, first)
            if len(spans) > FINDS_MAX or refused > TRIES_MAX:
                raise Unscanned
        return spans

    def why_not(self, data: bytes, placeholders: Sequence[tuple[int, int]] = ()) -> str:
        """Explain why nothing is found here; with several candidates, for the first."""
        match = self._pattern.search(data)
        if match is None:
            return "its pattern does not match"
        start, end = next((span for n in self._groups if (span := match.span(n)) != _ABSENT), match.span())
        first = len(data[:start].decode("utf-8", "replace"))
        found = data[start:end]
        text = found.decode("utf-8", "replace")
        place = f"{first}..{first + len(text)}"
        if any(begin <= start and end <= stop for begin, stop in placeholders):
            return f"{place} is a placeholder"
        if self._allow is not None and self._allow.fullmatch(found) is not None:
            return f"{place} is on an allow-list"
        if text and (bits := abs(entropy(text))) < self.detector.entropy:
            return f"{place} has an entropy of {bits:.2f} bits a character, and must have {self.detector.entropy:.2f}"
        if self._check is not None and self._check(text) is None:
            return f"{place} does not pass the check {self.detector.check!r}"
        return f"{place} is found, but an earlier rule claims it"

    def _secret(self, found: bytes) -> int | None:
        """Return how many bytes of the match are the secret; None if it is none."""
        if self._allow is not None and self._allow.fullmatch(found) is not None:
            return None
        if not self.detector.entropy and self._check is None:
            return len(found)
        text = found.decode()
        if not text or entropy(text) < self.detector.entropy:
            return None
        size = len(text) if self._check is None else self._check(text)
        return None if size is None else len(text[:size].encode())


class _CharacterOffsets:
    """Converts byte offsets of UTF-8 to character offsets; the offsets must come in ascending order."""

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
    """Sort the matches, and merge overlapping ones under the first rule."""
    united: list[_Found] = []
    for start, end, rule, secret in sorted(found):
        if united and start < united[-1][1]:
            first, last, other, first_secret = united[-1]
            united[-1] = (first, max(last, end), min(rule, other), first_secret if other <= rule else secret)
        else:
            united.append((start, end, rule, secret))
    return united


def _next_letter(data: bytes, at: int) -> int:
    at += 1
    while at < len(data) and data[at] & 0xC0 == 0x80:
        at += 1
    return at


def _compile_set(patterns: list[str]) -> re2.Set:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = 64 << 20
    signs = re2.Set.SearchSet(options)
    for pattern in patterns:
        signs.Add(pattern)
    signs.Compile()
    return signs
