"""The command line. Data goes to stdout, messages to stderr; a command loads heavy modules itself."""
