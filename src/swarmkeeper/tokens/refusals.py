"""What is raised when a file of issuers or a token cannot be used."""

from __future__ import annotations

from swarmkeeper.core.errors import AuthenticationFailed


class BadIdentity(Exception):
    """The file of issuers cannot be used. The message says which table and key."""


def refused(why: str) -> AuthenticationFailed:
    """Return the refusal of a token. `why` is fixed text: it repeats nothing of the token."""
    return AuthenticationFailed(f"the token is not accepted: {why}")
