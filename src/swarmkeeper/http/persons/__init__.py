"""Routes of persons."""
