"""The participants of a run, their behaviour, and the edges through which they reach the orchestrator."""
