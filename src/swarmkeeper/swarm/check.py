"""Looks at what a swarm file names: keys, prices, files, functions and programs. It runs nothing and calls nobody."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from swarmkeeper.ai.keys import LOCAL, missing_key, missing_local
from swarmkeeper.swarm import prices as price_tables
from swarmkeeper.swarm.bots import schema_in
from swarmkeeper.swarm.entries import (
    EvaluatorEntry,
    ExecutorEntry,
    PlannerEntry,
    address_parts,
    mcp_parts,
    python_parts,
)
from swarmkeeper.swarm.file import BadSwarmFile, LocatedSwarm, SwarmPath, SwarmProblem, locate
from swarmkeeper.swarm.prices import BadPrices, PriceTable


def check(path: str | Path, environ: Mapping[str, str] = os.environ) -> list[SwarmProblem]:
    """Return every problem of a swarm file, by line. Without an error among them, `build` can make its bots.

    Args:
        environ: where the keys of providers are looked for.
    """
    try:
        located = locate(path)
    except BadSwarmFile as error:
        return list(error.problems)
    problems = [
        *_in_models(located, environ),
        *_in_tools(located, environ),
        *_in_bots(located, environ),
        *_missing_bots(located),
    ]
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, problem.at))


# ---- models --------------------------------------------------------------------------------------------------------


def _in_models(located: LocatedSwarm, environ: Mapping[str, str]) -> Iterator[SwarmProblem]:
    swarm = located.swarm
    if swarm.models and importlib.util.find_spec("pydantic_ai") is None:
        yield located.problem(("models",), "bots with a model need a package: pip install 'swarmkeeper[ai]'")
    try:
        table = price_tables.beside(swarm.folder)
    except BadPrices as error:
        yield SwarmProblem(1, "", str(error))
        table = price_tables.shipped()
    used = {entry.model for entry in swarm.bots}
    for name, model in swarm.models.items():
        at: SwarmPath = ("models", name)
        if name not in used:
            yield located.problem(at, "no bot uses this model", "warning")
            continue
        if model.key_env is not None and not environ.get(model.key_env):
            yield located.problem((*at, "key_env"), f"the environment variable {model.key_env} is not set")
        for index, written in enumerate(model.use):
            yield from _of_model(located, (*at, "use", index), written, environ, table)


def _of_model(
    located: LocatedSwarm, at: SwarmPath, written: str, environ: Mapping[str, str], table: PriceTable
) -> Iterator[SwarmProblem]:
    if written == LOCAL:
        if (command := missing_local()) is not None:
            yield located.problem(at, f"the local model is not installed: {command}")
        return
    if (python := python_parts(written)) is not None:
        yield from _of_python(located, at, *python)
    elif address_parts(written) is None:
        if not _is_provider(written.partition(":")[0]):
            yield located.problem(at, f"there is no provider {written.partition(':')[0]}")
            return
        if (needed := missing_key(written, environ)) is not None:
            yield located.problem(at, f"the environment variable {needed} is not set")
    if table.price(written) is None:
        what = f"its price is unknown: it is unpriced, and no limit on cost sees it; write it into {_prices_file()}"
        yield located.problem(at, what, "warning")


def _is_provider(name: str) -> bool:
    if importlib.util.find_spec("pydantic_ai") is None:
        return True
    from pydantic_ai.providers import infer_provider_class

    try:
        infer_provider_class(name)
    except ValueError:
        return False
    except ImportError:
        return True  # its package is missing: the message of building says so
    return True


def _prices_file() -> str:
    return price_tables.OVERRIDES


# ---- tools and bots ------------------------------------------------------------------------------------------------


def _in_tools(located: LocatedSwarm, environ: Mapping[str, str]) -> Iterator[SwarmProblem]:
    used = {
        parts[0]
        for entry in located.swarm.bots
        if isinstance(entry, ExecutorEntry)
        for tool in entry.tools
        if (parts := mcp_parts(tool)) is not None
    }
    for name, tool in located.swarm.tools.items():
        at: SwarmPath = ("tools", name)
        if name not in used:
            yield located.problem(at, "no bot uses this tool", "warning")
            continue
        mcp = tool.mcp
        if mcp.command is not None:
            yield from _of_program(located, (*at, "mcp", "command"), mcp.command[0], located.swarm.folder, environ)
        for index, variable in enumerate(mcp.env):
            if not environ.get(variable):
                yield located.problem((*at, "mcp", "env", index), f"the environment variable {variable} is not set")
        if mcp.token_env is not None and not environ.get(mcp.token_env):
            yield located.problem((*at, "mcp", "token_env"), f"the environment variable {mcp.token_env} is not set")


def _in_bots(located: LocatedSwarm, environ: Mapping[str, str]) -> Iterator[SwarmProblem]:
    folder = located.swarm.folder
    for number, entry in enumerate(located.swarm.bots):
        if not isinstance(entry, ExecutorEntry):
            continue
        at: SwarmPath = ("bots", number)
        model = located.swarm.models.get(entry.model or "")
        if entry.tools and model is not None and LOCAL in model.use:
            yield located.problem((*at, "tools"), f"the model `{LOCAL}` calls no tools")
        for index, tool in enumerate(entry.tools):
            if (python := python_parts(tool)) is not None:
                yield from _of_python(located, (*at, "tools", index), *python)
        if entry.agent is not None and (python := python_parts(entry.agent)) is not None:
            yield from _of_python(located, (*at, "agent"), *python)
        if entry.folder is not None and not (folder / entry.folder).is_dir():
            yield located.problem((*at, "folder"), "there is no such folder")
        if entry.worktree and not (folder / (entry.folder or ".") / ".git").exists():
            yield located.problem((*at, "worktree"), "there is no git repository to make a worktree of")
        if entry.output is not None:
            yield from _of_schema(located, (*at, "output"), entry.output)
        if entry.command is not None:
            yield from _of_program(located, (*at, "command"), entry.command[0], folder, environ)
            for index, variable in enumerate(entry.env):
                if not environ.get(variable):
                    what = f"the environment variable {variable} is not set"
                    yield located.problem((*at, "env", index), what, "warning")


def _missing_bots(located: LocatedSwarm) -> Iterator[SwarmProblem]:
    swarm = located.swarm
    if not any(isinstance(entry, PlannerEntry) for entry in swarm.bots):
        yield located.problem(("bots",), "there is no planner: a task must come with its subtasks", "warning")
    if not any(isinstance(entry, ExecutorEntry) for entry in swarm.bots):
        yield located.problem(("bots",), "there is no executor: nobody does the work", "warning")
    judged = swarm.swarm.evaluation != "none"
    if judged and not any(isinstance(entry, EvaluatorEntry) for entry in swarm.bots):
        what = 'there is no evaluator: set swarm.evaluation = "none", or results wait for one'
        yield located.problem(("bots",), what, "warning")


# ---- what a name stands for ----------------------------------------------------------------------------------------


def _of_python(located: LocatedSwarm, at: SwarmPath, written: str, name: str) -> Iterator[SwarmProblem]:
    """Look for a name in a file without running the file."""
    root = located.swarm.folder.resolve()
    file = (root / written).resolve()
    if not file.is_relative_to(root):
        yield located.problem(at, "the file is outside the folder of the swarm file")
        return
    if not file.is_file():
        yield located.problem(at, f"there is no file {written}")
        return
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        yield located.problem(at, f"{written}{line} is not valid Python")
        return
    if not _has(tree, name):
        yield located.problem(at, f"{written} has no {name}")


def _has(tree: ast.Module, name: str) -> bool:
    """Whether a module defines a name at its top, as far as can be seen; True if it imports everything of another."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name == name:
                return True
            continue  # names within it are its own
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == name:
            return True
        if isinstance(node, ast.ImportFrom | ast.Import):
            for alias in node.names:
                if alias.name == "*" or name == (alias.asname or alias.name.partition(".")[0]):
                    return True
        waiting += ast.iter_child_nodes(node)
    return False


def _of_schema(located: LocatedSwarm, at: SwarmPath, written: str) -> Iterator[SwarmProblem]:
    try:
        schema = schema_in(located.swarm.folder, written)
    except ValueError as error:
        yield located.problem(at, str(error).removeprefix("output: "))
        return
    if importlib.util.find_spec("pydantic_ai") is None:
        return
    from swarmkeeper.ai.executor import BadOutputSchema, json_output

    try:
        json_output(schema)
    except BadOutputSchema as error:
        yield located.problem(at, f"{written}: {error}")


def _of_program(
    located: LocatedSwarm, at: SwarmPath, program: str, folder: Path, environ: Mapping[str, str]
) -> Iterator[SwarmProblem]:
    if "/" in program:
        found = shutil.which(str(folder / program))
    else:
        found = shutil.which(program, path=environ.get("PATH"))
    if found is None:
        yield located.problem(at, "its program is not found")
