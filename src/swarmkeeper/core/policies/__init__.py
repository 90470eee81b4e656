"""What the core asks a set of policies, and what it answers. The package `policy` implements it."""
