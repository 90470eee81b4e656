"""Routes for secrets: what bots get under a lease, and what administrators keep."""
