"""Bots whose plans, work and verdicts come from a model. They need the extra `ai`: `pip install 'swarmkeeper[ai]'`."""
