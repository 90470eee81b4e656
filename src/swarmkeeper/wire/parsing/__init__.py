"""Parses input: strict JSON, hand-written documents, and fields that are refused with an explanation."""
