"""What the orchestrator does: the engine that decides in batches, who gets work, reads, feeds, upkeep."""
