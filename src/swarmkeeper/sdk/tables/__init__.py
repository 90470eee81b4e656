"""Calls for tables and charts."""
