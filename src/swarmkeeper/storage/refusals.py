"""Errors that keep a store from being opened. Their messages say what to do; retrying does not help."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

MALFORMED = (
    "the database's address cannot be understood: it is postgresql://user:password@host:5432/database, and in a user's "
    "name or password / is written as %2F, ? as %3F, # as %23, @ as %40 and : as %3A"
)
_HOST = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(:[0-9]+)?")  # a name, or an IPv6 address in brackets; a port


class StoreRefused(Exception):
    """The store cannot be used in its present state. The message says why, and what to do."""


class StoreHeld(StoreRefused):
    """Another orchestrator has it open."""


class StoreNotEmpty(StoreRefused):
    """It has rows, which a copy of another store would be mixed with."""


class SchemaOlder(StoreRefused):
    """An older version made it: open it with `migrate=True`."""


class SchemaNewer(StoreRefused):
    """A newer version of swarmkeeper made it: use that version."""


class SchemaAltered(StoreRefused):
    """An applied migration differs from this version's migration of the same number."""


class PepperMissing(StoreRefused):
    """It does not keep the pepper of its keys, and the right one is not given."""


class WrongMasterKey(StoreRefused):
    """Its bodies are encrypted, and the right master key is not given."""


class StoreMoved(StoreRefused):
    """Its rows were moved to another store, which goes on from there."""


def is_well_formed(url: str) -> bool:
    """Return whether the address of a server has its parts where they seem to be.

    A password with a slash, a question mark or a hash that is not escaped ends the part in which it stands.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    beyond = parts.fragment or "@" in parts.path or "@" in parts.query
    return not beyond and all(_HOST.fullmatch(host) for host in parts.netloc.rpartition("@")[2].split(","))
