"""The command line. stdout is data, stderr is talk; what is heavy is loaded by the command that needs it."""
