"""What browsers need: the dashboard's files, sessions, and the checks that a call comes from our own pages."""
