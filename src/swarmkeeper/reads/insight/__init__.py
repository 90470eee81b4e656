"""Reads of one task over time, and of what a tenant does now, as a dashboard shows them."""
