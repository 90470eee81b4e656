"""The domain: life cycles, records, commands and decisions. Pure: standard library only, no I/O."""
