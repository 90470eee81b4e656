"""Commands for work: `submit`, `task …` and `approval …`, and how a task is shown."""
