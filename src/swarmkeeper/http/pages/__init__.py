"""The HTML pages at / and /docs."""
