"""Copies all rows of a store to another store: for a move to PostgreSQL, and for backups of a store in PostgreSQL."""
