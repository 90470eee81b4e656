"""The review swarm: who is in it, and the task it takes."""

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
    """One of each; names are theirs to be given by a key, or here."""
    return [ReviewPlanner(), InspectPython(), InspectText(), ScanSecrets(), Summarise(), ReviewEvaluator()]


def task(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A task for this swarm and no other: review the directory at `path`, as its bots see it."""
    root = Path(path).resolve()
    return {
        "title": f"Review {root.name or root}",
        "description": "Measure every text file, look for secrets, and report.",
        "input": {"path": str(root)},
        "planner_skills": ["review.plan"],
        "evaluator_skills": ["review.judge"],
        "acceptance_criteria": ["every file is covered", "all numbers agree", "no secret stands in the report"],
    }
