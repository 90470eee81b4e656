"""`bot …`: lists, runs and tests bots."""
