"""Erasure on request."""
