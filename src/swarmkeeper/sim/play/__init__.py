"""Those who take part in a run, how they behave, and the edges through which they reach the orchestrator."""
