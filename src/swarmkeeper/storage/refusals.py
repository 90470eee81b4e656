"""Why a store cannot be opened. Each says what to do; none is a matter of trying again."""

from __future__ import annotations


class StoreRefused(Exception):
    """The store at this place cannot be used as it is. The message says why, and what helps."""


class StoreHeld(StoreRefused):
    """Another orchestrator has it open."""


class SchemaOlder(StoreRefused):
    """It was made by an older version: open it with `migrate=True`."""


class SchemaNewer(StoreRefused):
    """It was made by a newer version of swarmkeeper. Use that one."""


class SchemaAltered(StoreRefused):
    """A migration that was applied is not the one that this version knows under its number."""
