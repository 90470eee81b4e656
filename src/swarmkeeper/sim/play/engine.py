"""The engine alone, with the real rules: base of the test harness and of level core."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from swarmkeeper.broker.local import LocalBroker
from swarmkeeper.core.model import Limits
from swarmkeeper.core.ports import Clock, Entropy, Store
from swarmkeeper.engine.loop import Engine
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook

TRIFECTA = "no-lethal-trifecta-flow"  # id of the policy that checks.LABELLED is about


@lru_cache(maxsize=1)
def rules() -> Rulebook:
    return Rulebook(Redactor.default())


@lru_cache(maxsize=1)
def policed_rules() -> Rulebook:
    """Return the same rules with the shipped policy that keeps private data, untrusted text and ways out apart."""
    # Imported here: few scenarios have labels.
    from swarmkeeper.policy.cedar import load
    from swarmkeeper.policy.files import shipped

    rules = Rulebook(Redactor.default())
    rules.policies = load([str(shipped("all.cedar")), str(shipped("no-lethal-trifecta.cedar"))])
    return rules


def new_engine(
    store: Store,
    clock: Clock,
    entropy: Entropy,
    limits: Limits,
    log: Callable[..., None],
    *,
    policed: bool = False,
    **options: Any,
) -> Engine:
    """Create an engine on an open store. `options` are further arguments of `Engine`."""
    return Engine(
        store,
        clock=clock,
        entropy=entropy,
        rules=policed_rules() if policed else rules(),
        limits=limits,
        broker=LocalBroker(),
        log=log,
        **options,
    )
