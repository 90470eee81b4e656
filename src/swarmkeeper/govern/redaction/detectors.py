"""Finds secrets in a text: the rules of a pack (packs.py), compiled once, run by RE2 behind a keyword filter.

Theory. Most texts contain no secret, and most rules need a keyword in the text (`ghp_`, `password`, `://`). One regular
expression of all keywords, and of the rules without keywords, tells for a whole value at once that there is nothing to
find. Only if it matches, an Aho-Corasick automaton over the keywords selects the rules that could match, and only those
run. RE2 is linear in the text whatever the pattern, so a rule cannot hang. Encoded text (encoded.py) is decoded and
searched in the same way, and so is encoded text inside it, but no deeper; a secret found there hides the encoded text
that contained it. Keys and shape of a value are not known here: see redactor.py. Nothing here logs, and no message
repeats the text.

Values that are known to be secret (known_values.py) come first. They are an argument, since compiled rules are shared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import re2

from swarmkeeper.govern import known_values
from swarmkeeper.govern.known_values import NOTHING, Known, TooMuchAlike
from swarmkeeper.govern.redaction import encoded, values, views
from swarmkeeper.govern.redaction.checks import CHECKS, CHECKSUMS, NAMED_CHECKS
from swarmkeeper.govern.redaction.packs import UNSCANNED, BadRules, Detector, Pack, compiled

TEXT_MAX = 1 << 20  # characters; a longer text is not searched but hidden whole
FINDS_MAX = 1_000  # in one text; more of them are a dump, which is hidden whole
TRIES_MAX = 10_000  # candidates that a check may reject in one text, for the same reason
LEVELS = 2  # base64 of base64 is decoded, a third level is not

# A rejected candidate up to this length is searched again from its second character: a card number may begin inside.
# Longer ones are not, so that the work stays linear.
_SHORT = 64

# Where a line break may cut a token in two: after a backslash or `=` (quoted-printable), or between two quoted parts.
_CUT = re.compile(
    r"(?<=[0-9A-Za-z_-])(?:=?\\?\r?\n[ \t>|]{0,16}|"
    r"""["'][ \t]{0,4}(?:[+.&][ \t]{0,4})?\\?\r?\n[ \t]{0,16}(?:[+.&][ \t]{0,4})?["']|"""
    r"""["'][ \t]{0,4}[+.&][ \t]{0,4}["'])(?=[0-9A-Za-z_-])"""
)
_CUTS_MAX = 1_000  # lines of a text whose breaks are tried
_NAME_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.$@:")
_NAME_MAX = 64  # of them before a keyword belong to the name of a value

# A pattern that matches the same in bytes as in decoded text: it lists what it accepts, in ASCII only.
_PLAIN = re2.compile(r"""(?:[0-9A-Za-z(){}|?*+:,!#%&'"@=<>~_ /-]|\[[^\\\]^][^\\\]]*\]|\\[bdsw.+*?()|/-])*""")

_ABSENT = (-1, -1)  # span that RE2 gives for a group without a match

