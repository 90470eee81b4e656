"""The caller of an operation as it is stored, and whether its credential is still good when a task is dealt with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace

from swarmkeeper.access.identity import OWN_ISSUER
from swarmkeeper.core.model import Principal
from swarmkeeper.core.named_reads import KEY_ROW, fetch
from swarmkeeper.core.persons.reads import PERSON_ROW
from swarmkeeper.core.persons.records import TokenLogin
from swarmkeeper.core.ports import Reader


def to_json(caller: Principal) -> str:
    """Return the caller as JSON, without anything that proves who it is."""
    plain = asdict(replace(caller, secret_digest=None))
    del plain["secret_digest"]
    return json.dumps(plain, default=sorted)


def from_json(text: str) -> Principal:
    plain = json.loads(text)
    token = plain.pop("token")
    if token is not None:
        token["acr"] = tuple(token["acr"])
        token = TokenLogin(**{**token, "skills": _skills(token["skills"])})
    return Principal(**{**plain, "skills": _skills(plain["skills"]), "token": token})


def _skills(skills: list[str] | None) -> frozenset[str] | None:
    return None if skills is None else frozenset(skills)


class Callers:
    """Says whether the credentials of callers are still good.

    Args:
        wall: microseconds of the wall clock.
    """

    def __init__(self, store: Reader, wall: Callable[[], int]) -> None:
        self._store, self._wall = store, wall

    async def why_not(self, caller: Principal) -> str | None:
        """Return why the caller may do nothing any more; None while its key or token is good."""
        token, now = caller.token, self._wall()
        if token is not None and now >= token.expires_at:
            return "the token has expired"
        if token is None or token.issuer == OWN_ISSUER:
            keys = await fetch(self._store, KEY_ROW, tenant=caller.tenant, key=caller.key_id)
            if not keys:
                return "there is no such key any more"
            if keys[0].revoked_at is not None:
                return "the key was revoked"
            if keys[0].expires_at is not None and now >= keys[0].expires_at:
                return "the key has expired"
            rights = (keys[0].role, keys[0].scope == "own", keys[0].person, keys[0].owner)
            if token is None and rights != (caller.role, caller.sees_own, caller.person, caller.owner):
                return "the key has other rights now"
        if caller.person is not None:
            persons = await fetch(self._store, PERSON_ROW, tenant=caller.tenant, person=caller.person)
            if not persons or persons[0].disabled_at is not None:
                return "the person was disabled"
        return None
