"""Counts, sums, labels and words that follow from other rows: how they are saved, and how they are made anew."""
