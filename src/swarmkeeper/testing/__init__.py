"""What others need to test what they add: suites that every store, broker and bot has to pass."""
