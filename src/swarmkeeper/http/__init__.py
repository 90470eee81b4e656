"""The HTTP edge: translates, authenticates, waits. What is decided is decided in service and core."""
