"""Explains why something is hidden or not, for people who write rules. Nothing here repeats a secret."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from swarmkeeper.core.model import Json
from swarmkeeper.govern.redaction import views
from swarmkeeper.govern.redaction.detectors import Unscanned
from swarmkeeper.govern.redaction.packs import UNSCANNED
from swarmkeeper.govern.redaction.redactor import Redactor, segment
from swarmkeeper.govern.redaction.values import entropy


@dataclass(frozen=True, slots=True)
class RedactionFinding:
    """Something that is hidden; with `why_not`, something that a given rule does not hide."""

    pointer: str
    within: str  # value | key
    rule: str
    stage: str = ""  # field (by its place), text (in plain text), decoded (in encoded text), unscanned
    start: int | None = None  # character offset in the text; None: the whole value
    end: int | None = None
    length: int = 0  # of the secret as decoded
    entropy: float = 0.0  # of the secret, bits per character
    why_not: str = ""


def findings(redactor: Redactor, value: Json, rule: str | None = None) -> Iterator[RedactionFinding]:
    """Return what is hidden in a value, in order; with `rule`, what that rule does with each text."""
    redacted = redactor.redact(value)
    hidden = {(field.pointer, field.within): field.rule for field in redacted.fields}
    for pointer, within, text in _texts(value, redacted.value, ""):
        owner = hidden.get((pointer, within))
        if owner == UNSCANNED or owner in redactor.places:
            if rule in (None, owner):
                stage = "unscanned" if owner == UNSCANNED else "field"
                yield RedactionFinding(pointer, within, owner, stage)
            else:
                yield RedactionFinding(pointer, within, str(rule), why_not=f"the whole value is hidden by {owner}")
            continue
        if text is None:
            if owner is not None and rule in (None, owner):
                yield RedactionFinding(pointer, within, owner, "text")
            continue
        found = list(_in_text(redactor, pointer, within, text))
        yield from (finding for finding in found if rule in (None, finding.rule))
        if rule is not None and all(finding.rule != rule for finding in found):
            yield RedactionFinding(pointer, within, rule, why_not=redactor.why_not(text, rule))


def _in_text(redactor: Redactor, pointer: str, within: str, text: str) -> Iterator[RedactionFinding]:
    try:
        spans = redactor.find(text)
    except (Unscanned, UnicodeEncodeError):
        yield RedactionFinding(pointer, within, UNSCANNED, "unscanned")
        return
    for span in spans:
        stage = "text" if span.secret in views.folded(text[span.start : span.end]) else "decoded"
        bits = round(entropy(span.secret), 2)
        yield RedactionFinding(pointer, within, span.rule, stage, span.start, span.end, len(span.secret), bits)


def _texts(value: Json, shown: Json, pointer: str) -> Iterator[tuple[str, str, str | None]]:
    """Yield every text and key of a value with its pointer; None for a value that is not text. `shown` has the same
    shape.
    """
    if isinstance(value, dict) and isinstance(shown, dict):
        for (key, item), (name, seen) in zip(value.items(), shown.items(), strict=True):
            below = f"{pointer}/{segment(name)}"
            yield below, "key", key if isinstance(key, str) else None
            yield from _texts(item, seen, below)
    elif isinstance(value, list | tuple) and isinstance(shown, list):
        for number, (item, seen) in enumerate(zip(value, shown, strict=True)):
            yield from _texts(item, seen, f"{pointer}/{number}")
    else:
        yield pointer, "value", value if isinstance(value, str) else None
