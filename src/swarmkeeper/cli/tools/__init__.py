"""Commands that are no part of a running swarm: rehearsals, benchmarks, documentation, settings, the raw API."""
