"""What is said between clients, bots and the orchestrator: records, problems, events, and strict JSON."""
