"""Commands besides a running swarm: rehearsals, benchmarks, documentation, settings, the raw API."""
