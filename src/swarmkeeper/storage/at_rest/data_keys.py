"""Data keys: one or more for each tenant, stored wrapped under the master key, which is never in the store.

Each body has a key of its own, derived from its tenant's data key by HMAC-SHA256 over 128 random bits. So a data key
serves any number of bodies: AES-GCM's bound of 2^32 uses of a key with random nonces holds for each derived key, which
is used once. Nothing is counted, so nothing has to be counted again after a crash, by a second server, or after a
restore of a backup.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from swarmkeeper.core.secrets.records import Sealed
from swarmkeeper.secrets.sealing import BadKeys, KeyRing
from swarmkeeper.storage.refusals import WrongMasterKey

ID_BYTES = 16
SALT_BYTES = 16
_KEY_BYTES = 32
_DERIVE = b"swarmkeeper/at rest/body/1"


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A row of `data_key`."""

    id: str
    tenant: str
    key_id: str  # of the master key
    nonce: bytes
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class DataKey:
    id: str
    tenant: str
    secret: bytes

    def derived(self, salt: bytes) -> bytes:
        """Return the key of one body."""
        return hmac.digest(self.secret, _DERIVE + salt, "sha256")


class DataKeys:
    """The data keys that a process knows, by id, and the one that each tenant's new bodies get."""

    def __init__(self, ring: KeyRing, random: Callable[[int], bytes]) -> None:
        self.ring = ring
        self._random = random
        self._keys: dict[str, DataKey] = {}
        self._current: dict[str, DataKey] = {}  # by tenant
        self._new: list[WrappedKey] = []  # made in the open transaction
        self._going: dict[str, DataKey | None] = {}  # erased in the open transaction
        self._erased: set[str] = set()

    def load(self, stored: Iterable[WrappedKey]) -> None:
        """Learn the keys of a store.

        Raises:
            WrongMasterKey: one is wrapped under a master key that is not on the ring, or was changed.
        """
        for row in stored:
            if not self.is_erased(row.id):
                self._learn(DataKey(row.id, row.tenant, self._unwrapped(row)))

    @property
    def are_any(self) -> bool:
        return bool(self._keys)

    def get(self, key_id: str) -> DataKey | None:
        return self._keys.get(key_id)

    def for_tenant(self, tenant: str) -> DataKey:
        """Return the key for a tenant's new bodies; without any, make one, which is then among `take_new`."""
        key = self._current.get(tenant)
        if key is None:
            made = self.wrap(DataKey(self._random(ID_BYTES).hex(), tenant, self._random(_KEY_BYTES)))
            self._new.append(made)
            key = DataKey(made.id, tenant, self._unwrapped(made))
            self._learn(key)
        return key

    def is_erased(self, key_id: str) -> bool:
        return key_id in self._erased or key_id in self._going

    @property
    def erased(self) -> int:
        """How many were erased, as this process knows, also in the open transaction."""
        return len(self._erased) + len(self._going)

    def bury(self, erased: Iterable[str]) -> None:
        """Forget keys that were erased, for good."""
        for key_id in erased:
            if key_id not in self._erased:
                self._drop(key_id)
                self._erased.add(key_id)

    def erase(self, key_ids: Iterable[str]) -> None:
        """Forget keys that the open transaction erases."""
        for key_id in key_ids:
            self._going[key_id] = self._drop(key_id)

    def _drop(self, key_id: str) -> DataKey | None:
        key = self._keys.pop(key_id, None)
        if key is not None and self._current.get(key.tenant) is key:
            del self._current[key.tenant]
        return key

    def take_new(self) -> list[WrappedKey]:
        """Return the keys that were made and are to be stored in the open transaction."""
        return [made for made in self._new if made.id in self._keys]

    def commit(self) -> None:
        self._new.clear()
        self._erased |= self._going.keys()
        self._going.clear()

    def roll_back(self) -> None:
        """Forget the keys that were made in this transaction, and know those again that it has erased."""
        for made in self._new:
            self._keys.pop(made.id, None)
            if (current := self._current.get(made.tenant)) is not None and current.id == made.id:
                del self._current[made.tenant]
        self._new.clear()
        for key in self._going.values():
            if key is not None:
                self._learn(key)
        self._going.clear()

    def wrap(self, key: DataKey) -> WrappedKey:
        """Wrap a key under the current master key, bound to its id and tenant."""
        sealed = self.ring.seal(base64.b64encode(key.secret).decode(), "data_key", key.id, key.tenant)
        return WrappedKey(key.id, key.tenant, sealed.key_id, sealed.nonce, sealed.body)

    def _unwrapped(self, row: WrappedKey) -> bytes:
        if row.key_id not in self.ring.ids:
            raise WrongMasterKey(
                f"bodies in this store are encrypted, and their keys are wrapped under master key {row.key_id}, which "
                f"is none of the given ones ({', '.join(sorted(self.ring.ids))}): give `encryption_key` the right one"
            )
        try:
            text = self.ring.open(Sealed(row.key_id, row.nonce, row.wrapped), "data_key", row.id, row.tenant)
        except BadKeys:
            raise WrongMasterKey(f"the data key {row.id} in this store was changed: restore a backup") from None
        return base64.b64decode(text)

    def _learn(self, key: DataKey) -> None:
        self._keys[key.id] = key
        self._current[key.tenant] = key
