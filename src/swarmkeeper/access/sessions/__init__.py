"""Sessions of browsers: finds those of cookies, and keeps the tokens that sign a browser in once."""
