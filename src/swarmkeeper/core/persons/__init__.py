"""Persons: the people to whom API keys and sign-ins by token belong."""
