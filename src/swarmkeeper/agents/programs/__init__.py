"""Agent programs of the command line as bots: `run(command_bot(["claude", "-p", "{prompt}"], skills={"write"}))`."""

from swarmkeeper.agents.programs.bot import CommandBot, command_bot

__all__ = ["CommandBot", "command_bot"]
