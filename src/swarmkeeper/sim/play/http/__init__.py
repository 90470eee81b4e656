"""Level http: the whole HTTP application as the edge, and bots, people and intruders who reach it through the SDK."""
