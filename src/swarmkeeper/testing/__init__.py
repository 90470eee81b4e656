"""Test tools for extensions: a swarm inside a test, and the suites that every store and bot must pass."""

from swarmkeeper.testing.bot_suite import BotSuite, try_bot
from swarmkeeper.testing.swarm import SwarmStuck, run_swarm, running_swarm

__all__ = ["BotSuite", "SwarmStuck", "run_swarm", "running_swarm", "try_bot"]
