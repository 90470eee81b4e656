"""The two pages for people, at / and /docs."""
