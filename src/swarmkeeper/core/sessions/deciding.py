"""Decisions on sessions: open, end, note uses.

They load nothing: each change is one statement, and a session that is gone already stays so. Whether a session counts
is decided at each call; see access/sessions/.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from swarmkeeper.core.decide.effects.owners import check_may
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.sessions.commands import EndSession, NoteSessionUses, OpenSession
from swarmkeeper.core.sessions.records import AGE_MAX, IDLE_MAX, OF_ONE_KEY_MAX, SessionRecord


def open_(working: WorkingSet, command: OpenSession) -> str:
    """Open a session, and remove those that nobody used for too long; return its id."""
    by, now = command.by, working.wall
    check_may(working, by, "session.open")
    session = SessionRecord(
        id=working.new_id("ses"),
        tenant=by.tenant,
        key_id=by.key_id,
        created_at=now,
        digest=command.digest,
        seal=command.seal,
        used_at=now,
        ends_at=now + AGE_MAX if command.until is None else min(now + AGE_MAX, command.until),
        public_id=command.public_id,
        secret_digest=command.secret_digest,
        login=command.login,
    )
    _write(working, "put_session", **asdict(session))
    _write(working, "end_oldest_sessions", tenant=by.tenant, key_id=by.key_id, most=OF_ONE_KEY_MAX)
    _write(working, "remove_unused_sessions", before=now - IDLE_MAX)
    working.record("session.open", session.id, own={"expires_at": session.ends_at // 1_000_000})
    return session.id


def end(working: WorkingSet, command: EndSession) -> None:
    """End a session of the caller; nothing happens if it has ended."""
    _write(working, "end_session", tenant=command.by.tenant, key_id=command.by.key_id, id=command.session)
    working.record("session.end", command.session)


def note_uses(working: WorkingSet, command: NoteSessionUses) -> None:
    """Keep when sessions were last used. That is no record of the audit log: what they were used for is."""
    for session, at in command.uses.items():
        _write(working, "use_session", id=session, at=at)
    _write(working, "remove_unused_sessions", before=working.wall - IDLE_MAX)


def _write(working: WorkingSet, statement: str, **parameters: Any) -> None:
    working.changes.sessions.append((statement, parameters))
