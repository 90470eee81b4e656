"""Agents of openai_agents as bots: the twelve scenarios, with the framework's own scripted model."""

from tests.agents.frameworks.openai_agents import OpenAiAgents
from tests.agents.suite import AgentSuite


class TestOpenAiAgents(AgentSuite):
    framework = OpenAiAgents()
