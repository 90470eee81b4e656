"""Stores. One folder per database; each implements `core.ports.Store` and passes `testing.StoreSuite`."""
