"""The public names of swarmkeeper. Each is loaded on first use, so that importing the package is fast.

All other names may change without notice.
"""

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

__version__ = "0.4.0"

if TYPE_CHECKING:
    from swarmkeeper.app import Orchestrator
    from swarmkeeper.sdk.answers import Accept, Ask, Done, Failed, Later, Plan, Reject, Rework
    from swarmkeeper.sdk.bots import BaseBot, EvaluatorBot, ExecutorBot, PlannerBot, evaluator, executor, planner
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.sdk.context import Candidate, Context
    from swarmkeeper.sdk.processes.subprocesses import CommandFailed, CommandResult, CommandTimedOut
    from swarmkeeper.sdk.runner import run
    from swarmkeeper.wire.v1 import AuditLog, BotInfo, BotMessage, SubTask, Task, TaskDefinition, TaskStatus

__all__ = [
    "Accept",
    "Ask",
    "AuditLog",
    "BaseBot",
    "BotInfo",
    "BotMessage",
    "Candidate",
    "Client",
    "CommandFailed",
    "CommandResult",
    "CommandTimedOut",
    "Context",
    "Done",
    "EvaluatorBot",
    "ExecutorBot",
    "Failed",
    "Later",
    "Orchestrator",
    "Plan",
    "PlannerBot",
    "Reject",
    "Rework",
    "SubTask",
    "Task",
    "TaskDefinition",
    "TaskStatus",
    "__version__",
    "evaluator",
    "executor",
    "planner",
    "run",
]

# The module of each name. A tidy test keeps this, the imports above and `__all__` the same.
_HOME = {
    "Orchestrator": "swarmkeeper.app",
    **dict.fromkeys(
        ("Accept", "Ask", "Done", "Failed", "Later", "Plan", "Reject", "Rework"), "swarmkeeper.sdk.answers"
    ),
    **dict.fromkeys(
        ("BaseBot", "EvaluatorBot", "ExecutorBot", "PlannerBot", "evaluator", "executor", "planner"),
        "swarmkeeper.sdk.bots",
    ),
    "Client": "swarmkeeper.sdk.client",
    **dict.fromkeys(("Candidate", "Context"), "swarmkeeper.sdk.context"),
    "run": "swarmkeeper.sdk.runner",
    **dict.fromkeys(("CommandFailed", "CommandResult", "CommandTimedOut"), "swarmkeeper.sdk.processes.subprocesses"),
    **dict.fromkeys(
        ("AuditLog", "BotInfo", "BotMessage", "SubTask", "Task", "TaskDefinition", "TaskStatus"),
        "swarmkeeper.wire.v1",
    ),
}

# What the distribution swarmkeeper-sdk leaves out. A packaging test keeps this and the distributions the same.
_SERVER_ONLY = {
    *("access", "app", "bench", "bots", "broker", "cli", "clock", "engine", "govern", "http", "in_process", "observe"),
    *(
        "offline",
        "outgoing",
        "pages",
        "policy",
        "reads",
        "request_id",
        "rulefiles",
        "secrets",
        "server",
        "settings",
        "sim",
        "sinks",
        "storage",
        "testing",
        "tokens",
        "transparency",
        "web",
    ),
}


class _ServerOnlyModules:
    """The last finder of imports: it says what to install when a module of the server was not found."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        package, _, module = name.partition(".")
        if package == __name__ and module in _SERVER_ONLY:
            raise ModuleNotFoundError(
                f"{name} is not in swarmkeeper-sdk, which holds what bots and clients need."
                f" Install swarmkeeper {__version__} as well: it holds the server, the command line and the simulator.",
                name=name,
            )


if PathFinder.find_spec(f"{__name__}.app", __path__) is None:  # swarmkeeper-sdk alone
    # So that `import *` and help() work. Type checkers, which follow changes of `__all__`, must not see this one.
    globals()["__all__"].remove("Orchestrator")
    sys.meta_path.append(_ServerOnlyModules)


def __getattr__(name: str) -> object:
    """Load a public name from its module (PEP 562)."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value  # found directly from now on
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
