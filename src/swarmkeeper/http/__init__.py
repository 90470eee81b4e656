"""The HTTP edge: translates, authenticates and waits. Decisions are made in the engine and core."""
