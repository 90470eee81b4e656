"""What a placeholder says of the secret that it stands for: a tag, the same for equal secrets of one tenant.

The tag is HMAC-SHA256 under a key of the tenant's own, cut to 64 bits; the key comes from the pepper, which digests of
API keys are made with too, for a purpose of its own. Whoever has no pepper can neither turn a tag back nor compare
tenants. Whoever may submit can still have a guess tagged and compare, so that what could be guessed carries none.
"""

from __future__ import annotations

import hmac

from swarmkeeper.govern.redaction.checks import entropy

# Made secrets are longer and more varied than this. A guess at one that is not would need more calls than anybody has.
_MADE_MIN = 16
_MADE_ENTROPY = 3.0  # bits a character
_PURPOSE = b"swarmkeeper/redaction/tag/1"


class TenantTags:
    """Tags of one tenant."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._key_id = hmac.digest(key, b"id", "sha256").hex()[:8]

    def of(self, secret: str) -> str:
        """What follows the rule's name in a placeholder: `:<key id>:<tag>`, or nothing for what could be guessed."""
        if len(secret) < _MADE_MIN or entropy(secret) < _MADE_ENTROPY:
            return ""
        tag = hmac.digest(self._key, b"tag\0" + secret.encode("utf-8", "replace"), "sha256").hex()[:16]
        return f":{self._key_id}:{tag}"


class Tags:
    """Tags of every tenant, from one pepper: the same pepper gives the same tags after a restart, and on another host.

    (HKDF of RFC 5869: the pepper is extracted once for this purpose, then expanded for each tenant.)
    """

    def __init__(self, pepper: bytes) -> None:
        self._root = hmac.digest(_PURPOSE, pepper, "sha256")
        self._tenants: dict[str, TenantTags] = {}

    def of(self, tenant: str) -> TenantTags:
        tags = self._tenants.get(tenant)
        if tags is None:
            tags = TenantTags(hmac.digest(self._root, tenant.encode() + b"\x01", "sha256"))
            self._tenants[tenant] = tags
        return tags
