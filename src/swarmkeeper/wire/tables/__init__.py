"""Answers for tables: rows of tasks, counts, labels, costs."""
