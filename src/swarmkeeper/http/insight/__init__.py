"""Routes for what a dashboard reads."""
