"""Converts rules of gitleaks to ours. Only its TOML is read here; packs.py checks the result.

Anything that gitleaks does and we do not is refused with the name of its rule, never dropped silently. Names of files
and commits have no meaning here, and are refused too: remove them from the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import re2

PREFIX = "gitleaks-"  # prefix of its ids, many of which equal ours
PROBLEMS_SHOWN = 20

# For people only, without effect.
_TOLD = {"title", "description", "tags", "minVersion"}
_RULE = {"id", "regex", "keywords", "entropy", "secretGroup", "allowlist", "allowlists"} | _TOLD
_ALLOWLIST = {"description", "regexes", "stopwords", "regexTarget", "condition", "targetRules"}


def is_such(content: Mapping[str, object]) -> bool:
    """Return whether this is a file in the format of gitleaks, and not ours."""
    return "version" not in content and bool(content.keys() & {"rules", "extend", "allowlist", "allowlists"})


def converted(content: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rules in our format, and the problems found."""
    problems = [
        f"{name!r} is not supported" for name in sorted(content.keys() - {"rules", "allowlist", "allowlists"} - _TOLD)
    ]
    rules = content.get("rules", [])
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        return [], ["'rules' must be written as [[rules]]"]
    shared, more = _allowlists(content, "the file")
    problems += more
    entries = []
    named = set()
    for number, rule in enumerate(rules, 1):
        name = rule.get("id")
        where = (
            f"rule {name!r}"
            if isinstance(name, str) and re2.fullmatch("[0-9A-Za-z_.-]{1,80}", name)
            else f"rule {number}"
        )
        problems += [f"{where}: {key!r} is not supported" for key in sorted(rule.keys() - _RULE)]
        own, more = _allowlists(rule, where)
        problems += more
        named.add(name)
        entry, more = _entry(rule, where)
        problems += more
        allowed = [
            pattern for targets, patterns in (*own, *shared) if not targets or name in targets for pattern in patterns
        ]
        entries.append(entry | {"allow": allowed})
    for targets, _ in shared:
        problems += [
            f"the file: an allowlist targets a rule that does not exist: {n}"
            for n, target in enumerate(targets, 1)
            if target not in named
        ]
    if len(problems) > PROBLEMS_SHOWN:
        problems[PROBLEMS_SHOWN:] = [f"and {len(problems) - PROBLEMS_SHOWN} more"]
    return entries, problems


def _entry(rule: Mapping[str, Any], where: str) -> tuple[dict[str, Any], list[str]]:
    problems = []
    name, regex, group, least = rule.get("id"), rule.get("regex"), rule.get("secretGroup", 0), rule.get("entropy", 0)
    keywords = rule.get("keywords", [])
    if not isinstance(name, str) or not re2.fullmatch("[a-z0-9][a-z0-9-]{0,53}", name):
        problems.append(f"{where}: its id must be lower case letters, digits and '-', at most 54")
    if not isinstance(regex, str) or not regex:
        problems.append(f"{where}: needs a 'regex'")
    elif not _compiles(regex):
        problems.append(f"{where}: RE2 does not accept its regex")
    if isinstance(group, bool) or not isinstance(group, int) or group < 0:
        problems.append(f"{where}: 'secretGroup' must be a whole number")
    if isinstance(least, bool) or not isinstance(least, int | float):
        problems.append(f"{where}: 'entropy' must be a number")
    if not _is_texts(keywords):
        problems.append(f"{where}: 'keywords' must be a list of texts")
    if problems:
        return {}, problems
    # gitleaks lets a secret of exactly this entropy pass; we hide it.
    entropy = math.nextafter(least, math.inf) if least else 0
    words = sorted({word.lower() for word in keywords})
    return {"id": PREFIX + str(name), "pattern": regex, "group": group, "entropy": entropy, "keywords": words}, []


def _allowlists(table: Mapping[str, Any], where: str) -> tuple[list[tuple[list[str], list[str]]], list[str]]:
    """Return for each allowlist its rules (none: all) and its patterns for a whole secret, and the problems found."""
    listed = table.get("allowlists", [])
    single = table.get("allowlist")
    tables = [*(listed if isinstance(listed, list) else [listed]), *([] if single is None else [single])]
    found: list[tuple[list[str], list[str]]] = []
    problems: list[str] = []
    for allowlist in tables:
        if not isinstance(allowlist, dict):
            problems.append(f"{where}: an allowlist must be a table")
            continue
        regexes, stopwords, targets = (allowlist.get(name, []) for name in ("regexes", "stopwords", "targetRules"))
        unknown = sorted(allowlist.keys() - _ALLOWLIST)
        problems += [f"{where}: {key!r} in an allowlist is not supported" for key in unknown]
        if not _is_texts(regexes) or not _is_texts(stopwords) or not _is_texts(targets):
            problems.append(f"{where}: an allowlist holds lists of texts")
            continue
        if allowlist.get("regexTarget", "secret") not in ("", "secret"):
            problems.append(f"{where}: an allowlist whose 'regexTarget' is not the secret is not supported")
        if str(allowlist.get("condition", "OR")).upper() not in ("OR", "||") and regexes and stopwords:
            problems.append(f"{where}: an allowlist whose 'condition' is AND is not supported")
        problems += [
            f"{where}: RE2 does not accept regex {n} of an allowlist"
            for n, text in enumerate(regexes, 1)
            if not _compiles(text)
        ]
        patterns = [rf"[\s\S]*?(?:{regex})[\s\S]*" for regex in regexes]
        patterns += [rf"[\s\S]*?(?i:{re2.escape(word)})[\s\S]*" for word in stopwords]
        found.append((targets, patterns))
    return found, problems


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item for item in value)


def _compiles(pattern: str) -> bool:
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error:
        return False
    return True
