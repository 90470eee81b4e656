"""Agents of pydantic_ai as bots: the twelve scenarios, with the framework's own scripted model."""

from tests.agents.frameworks.pydantic_ai import PydanticAi
from tests.agents.suite import AgentSuite


class TestPydanticAi(AgentSuite):
    framework = PydanticAi()
