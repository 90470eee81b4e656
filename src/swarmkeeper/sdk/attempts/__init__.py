"""One attempt: calls the author's code, watches it, and turns its answer into JSON."""
