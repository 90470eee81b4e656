"""Shared by all commands: flags, input, output, the connection to a server, access to a store."""
