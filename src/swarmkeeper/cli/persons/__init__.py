"""Commands on persons."""
