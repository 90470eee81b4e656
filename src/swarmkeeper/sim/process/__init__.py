"""Level `process`: runs with real processes and wall time. Start at `run.run_processes`."""
