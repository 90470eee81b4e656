"""How many secrets of a corpus of our own are found, and how much else is hidden, by class. See corpus/corpus.py."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import pytest

from swarmkeeper.govern.redaction.redactor import Redactor
from tests.govern.corpus import corpus
from tests.govern.corpus.corpus import Sample

REDACTOR = Redactor.default()
BOUNDS: Mapping[str, Mapping[str, float]] = tomllib.loads(
    (corpus.FOLDER / "bounds.toml").read_text(encoding="utf-8"),
)
FOUND_MIN = 0.98  # of all, whatever the classes say
FALSE_MAX = 0.03


def is_found(sample: Sample) -> bool:
    shown = REDACTOR.text(sample.text)
    return not any(secret in shown for secret in sample.secrets)


def is_changed(sample: Sample) -> bool:
    return REDACTOR.text(sample.text) != sample.text


def shares(samples: Iterable[Sample], holds: Callable[[Sample], bool]) -> dict[str, float]:
    """Return for each class, and for all, the share of texts for which something holds."""
    counts: dict[str, list[bool]] = defaultdict(list)
    for sample in samples:
        counts[sample.kind].append(holds(sample))
    counts["all"] = [one for kind in counts.values() for one in kind]
    return {kind: sum(ones) / len(ones) for kind, ones in counts.items()}


def show(title: str, measured: Mapping[str, float], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{title}")  # people read the figures in the output of CI
        for kind, share in measured.items():
            print(f"  {kind:34} {share:7.2%}")


def test_the_secrets_of_the_corpus_are_found_class_by_class(capsys: pytest.CaptureFixture[str]) -> None:
    measured = shares(corpus.positives(), is_found)
    show("secrets found", measured, capsys)

    assert measured["all"] >= FOUND_MIN
    assert {kind: share for kind, share in measured.items() if share < BOUNDS["found"][kind]} == {}


def test_texts_without_secrets_stay_as_they_are_class_by_class(capsys: pytest.CaptureFixture[str]) -> None:
    measured = shares(corpus.negatives(), is_changed)
    show("texts changed without need", measured, capsys)

    assert measured["all"] <= FALSE_MAX
    assert {kind: share for kind, share in measured.items() if share > BOUNDS["false"][kind]} == {}


def test_the_held_out_texts_are_judged_nearly_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    with_secrets, without = corpus.held_out()
    found, changed = shares(with_secrets, is_found), shares(without, is_changed)
    show("held out: secrets found", found, capsys)
    show("held out: texts changed without need", changed, capsys)

    assert found["all"] >= BOUNDS["held_out"]["found"]
    assert changed["all"] <= BOUNDS["held_out"]["false"]


def test_the_corpus_is_large_and_its_texts_differ() -> None:
    with_secrets, without = corpus.positives(), corpus.negatives()
    by_hand = (corpus.FOLDER / "positives.txt").read_text(encoding="utf-8").splitlines()
    places = (corpus.FOLDER / "contexts.txt").read_text(encoding="utf-8").splitlines()

    assert len({sample.text for sample in with_secrets}) >= 1_800
    assert len({sample.text for sample in without}) >= 1_500
    assert len({line for line in by_hand if line and line[0] != "#"}) >= 450
    assert len({line for line in places if "{T}" in line}) >= 75
    assert len({corpus.shape(sample.text) for sample in without}) >= 0.85 * len(without)
    assert all(sample.secrets for sample in with_secrets)
    assert all(secret in sample.text for sample in with_secrets for secret in sample.secrets)
