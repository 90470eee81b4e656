"""Tags in placeholders: equal secrets of one tenant get the same tag, so that readers can see that they are equal.

A tag is HMAC-SHA256 under a key of the tenant, cut to 64 bits. The key is derived from the pepper, which is also used
for digests of API keys, for a different purpose. Without the pepper nobody can reverse a tag or compare tenants. A
caller who may submit can have a guess tagged and compare, so secrets that could be guessed get no tag.
"""

from __future__ import annotations

import hmac

from swarmkeeper.govern.redaction.values import entropy

# Generated secrets are longer and more varied than this. Guessing one would need too many calls.
_MADE_MIN = 16
_MADE_ENTROPY = 3.0  # bits per character
_PURPOSE = b"swarmkeeper/redaction/tag/1"


class TenantTags:
    """Tags of one tenant."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._key_id = hmac.digest(key, b"id", "sha256").hex()[:8]

    def mark(self, secret: str) -> str:
        """Return `<key id>:<tag>` of any secret, also of one that could be guessed: not for placeholders."""
        tag = hmac.digest(self._key, b"tag\0" + secret.encode("utf-8", "replace"), "sha256").hex()[:16]
        return f"{self._key_id}:{tag}"

    def of(self, secret: str) -> str:
        """Return what follows the rule's name in a placeholder: `:<key id>:<tag>`; nothing for a guessable secret."""
        if len(secret) < _MADE_MIN or entropy(secret) < _MADE_ENTROPY:
            return ""
        return f":{self.mark(secret)}"


class Tags:
    """Tags of all tenants from one pepper: the same pepper gives the same tags after a restart and on another host.

    HKDF of RFC 5869: the pepper is extracted once for this purpose, then expanded for each tenant.
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
