"""One attempt: calls the author's code, watches it, and makes its answer sendable."""
