"""Routes for tables and charts."""
