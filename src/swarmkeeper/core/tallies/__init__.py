"""Counts of tasks and sums of costs that are kept beside the rows they follow from."""
