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


@lru_cache(maxsize=1)
def rules() -> Rulebook:
    return Rulebook(Redactor.default())


def new_engine(
    store: Store, clock: Clock, entropy: Entropy, limits: Limits, log: Callable[..., None], **options: Any
) -> Engine:
    """Create an engine on an open store. `options` are further arguments of `Engine`."""
    return Engine(
        store,
        clock=clock,
        entropy=entropy,
        rules=rules(),
        limits=limits,
        broker=LocalBroker(),
        log=log,
        **options,
    )
