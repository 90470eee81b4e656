"""The named reads about sessions; see core/named_reads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swarmkeeper.core.ports import Read
from swarmkeeper.core.sessions.records import SessionRecord

SESSION_BY_DIGEST = Read("session_by_digest", SessionRecord, "digest")
SESSION_ROW = Read("session_row", SessionRecord, "session")
SESSIONS_OF_KEY = Read("sessions_of_key", SessionRecord, "tenant", "key_id", "used_after", "now")

READS: Mapping[str, Read[Any]] = {str(read): read for read in list(vars().values()) if isinstance(read, Read)}
