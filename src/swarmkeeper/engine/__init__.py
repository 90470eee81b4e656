"""The engine: one loop that decides commands in batches, grants leases, and keeps waiting requests in memory."""
