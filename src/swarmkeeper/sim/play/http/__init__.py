"""Level http: the whole HTTP application as the edge, and bots, people and intruders that reach it over HTTP."""
