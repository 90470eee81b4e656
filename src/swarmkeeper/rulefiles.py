"""Reads the files of redaction rules and of policies that the settings name, at the start and again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from swarmkeeper.clock import SystemClock
from swarmkeeper.core.commands import ENGINE, ChangeRules
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.policies.records import Policies
from swarmkeeper.core.ports import LogWriter, Reader
from swarmkeeper.engine.loop import Engine
from swarmkeeper.files import BadFile, read_text
from swarmkeeper.govern.redaction.packs import BadRules
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.settings import BadSetting, Settings

BYTES_MAX = 4 << 20  # of one file; ten times the shipped rules plus all rules of gitleaks


def load(files: Sequence[str]) -> Redactor:
    """Return the shipped rules, followed by those of these files.

    Raises:
        BadRules: a file cannot be read or is invalid; says which and why.
    """
    texts = [_text(file) for file in files]
    try:
        return Redactor.default(*texts)
    except BadRules as error:
        message = str(error)
        for number, file in enumerate(files, 1):
            message = message.replace(f"rule pack {number}:", f"{file}:").replace(f"rule pack {number} ", f"{file} ")
        raise BadRules(message) from None


def rulebook_of(settings: Settings) -> Rulebook:
    """Return the rules that the settings name.

    Raises:
        BadSetting: a file cannot be read or is invalid.
    """
    try:
        rules = Rulebook(load(settings.redaction))
    except BadRules as error:
        raise BadSetting(f"redaction: {error}") from None
    rules.policies = policies_of(settings)
    return rules


def policies_of(settings: Settings) -> Policies | None:
    """Return the policies that the settings name; None if they name none.

    Raises:
        BadSetting: a file cannot be read, or a policy in it is invalid.
    """
    if not settings.policies and not settings.policies_shadow:
        return None
    # Imported here: without policies nothing needs it.
    from swarmkeeper.policy.cedar import load as load_policies
    from swarmkeeper.policy.files import BadPolicies, shipped

    used = SystemClock().used
    name = "policies"
    try:
        policies = load_policies(settings.policies or (str(shipped("all.cedar")),), used)
        name = "policies_shadow"
        if settings.policies_shadow:
            policies.shadow = load_policies(settings.policies_shadow, used)
            policies.hash = f"{policies.hash}+{policies.shadow.hash}"
    except BadPolicies as error:
        raise BadSetting(f"{name}: {error}") from None
    return policies


def policies_again(rules: Rulebook, settings: Settings) -> tuple[str, str, str]:
    """Read the policy files again; return the hashes before and after, and why the former policies stay, if they do."""
    before = problem = ""
    if rules.policies is not None:
        before = rules.policies.hash
    try:
        rules.policies = policies_of(settings)
    except BadSetting as error:
        problem = str(error)
    return before, "" if rules.policies is None else rules.policies.hash, problem


def _text(file: str) -> str:
    try:
        return read_text(Path(file), BYTES_MAX)
    except BadFile as bad:
        raise BadRules(f"{file}: {bad}") from None


async def reload_rules(rules: Rulebook, settings: Settings, store: Reader, engine: Engine, log: LogWriter) -> bool:
    """Read the files of redaction rules again. Returns False if they are invalid; then the former rules stay.

    A change or a refusal is recorded in each tenant's audit log.
    """
    before, problem = rules.hash, ""
    try:
        redactor = await asyncio.to_thread(load, settings.redaction)
    except BadRules as error:
        problem = str(error)
        log("rules_refused", problem=problem, rules=before)
    else:
        rules.change(redactor)
        log("rules_changed", before=before, rules=redactor.hash)
        if redactor.hash == before:
            return True
    await _record_change(store, engine, "redaction", before, rules.hash, problem)
    return not problem


async def reload_policies(rules: Rulebook, settings: Settings, store: Reader, engine: Engine, log: LogWriter) -> bool:
    """Read the policy files again. Returns False if they are invalid; then the former policies stay."""
    before, after, problem = await asyncio.to_thread(policies_again, rules, settings)
    if after != before or problem:
        log("policies_refused" if problem else "policies_changed", problem=problem, before=before, after=after)
        await _record_change(store, engine, "policies", before, after, problem)
        engine.look_again()  # polls may get what was denied
    return not problem


async def _record_change(store: Reader, engine: Engine, what: str, before: str, after: str, problem: str) -> None:
    tenants = [str(row["id"]) for row in await store.read("tenants", {})]
    changes = [
        ChangeRules(by=replace(ENGINE, tenant=tenant), what=what, before=before, after=after, problem=problem)
        for tenant in tenants
    ]
    for answer in await engine.do_all(changes):
        if isinstance(answer, SwarmkeeperError):
            raise answer
