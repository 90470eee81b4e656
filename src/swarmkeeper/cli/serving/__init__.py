"""Commands that run an orchestrator: `serve`, `dev` and `demo`."""
