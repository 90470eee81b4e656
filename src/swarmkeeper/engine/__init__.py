"""The engine: one loop that decides commands in batches, hands out work, and keeps what waits for it in memory."""
