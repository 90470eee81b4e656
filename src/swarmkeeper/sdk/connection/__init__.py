"""Calls to the orchestrator: HTTP, retries, and event loops for callers without one."""
