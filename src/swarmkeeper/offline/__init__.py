"""Commands on a store that need no server: administration and the doctor."""
