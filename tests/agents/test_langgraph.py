"""Agents of langgraph as bots: the twelve scenarios, with the framework's own scripted model."""

from tests.agents.frameworks.langgraph import LangGraph
from tests.agents.suite import AgentSuite


class TestLangGraph(AgentSuite):
    framework = LangGraph()
