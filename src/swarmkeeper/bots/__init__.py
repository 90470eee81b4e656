"""Sample bots, each one file and each a runnable example. review.py says who they are together."""
