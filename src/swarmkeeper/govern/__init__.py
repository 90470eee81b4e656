"""What is allowed and what may be seen: access, keys, redaction, audit. Pure: no clock, no chance, no network."""
