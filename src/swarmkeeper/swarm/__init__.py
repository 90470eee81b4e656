"""The swarm file: which bots a swarm has, with which models, tools, prices and limits; and the bots made from it."""
