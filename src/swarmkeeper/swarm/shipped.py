"""The swarm of `swarmkeeper run` where there is no swarm file: one planner, three executors, one evaluator."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from swarmkeeper.ai.keys import LOCAL, missing_key
from swarmkeeper.swarm.entries import SwarmFile

# The first whose key is set is used. Middle-sized models of today: good plans, at a price that a first try may cost.
DEFAULT_MODELS = ("anthropic:claude-sonnet-4-5", "openai:gpt-5.2")
PLAN, WORK, JUDGE = "swarm.plan", "swarm.work", "swarm.judge"
MODEL = "main"


def default_model(environ: Mapping[str, str]) -> str | None:
    """Return the model whose key is set; None: there is none."""
    return next((name for name in DEFAULT_MODELS if missing_key(name, environ) is None), None)


def shipped_swarm(model: str) -> SwarmFile:
    """Return the swarm that ships, with this model for all its bots. Bots of others do not take its work.

    Raises:
        ValueError: it is not the name of a model.
    """
    local = model == LOCAL
    bots: list[dict[str, Any]] = [
        {"type": "planner", "model": MODEL, "skills": [PLAN], "max_subtasks": 12},
        {
            "type": "executor",
            "name": "worker",
            "model": MODEL,
            "skills": [WORK],
            "about": "any step: finding out, writing, comparing, summing up",
            "replicas": 1 if local else 3,
        },
        {"type": "evaluator", "model": MODEL, "skills": [JUDGE]},
    ]
    return SwarmFile.model_validate({"models": {MODEL: {"use": [model]}}, "bots": bots})


def with_model(swarm: SwarmFile, model: str) -> SwarmFile:
    """Return the swarm with this model in place of each of its own.

    Raises:
        ValueError: it is not the name of a model.
    """
    plain = swarm.model_dump(exclude_unset=True)
    for entry in plain.get("models", {}).values():
        entry["use"] = [model]
        entry.pop("key_env", None)
    made = SwarmFile.model_validate(plain)
    made._folder = swarm.folder
    return made


def has_models() -> bool:
    """Return whether what model bots need is installed."""
    return importlib.util.find_spec("pydantic_ai") is not None
