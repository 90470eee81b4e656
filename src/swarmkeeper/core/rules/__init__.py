"""Pure rules: which bot may take what, when to try again, what a plan's graph means, why something waits."""
