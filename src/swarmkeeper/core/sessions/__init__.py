"""Sessions: what a browser has in place of an API key or token, after signing in with one."""
