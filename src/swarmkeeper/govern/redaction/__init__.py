"""Redaction: finds secrets in a value and replaces them. The shipped rules are in ../rules."""
