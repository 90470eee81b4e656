"""Level core: the edge that calls the engine without HTTP, and the bots and intruders that use it."""
