"""One module for each framework, found by the agent's type, so that a bot imports only the framework that it has."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from swarmkeeper.agents.adapter import Adapter

# The package that an agent's type, or one of its bases, comes from -> the module with its adapter.
_ADAPTERS = {
    "pydantic_ai": "pydantic_ai",
    "langgraph": "langgraph",
    "agents": "openai_agents",
    "agent_framework": "agent_framework",
    "google": "google_adk",
    "strands": "strands",
    "crewai": "crewai",
}


def found(agent: object) -> Adapter:
    """Return the adapter for an agent.

    Raises:
        TypeError: no adapter knows it.
    """
    for package in dict.fromkeys(kind.__module__.partition(".")[0] for kind in type(agent).__mro__):
        if package in _ADAPTERS:
            adapter = cast(Adapter, import_module(f"{__name__}.{_ADAPTERS[package]}").ADAPTER)
            if adapter.accepts(agent):
                return adapter
    kind = type(agent)
    raise TypeError(
        f"no adapter knows {kind.__module__}.{kind.__qualname__}; there are adapters for agents of "
        f"{', '.join(sorted(_ADAPTERS))}. For another framework, pass adapter=…, or write an ExecutorBot"
    )
