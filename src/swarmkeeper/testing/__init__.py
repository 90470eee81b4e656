"""What others need to test what they add: a swarm inside a test, and suites that every store and bot has to pass."""

from swarmkeeper.testing.bot_suite import BotSuite, try_bot
from swarmkeeper.testing.swarm import SwarmStuck, run_swarm, running_swarm

__all__ = ["BotSuite", "SwarmStuck", "run_swarm", "running_swarm", "try_bot"]
