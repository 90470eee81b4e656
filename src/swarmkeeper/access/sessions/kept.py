"""Opens sessions, and finds the session of a cookie.

Each call reads the store: what ended on one server has ended on all at once.
That is one short read for each call of a browser, which has few. What changes seldom (keys and persons) is cached as
for other calls. When a session was used is noted about once a minute.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace

from swarmkeeper.core.model import Principal
from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.persons.records import TokenLogin
from swarmkeeper.core.ports import Store
from swarmkeeper.core.sessions.commands import OpenSession
from swarmkeeper.core.sessions.reads import SESSION_BY_DIGEST, SESSION_ROW
from swarmkeeper.core.sessions.records import SessionRecord
from swarmkeeper.govern.keys import same

MINUTE = 60_000_000


class Sessions:
    """Args: `digest` makes an HMAC with the pepper of a text; `wall` is the wall clock in microseconds."""

    def __init__(self, store: Store, digest: Callable[[str], bytes], wall: Callable[[], int]) -> None:
        self._store, self._digest, self._wall = store, digest, wall
        self.used: dict[str, int] = {}  # sessions that were used and not noted yet, with the time

    def opening(self, by: Principal, cookie: str, public_id: str | None) -> OpenSession:
        """Return the command that opens a session for the caller.

        A session that is opened with a token ends with the token: it is worth no more.
        """
        digest, login = self._of_cookie(cookie), None if by.token is None else _written(by)
        return OpenSession(
            by=by,
            digest=digest,
            seal=self._seal(digest, by.tenant, by.key_id, public_id, by.secret_digest, login),
            public_id=public_id,
            secret_digest=by.secret_digest,
            login=login,
            until=None if by.token is None else by.token.expires_at,
        )

    async def find(self, cookie: str) -> SessionRecord | None:
        """Return the session of a cookie; None if there is none, or it has ended. It does not look at the key."""
        rows: list[SessionRecord] = await fetch(self._store, SESSION_BY_DIGEST, digest=self._of_cookie(cookie))
        return rows[0] if rows and self._counts(rows[0]) else None

    async def is_open(self, session: str) -> bool:
        """Whether this session has not ended."""
        rows: list[SessionRecord] = await fetch(self._store, SESSION_ROW, session=session)
        return bool(rows) and self._counts(rows[0])

    def note(self, session: SessionRecord) -> None:
        """Have noted that the session was used just now, if that was not noted within the last minute."""
        now = self._wall()
        if now - session.used_at >= MINUTE:
            self.used[session.id] = now

    def _counts(self, row: SessionRecord) -> bool:
        sealed = self._seal(row.digest, row.tenant, row.key_id, row.public_id, row.secret_digest, row.login)
        return same(sealed, row.seal) and row.is_open(self._wall())

    def _of_cookie(self, cookie: str) -> str:
        return self._digest(f"session cookie\n{cookie}").hex()

    def _seal(self, *whose: str | bytes | None) -> bytes:
        """Return what fits this cookie and this caller alone: the store's writer has no pepper to make another."""
        plain = [each.hex() if isinstance(each, bytes) else each for each in whose]
        return self._digest(f"session seal\n{json.dumps(plain)}")


def _written(by: Principal) -> str:
    """Return a caller with a token as JSON. The token itself is not in it."""
    plain = asdict(replace(by, secret_digest=None, session=None))
    return json.dumps(plain, default=sorted, separators=(",", ":"))


def caller_of(session: SessionRecord) -> Principal | None:
    """Return who opened a session with a token; None if it was opened with a key."""
    if session.login is None:
        return None
    plain = json.loads(session.login)
    login = plain.pop("token")
    token = TokenLogin(**{**login, "skills": _set(login["skills"]), "acr": tuple(login["acr"])})
    return Principal(**{**plain, "skills": _set(plain["skills"]), "token": token, "session": session.id})


def _set(names: list[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)
