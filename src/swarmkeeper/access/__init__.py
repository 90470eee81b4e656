"""Authentication, quotas and the presence of bots."""
