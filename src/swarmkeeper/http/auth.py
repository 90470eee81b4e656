"""The credential of a call, and the check whether its owner may do what they ask."""

from __future__ import annotations

from collections.abc import Mapping

from swarmkeeper.core.errors import Forbidden
from swarmkeeper.core.model import Principal
from swarmkeeper.core.ports import Rules


def credential(headers: Mapping[str, str]) -> str | None:
    """The key's text, from `X-API-KEY` or `Authorization: Bearer`; None where there is none, or two that differ."""
    own = headers.get("x-api-key")
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    bearer = rest.strip() if scheme.lower() == "bearer" else None
    if own is not None and bearer is not None and own != bearer:
        return None
    return own if own is not None else bearer


def require(rules: Rules, principal: Principal, *actions: str) -> None:
    """Any of the actions will do.

    Raises:
        Forbidden: the role may do none of them; it says which roles may the first.
    """
    if not any(rules.may(principal, action) for action in actions):
        raise Forbidden(rules.why_not(principal, actions[0]))
