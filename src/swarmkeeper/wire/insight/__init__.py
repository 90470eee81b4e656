"""Records of what a dashboard reads: timelines, verdicts, queues, changes, and operations on many tasks."""
