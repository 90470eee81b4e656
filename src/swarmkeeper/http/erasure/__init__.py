"""The route of an erasure on request."""
