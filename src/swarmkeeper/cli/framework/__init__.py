"""What all commands are built on: flags, input, output, the connection to a server, access to a store."""
