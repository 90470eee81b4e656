"""The simulator: the real engine, store and bots in one process, on a clock that stands until it is moved."""
