"""`bot …`: who takes part, and running and testing a bot."""
