"""Agents of any framework as bots: `run(agent_bot(my_agent, skills={"write"}))`."""

from swarmkeeper.agents.adapter import Adapter, AgentQuestion, Resumed, StaleState, Turn
from swarmkeeper.agents.bot import AgentBot, agent_bot
from swarmkeeper.agents.caps import CapReached, Caps, ModelUsage
from swarmkeeper.agents.current import running_attempt
from swarmkeeper.agents.prompt import Prompt
from swarmkeeper.agents.run import AgentRun

__all__ = [
    "Adapter",
    "AgentBot",
    "AgentQuestion",
    "AgentRun",
    "CapReached",
    "Caps",
    "ModelUsage",
    "Prompt",
    "Resumed",
    "StaleState",
    "Turn",
    "agent_bot",
    "running_attempt",
]
