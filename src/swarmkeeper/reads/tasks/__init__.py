"""Lists and counts of tasks, and what they cost."""
