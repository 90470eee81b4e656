"""Logs and metrics of a running server. Nothing here decides anything."""
