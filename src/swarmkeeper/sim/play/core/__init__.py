"""Level core: the edge that calls the engine without HTTP, and bots and intruders who use it."""
