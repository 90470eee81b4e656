"""Creates the administrator's key that the settings name, in a store that has no key yet.

So a container or service can listen on an address beyond this machine at its first start, without a command that makes
a key before.
"""

from __future__ import annotations

from collections.abc import Callable

from swarmkeeper.core.answers import Replayed
from swarmkeeper.core.commands import CreateKey
from swarmkeeper.core.errors import IdempotencyKeyReused
from swarmkeeper.core.model import Principal
from swarmkeeper.engine.loop import Engine
from swarmkeeper.govern.access import Role

# Audit records name it as the actor.
BOOTSTRAP = Principal("default", "bootstrap", Role.ADMIN)


async def create_first_key(
    engine: Engine,
    key: Callable[[], tuple[str, str]],
    digest: Callable[[str], bytes],
    log: Callable[..., None],
    *,
    has_keys: bool,
) -> None:
    """Create the key, unless the store has keys; the log says which. The engine must not run yet.

    Two servers that start on one empty store at the same time create one key: the command has an idempotency key. If
    their settings name different keys, the first one counts.

    Args:
        engine: of the store.
        key: reads the key's public id and secret; called only if they are needed.
        digest: makes the stored form of a secret.
        log: says what was done.
        has_keys: whether the store has any key, even an expired or revoked one.
    """
    if has_keys:
        log("bootstrap_key_unused", detail="the store has keys already; this setting only creates the first one")
        return
    public_id, secret = key()
    command = CreateKey(
        expires=0,  # a start without a hand on it needs it again, perhaps in years
        by=BOOTSTRAP,
        idempotency=("first key", public_id),
        role=Role.ADMIN,
        public_id=public_id,
        digest=digest(secret),
    )
    try:
        made = await engine.once(command)
    except IdempotencyKeyReused:
        log("bootstrap_key_unused", detail="another server, which started at the same time, has created the first key")
        return
    key_id = made.resource if isinstance(made, Replayed) else made
    log("bootstrap_key_created", detail=f"{key_id} has role admin in the tenant {BOOTSTRAP.tenant}")
