"""The calls of the client for what a dashboard reads."""
