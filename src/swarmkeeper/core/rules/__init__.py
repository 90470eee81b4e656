"""Pure rules: matching bots with work, retry delays, plan graphs, and why items wait."""
