"""Errors that keep a store from being opened. Their messages say what to do; retrying does not help."""

from __future__ import annotations


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
