"""Rules in the format of gitleaks: supported ones work, others are refused by name."""

from __future__ import annotations

import pytest

from swarmkeeper.govern.redaction.packs import BadRules, read_packs
from swarmkeeper.govern.redaction.redactor import Redactor

GOOD = r"""
title = "ours"
[allowlist]
description = "never"
regexes = ["^acme_EXAMPLE"]
stopwords = ["DUMMY"]
[[rules]]
id = "acme-token"
description = "Tokens of Acme"
regex = '''(acme_|x)([0-9a-zA-Z]{8,})'''
secretGroup = 2
entropy = 2
keywords = ["ACME_"]
tags = ["a"]
[[rules.allowlists]]
regexes = ['''0000$''']
[[rules]]
id = "zz"
regex = '''zz-[0-9]{4}-zz'''
"""


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("see acme_a1b2c3d4e5!", "see acme_[redacted:gitleaks-acme-token]!"),
        ("see acme_aaaaaaaaaa", "see acme_aaaaaaaaaa"),  # too little entropy
        ("see acme_abab cdcd", "see acme_abab cdcd"),
        ("see xa1b2c3d4e5", "see xa1b2c3d4e5"),  # without its keyword
        ("see acme_a1b2c30000", "see acme_a1b2c30000"),
        ("see acme_a1dummyc3d4", "see acme_a1dummyc3d4"),
        ("see zz-1234-zz", "see [redacted:gitleaks-zz]"),
    ],
)
def test_converted_rules_match_as_in_gitleaks(text: str, left: str) -> None:
    assert Redactor.default(GOOD).text(text) == left


def test_a_secret_of_exactly_the_entropy_passes_as_in_gitleaks() -> None:
    exact = '[[rules]]\nid = "four"\nregex = "four-([a-z]{4})"\nentropy = 2\nkeywords = ["four-"]'

    assert Redactor.default(exact).text("four-abcd") == "four-abcd"
    assert Redactor.default(exact.replace("= 2", "= 1.99")).text("four-abcd") == "four-[redacted:gitleaks-four]"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[0-9]{4}-zz", "(?!x)", "rule 'zz': RE2 does not accept its regex"),
        ('id = "zz"', 'id = "zz"\npath = "x"', "rule 'zz': 'path' is not supported"),
        ('id = "zz"', 'id = "Z Z"', "rule 2: its id must be"),
        ("secretGroup = 2", "secretGroup = 3", "no group 3"),
        ("secretGroup = 2", 'secretGroup = "2"', "rule 'acme-token': 'secretGroup'"),
        ("entropy = 2", "entropy = true", "rule 'acme-token': 'entropy'"),
        ('keywords = ["ACME_"]', "keywords = [1]", "rule 'acme-token': 'keywords'"),
        ("stopwords", "paths", "the file: 'paths' in an allowlist is not supported"),
        ("stopwords", "commits", "the file: 'commits' in an allowlist is not supported"),
        ('description = "never"', 'regexTarget = "line"', "the file: an allowlist whose 'regexTarget'"),
        ('description = "never"', 'condition = "AND"', "the file: an allowlist whose 'condition' is AND"),
        ('description = "never"', 'targetRules = ["none"]', "targets a rule that does not exist: 1"),
        ("0000$", "(?<=x)", "rule 'acme-token': RE2 does not accept regex 1 of an allowlist"),
        ('title = "ours"', "extend = {useDefault = true}", "'extend' is not supported"),
        ("[[rules.allowlists]]", "[[rules.required]]", "rule 'acme-token': 'required' is not supported"),
    ],
)
def test_unsupported_options_are_refused_by_name(old: str, new: str, said: str) -> None:
    assert old in GOOD

    with pytest.raises(BadRules) as refused:
        Redactor.default(GOOD.replace(old, new, 1))
    assert said in str(refused.value)


def test_all_problems_are_reported_at_once_up_to_a_bound() -> None:
    many = "".join(f'[[rules]]\nid = "r{n}"\nregex = "a{n}"\npath = "x"\n' for n in range(30))

    with pytest.raises(BadRules, match=r"r0.*r19.*and 10 more"):
        read_packs(many)


def test_an_allowlist_may_apply_to_some_rules_only() -> None:
    some = GOOD.replace('description = "never"', 'targetRules = ["zz"]')

    assert Redactor.default(some).text("acme_a1dummyc3d4") == "acme_[redacted:gitleaks-acme-token]"
    assert Redactor.default(some.replace("DUMMY", "1234")).text("zz-1234-zz") == "zz-1234-zz"