_Found = tuple[int, int, int, str]  # first character, end, number of the rule, the secret as decoded
_KNOWN = -1  # in place of the number of a rule: a known value

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
        BadRules: a pattern does not compile, or a rule fails its own examples. Shipped rules were tried by our tests:
            each is compiled when a text first has its keyword.
    """

    def __init__(self, pack: Pack) -> None:
        self._pack = pack
        self._compile()
        for rule in self._compiled:
            self._try(rule)

    def compile_again(self) -> None:
        """Free the memory that RE2 uses for the examples.

        RE2 builds its automata while it searches, and few of those for the examples are needed again soon. Shipped
        rules have none to try, and keep what the first text of the log has made them compile.
        """
        if not any(detector.hit or detector.miss for detector in self._pack.detectors):
            return
        re2.purge()  # otherwise the same patterns are found there
        self._compile()

    def _compile(self) -> None:
        names = (
            UNSCANNED,
            known_values.RULE,
            *(rule.id for rule in self._pack.fields),
            *(rule.id for rule in self._pack.detectors),
        )
        # Exact, because text that only looks like a placeholder may be a secret.
        self._placeholder = compiled(rf"\[redacted:(?:{'|'.join(names)})(?:{TAG})?\]", "placeholders", capture=False)
        self._compiled = [_Compiled(detector, self._pack.allowed(detector.id)) for detector in self._pack.detectors]
        self._always = frozenset(n for n, rule in enumerate(self._compiled) if not rule.detector.keywords)
        by_word: dict[str, set[int]] = {}
        for n, rule in enumerate(self._compiled):
            for word in rule.detector.keywords:
                by_word.setdefault(word, set()).add(n)
        self._rules_of_word = {word: frozenset(rules) for word, rules in by_word.items()}
        self._word_patterns = [f"(?i:{re2.escape(word)})" for word in by_word]
        self._always_patterns = [self._compiled[n].detector.pattern for n in sorted(self._always)]
        self._rules_of_sign = [*self._rules_of_word.values(), *({n} for n in sorted(self._always))]
        # Checks several texts at once, one per line.
        alternatives = self._word_patterns + [f"(?:{pattern})" for pattern in self._always_patterns]
        self._gate = compiled("(?m)" + "|".join(alternatives), "all rules", capture=False) if alternatives else None
        for made in ("_signs", "_inner_gate", "_innermost_gate"):
            self.__dict__.pop(made, None)

    @cached_property
    def _signs(self) -> re2.Set:
        """Selects in one pass the rules that may match: by keyword, or by the whole pattern without one."""
        return _compile_set([*self._word_patterns, *self._always_patterns])

    @cached_property
    def _inner_gate(self) -> re2._Regexp | None:
        """Checks decoded bytes as they are, before it is known whether they are text, and for encoded text in them."""
        asked = self._asked_of_bytes()
        return asked and compiled(f"{asked}|{encoded.POSSIBLE}", "all rules", capture=False, latin=True)

    @cached_property
    def _innermost_gate(self) -> re2._Regexp | None:
        asked = self._asked_of_bytes()
        return asked and compiled(asked, "all rules", capture=False, latin=True)

    def _asked_of_bytes(self) -> str | None:
        always = self._always_patterns
        if self._gate is None or not all(pattern.isascii() and _PLAIN.fullmatch(pattern) for pattern in always):
            return None
        words = [f"(?i:{re2.escape(word)})" if word.isascii() else _bytes_of(word) for word in self._rules_of_word]
        # The neighbours of a secret may be garbage there, so word boundaries are dropped.
        unbound = [f"(?:{pattern.replace(chr(92) + 'b', '')})" for pattern in always]
        return "(?m)" + "|".join([*words, *unbound, *views.TRANSFORMED])

    def quiet(self, lines: str, known: Known = NOTHING) -> bool:
        """Return whether no rule can match in any of these lines, and no known value is there.

        This is the fast answer to the usual case.

        Raises:
            UnicodeEncodeError: the text contains a lone surrogate.
        """
        data = views.folded(lines).encode()
        if not self._calm(data) or known.anywhere(data):
            return False
        return not self._anything_inside(data, LEVELS, encoded.Budget(), known)

    def _anything_inside(self, data: bytes, levels: int, budget: encoded.Budget, known: Known) -> bool:
        """Return whether encoded text in this UTF-8 may contain a secret; False is certain."""
        gate = self._inner_gate if levels > 1 else self._innermost_gate
        try:
            for batch in encoded.batches(data, budget):
                if gate is not None and gate.search(batch.raw) is None and not known.anywhere(batch.raw):
                    continue
                for reading in batch.readings():
                    text = views.folded(reading)
                    inner = text.encode()
                    if known.anywhere(inner) or (not self._calm(inner) and self._matches(text, inner)):
                        return True
                    if levels > 1 and self._anything_inside(inner, levels - 1, budget, known):
                        return True
        except (encoded.TooMuch, Unscanned):
            return True
        return False

    def _calm(self, data: bytes) -> bool:
        return self._gate is None or self._gate.search(data) is None

    def find(self, text: str, known: Known = NOTHING) -> list[Span]:
        """Return the secrets of a text, in order, without overlaps; overlapping matches become one, under the first
        rule.

        Raises:
            Unscanned: the text is too long, or contains too many secrets.
            UnicodeEncodeError: the text contains a lone surrogate.
        """
        if len(text) > TEXT_MAX:
            raise Unscanned
        try:
            found = self._look(text, LEVELS, encoded.Budget(), known)
        except encoded.TooMuch:
            raise Unscanned from None
        rules = self._compiled
        return [
            Span(start, end, known_values.RULE, secret, correlates=True)
            if n == _KNOWN
            else Span(start, end, rules[n].detector.id, secret, rules[n].detector.correlates)
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

    def _look(self, text: str, levels: int, budget: encoded.Budget, known: Known) -> list[_Found]:
        """Search the text, and the encoded text in it."""
        view = views.plain(text)
        data = view.text.encode()
        candidates = self._candidates(view.text)
        found = self._matches(view.text, data, candidates, known)
        if levels == LEVELS:
            wrapped = [n for n in sorted(candidates) if self._compiled[n].detector.wrapped]
            if wrapped and (cut := self._across_lines(view.text, wrapped)):
                found = _united(found + cut)
        if levels and self._anything_inside(data, levels, encoded.Budget(budget.left), known):
            for inner in encoded.decoded(view.text, budget):
                deeper = self._look(inner.text, levels - 1, budget, known)
                found += [(*inner.original(start, end), n, secret) for start, end, n, secret in deeper]
                if len(found) > FINDS_MAX:
                    raise Unscanned
            found = _united(found)
        return [(*view.original(start, end), n, secret) for start, end, n, secret in found]

    def _matches(
        self, text: str, data: bytes, candidates: set[int] | None = None, known: Known = NOTHING
    ) -> list[_Found]:
        if candidates is None:
            candidates = self._candidates(text)
        placeholders = self._placeholders_in(data)
        found = [
            (start, end, n, data[start:end].decode())
            for n in sorted(candidates)
            for start, end in self._compiled[n].spans(data, placeholders)
        ]
        try:
            for start, end, value in known.spans(data):
                if not any(begin <= start and end <= stop for begin, stop in placeholders):
                    found.append((start, end, _KNOWN, value))
                if len(found) > FINDS_MAX:
                    raise Unscanned
        except TooMuchAlike:
            raise Unscanned from None
        if len(found) > FINDS_MAX:
            raise Unscanned
        place = _CharacterOffsets(data)
        return [(place.of(start), place.of(end), n, secret) for start, end, n, secret in _united(found)]

    def _across_lines(self, text: str, candidates: list[int]) -> list[_Found]:
        """Search for tokens that a line break cuts, where the rest of the token looks made, and not like a word."""
        cuts = [match.span() for match in _CUT.finditer(text)]
        if not cuts or len(cuts) > _CUTS_MAX:
            return []
        pieces: list[str] = []
        starts: list[int] = []
        at = 0
        for first, last in cuts:
            pieces.append(text[at:first])
            starts.extend(range(at, first))
            at = last
        pieces.append(text[at:])
        starts.extend(range(at, len(text)))
        joined = "".join(pieces)
        data = joined.encode()
        found: list[_Found] = []
        for n in candidates:
            place = _CharacterOffsets(data)
            for first_byte, last_byte in self._compiled[n].spans(data):
                first, last = place.of(first_byte), place.of(last_byte)
                start, end = starts[first], starts[last - 1] + 1
                crossed = [after for before, after in cuts if start < before and after < end]
                rest = text[crossed[-1] : end] if crossed else ""
                if any(letter.isdigit() for letter in rest) and any(letter.isalpha() for letter in rest):
                    found.append((start, end, n, joined[first:last]))
        return found

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
        self.detector = detector
        self.lets_more_through = bool(allowed)
        self._allowed = allowed
        self._check = CHECKS.get(detector.check) if detector.check else None
        self._named_check = NAMED_CHECKS.get(detector.check) if detector.check else None
        if not detector.shipped:
            # Wrong rules are refused when they are read.
            self._prepare()

    @cached_property
    def _pattern(self) -> re2._Regexp:
        return compiled(self.detector.pattern, f"detector {self.detector.id!r}")

    @cached_property
    def _allow(self) -> re2._Regexp | None:
        allow = (*self.detector.allow, *self._allowed)
        return compiled("|".join(f"(?:{word})" for word in allow), f"detector {self.detector.id!r}") if allow else None

    @cached_property
    def _groups(self) -> tuple[int, ...]:
        """The groups of which the first with a match is the secret."""
        if self.detector.group:
            return (self.detector.group,)
        return tuple(n for n in range(1, self._pattern.groups + 1) if n != self._name or not self._named_check)

    @cached_property
    def _name(self) -> int | None:
        return self._pattern.groupindex.get("name")  # type: ignore[no-any-return]  # re2 has no types

    def _prepare(self) -> None:
        where = f"detector {self.detector.id!r}"
        if self.detector.group > self._pattern.groups:
            raise BadRules(f"{where}: the pattern has no group {self.detector.group}")
        if self._pattern.search(b"") is not None:
            raise BadRules(f"{where}: the pattern matches nothing at all")
        _ = self._allow

    def spans(self, data: bytes, placeholders: Sequence[tuple[int, int]] = ()) -> list[tuple[int, int]]:
        """Return the secrets outside of `placeholders`, as spans of bytes. Raises Unscanned beyond a limit."""
        spans: list[tuple[int, int]] = []
        at = refused = 0
        while (match := self._pattern.search(data, at)) is not None:
            first, last = match.span()
            start, end = self._secret_in(match)
            is_placeholder = any(begin <= start and end <= stop for begin, stop in placeholders)
            part = None if is_placeholder else self._secret(data, match, start, end)
            if part is not None and part[0] < part[1]:
                spans.append(part)
                # Text after the secret in this match may be the context before the next one.
                at = part[1]
            else:
                refused += 1
                whole = last - first > _SHORT or self._is_allowed(data[start:end])
                at = last if whole and last > at else _next_letter(data, first)
            if len(spans) > FINDS_MAX or refused > TRIES_MAX:
                raise Unscanned
        return spans

    def why_not(self, data: bytes, placeholders: Sequence[tuple[int, int]] = ()) -> str:
        """Explain why nothing is found here; with several candidates, for the first."""
        match = self._pattern.search(data)
        if match is None:
            return "its pattern does not match"
        start, end = self._secret_in(match)
        first = len(data[:start].decode("utf-8", "replace"))
        found = data[start:end]
        text = found.decode("utf-8", "replace")
        place = f"{first}..{first + len(text)}"
        if any(begin <= start and end <= stop for begin, stop in placeholders):
            return f"{place} is a placeholder"
        if self._is_allowed(found):
            return f"{place} is on an allow-list"
        if self.detector.real and values.stands_for_a_secret(text):
            return f"{place} only stands for a secret"
        if text and (bits := abs(values.entropy(text))) < self.detector.entropy:
            return f"{place} has an entropy of {bits:.2f} bits a character, and must have {self.detector.entropy:.2f}"
        if self._secret(data, match, start, end) is None:
            return f"{place} does not pass the check {self.detector.check!r}"
        return f"{place} is found, but an earlier rule claims it"

    def _secret_in(self, match: re2._Match) -> tuple[int, int]:
        for group in self._groups:
            start, end = match.span(group)
            if start >= 0:
                return start, end
        start, end = match.span()
        return start, end

    def _is_allowed(self, found: bytes) -> bool:
        return self._allow is not None and self._allow.fullmatch(found) is not None

    def _secret(self, data: bytes, match: re2._Match, start: int, end: int) -> tuple[int, int] | None:
        """Return where in the candidate the secret is; None if there is none."""
        found = data[start:end]
        if self._is_allowed(found):
            return None
        detector = self.detector
        if not detector.real and not detector.entropy and not detector.check:
            return start, end
        text = found.decode()
        if not text or (detector.entropy and values.entropy(text) < detector.entropy):
            return None
        if self._named_check is not None:
            part: int | tuple[int, int] | None
            name = self._name_of(data, match)
            # In ${PASSWORD:?missing}, this is the name of a variable.
            part = None if name is None else self._named_check(name, text, self._is_bare(match))
        else:
            part = len(text) if self._check is None else self._check(text)
        if part is None or (detector.real and detector.check not in CHECKSUMS and values.is_placeholder(text)):
            return None
        first, last = (0, part) if isinstance(part, int) else part
        skipped = start + len(text[:first].encode())
        return skipped, skipped + len(text[first:last].encode())

    def _name_of(self, data: bytes, match: re2._Match) -> str | None:
        """Return the name of the value; None if it is that of a variable in a template.

        The pattern begins at its keyword, and the name may begin before.
        """
        if self._name is None or (span := match.span(self._name)) == _ABSENT:
            return ""
        start, end = span
        if data[start] not in _NAME_BYTES:  # the pattern began with what must stand before the name
            return data[start + 1 : end].decode("utf-8", "replace")
        lowest = max(0, start - _NAME_MAX)
        while start > lowest and data[start - 1] in _NAME_BYTES:
            start -= 1
        if data[start - 1 : start] == b"{" and start >= 2 and data[start - 2 : start - 1] in (b"$", b"#", b"{", b"%"):
            return None
        if data.endswith(b"checksum/", 0, start):
            return None  # of Helm: it tells whether a secret has changed
        return data[start:end].decode("utf-8", "replace")

    def _is_bare(self, match: re2._Match) -> bool:
        group = self._pattern.groupindex.get("bare")
        return group is not None and match.span(group) != _ABSENT


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


def _bytes_of(word: str) -> str:
    """Return a pattern for the UTF-8 of a word in either case, in a text that is read as Latin-1."""
    pattern = ""
    for letter in word:
        forms = sorted({form.encode() for form in (letter, letter.lower(), letter.upper())})
        pattern += "(?:" + "|".join("".join(f"\\x{byte:02x}" for byte in form) for form in forms) + ")"
    return pattern


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
