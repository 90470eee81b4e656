"""Access, keys, redaction and audit. Pure: no clock, no chance, no network."""
