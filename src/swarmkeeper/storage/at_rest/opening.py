"""Makes what encrypts the bodies of a store from the settings."""

from __future__ import annotations

from collections.abc import Callable

from swarmkeeper.secrets.config import BadSecrets
from swarmkeeper.storage.at_rest.bodies import Bodies
from swarmkeeper.storage.at_rest.data_keys import DataKeys


class BadMasterKey(Exception):
    """The master keys cannot be had, or are none. The message says where."""


async def bodies_of(where: str, secrets: str, random: Callable[[int], bytes]) -> Bodies:
    """Return what encrypts bodies; without a place of master keys, they are written as they come.

    Args:
        where: as for `open_ring`.
        secrets: the file of secrets.

    Raises:
        BadMasterKey: the keys cannot be had.
    """
    if not where:
        return Bodies()
    from swarmkeeper.secrets.opening import open_ring

    try:
        ring = await open_ring(where, secrets, random)
    except BadSecrets as error:
        raise BadMasterKey(str(error)) from None
    return Bodies(DataKeys(ring, random), random)
