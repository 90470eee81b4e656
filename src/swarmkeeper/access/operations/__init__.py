"""Carries operations on many tasks out, in small slices, and goes on after a crash."""
