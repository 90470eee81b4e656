"""Level `process`: real processes and wall time. Start at `run.run_processes`."""
