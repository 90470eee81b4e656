"""Policies in Cedar: what the roles allow may be restricted by files. Without files, nothing here is loaded."""
