"""Redaction: which secrets are found in a value, and what replaces them. The shipped rules are in ../rules."""
