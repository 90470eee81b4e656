"""What can be seen of a running server from outside: logs and metrics. Nothing here decides anything."""
