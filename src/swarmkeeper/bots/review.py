"""The review swarm: its bots, and the task that it takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from swarmkeeper.bots.inspect_python import InspectPython
from swarmkeeper.bots.inspect_text import InspectText
from swarmkeeper.bots.review_evaluator import ReviewEvaluator
from swarmkeeper.bots.review_planner import ReviewPlanner
from swarmkeeper.bots.scan_secrets import ScanSecrets
from swarmkeeper.bots.summarise import Summarise
from swarmkeeper.sdk.bots import BaseBot


def swarm() -> list[BaseBot]:
    """Return one bot of each kind. Their names can be set here or by their keys."""
    return [ReviewPlanner(), InspectPython(), InspectText(), ScanSecrets(), Summarise(), ReviewEvaluator()]


def task(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a task for this swarm: review the directory at `path`, as its bots see it."""
    root = Path(path).resolve()
    return {
        "title": f"Review {root.name or root}",
        "description": "Measure every text file, look for secrets, and report.",
        "input": {"path": str(root)},
        "planner_skills": ["review.plan"],
        "evaluator_skills": ["review.judge"],
        "acceptance_criteria": ["every file is covered", "all numbers agree", "the report contains no secret"],
    }
