"""A bot that calls a tool and then waits for ever for its model. Its arguments: the framework's package."""

import importlib
import sys

from swarmkeeper import run
from swarmkeeper.agents import agent_bot
from tests.agents.script import Call, Hang, Script
from tests.agents.suite import note

CLASSES = {
    "pydantic_ai": "pydantic_ai.PydanticAi",
    "langgraph": "langgraph.LangGraph",
    "agents": "openai_agents.OpenAiAgents",
    "agent_framework": "agent_framework.AgentFramework",
    "crewai": "crewai.CrewAi",
    "google": "google_adk.GoogleAdk",
    "strands": "strands.Strands",
}


if __name__ == "__main__":
    package = sys.argv[1]
    module, _, kind = CLASSES[package].partition(".")
    framework = getattr(importlib.import_module(f"tests.agents.frameworks.{module}"), kind)()
    script = Script(Call("note", {"text": "before the crash"}), Hang())
    run(agent_bot(framework.agent(script, [note]), skills={"write"}, name="writer"))
