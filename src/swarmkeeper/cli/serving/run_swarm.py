"""The swarm of `run`: from a swarm file, or the one that ships, with what is told about it beforehand."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from swarmkeeper.cli.framework.terminal import CliError, Exit, on_one_line

if TYPE_CHECKING:
    from swarmkeeper.sdk.bots import BaseBot
    from swarmkeeper.swarm.entries import SwarmFile

Value = TypeVar("Value")
_LISTED_MAX = 200  # files that are named to the planner
_EXCERPTS, _EXCERPT_LENGTH = 4, 1_000  # that a model without tools gets to read
_PROBLEMS_MAX = 20
_INSTALL_AI = "pip install 'swarmkeeper[ai]'"


@dataclass(frozen=True)
class RunSwarm:
    """Bots, and the fields of their tasks.

    Attributes:
        owners: the owner of each bot, by its name.
        budget: of the swarm file, in the API's format.
        unpriced: models whose price is unknown.
        remarks: lines for the person, before it begins.
    """

    bots: list[BaseBot]
    owners: Mapping[str, str]
    planner_skills: tuple[str, ...]
    evaluator_skills: tuple[str, ...]
    evaluation: str
    max_rounds: int | None
    budget: Mapping[str, Any]
    unpriced: tuple[str, ...]
    input: Mapping[str, Any]
    remarks: tuple[str, ...]


def made(file: str | None, model: str | None, files: Path | None, *, environ: Mapping[str, str]) -> RunSwarm:
    """Make the swarm.

    Raises:
        CliError: there is no model, or the swarm file or what it names cannot be used.
    """
    from swarmkeeper.swarm import shipped
    from swarmkeeper.swarm.file import DEFAULT_NAMES

    found = file or next((name for name in DEFAULT_NAMES if Path(name).exists()), None)
    if found is None:
        model = model or shipped.default_model(environ)
        if model is None:
            raise no_model()
        if not shipped.has_models():
            raise _not_installed()
        swarm, called = _shipped(model), "the swarm that ships"
    else:
        swarm, called = _of_file(Path(found), model, environ), found
    if files is not None:
        _check_folder(files)
    return _whole(swarm, called, files, environ)


def no_model() -> CliError:
    """Return the error for a first try without a key: all that can be set, on one screen."""
    from swarmkeeper.ai.keys import missing_local

    local = missing_local()
    weak = "--model local   a small model on this machine, without a key; it is weak, and shows how a swarm works"
    facts = [
        ("set", "ANTHROPIC_API_KEY or OPENAI_API_KEY in the environment; the key is read there and stored nowhere"),
        ("or", "--model http://localhost:11434/v1#NAME   a server of your own that speaks OpenAI's protocol"),
        ("or", "swarm.toml in this folder   your own bots; see: swarmkeeper docs ai-swarm"),
        ("or", weak),
    ]
    if local is not None:
        facts.append(("", f"install it first: {local}"))
    fix = 'swarmkeeper run "Write a haiku about bees" --model local'
    return CliError("no_model", "there is no model to work with", exit_code=Exit.USAGE, facts=facts, fix=fix)


def _not_installed() -> CliError:
    detail = "bots with a model need a package that is not installed"
    return CliError("no_package", detail, exit_code=Exit.USAGE, fix=_INSTALL_AI)


def _shipped(model: str) -> SwarmFile:
    from pydantic import ValidationError

    from swarmkeeper.swarm import shipped

    try:
        return shipped.shipped_swarm(model)
    except ValidationError as error:
        raise _bad_model(error) from None


def _bad_model(error: Any) -> CliError:
    words = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
    return CliError("model", f"--model: {words}", exit_code=Exit.USAGE)


def _of_file(path: Path, model: str | None, environ: Mapping[str, str]) -> SwarmFile:
    from pydantic import ValidationError

    from swarmkeeper.swarm import shipped
    from swarmkeeper.swarm.check import check
    from swarmkeeper.swarm.file import load

    problems = [problem for problem in check(path, environ) if problem.severity == "error"]
    if model is not None:  # it takes the place of the file's own models, whose keys may be missing
        problems = [problem for problem in problems if not problem.at.startswith("models")]
    if problems:
        facts = [("where", f"{path}:{problem.line}: {problem}") for problem in problems[:_PROBLEMS_MAX]]
        detail = "the swarm file has errors"
        raise CliError("swarm", detail, exit_code=Exit.USAGE, facts=facts, fix=f"swarmkeeper swarm check {path}")
    swarm = load(path)
    if model is None:
        return swarm
    if not shipped.has_models():
        raise _not_installed()
    try:
        return shipped.with_model(swarm, model)
    except ValidationError as error:
        raise _bad_model(error) from None


def _whole(swarm: SwarmFile, called: str, files: Path | None, environ: Mapping[str, str]) -> RunSwarm:
    from swarmkeeper.ai.keys import LOCAL
    from swarmkeeper.swarm import prices
    from swarmkeeper.swarm.bots import CannotBuild, build
    from swarmkeeper.swarm.entries import EvaluatorEntry, ExecutorEntry, PlannerEntry
    from swarmkeeper.swarm.prices import BadPrices

    planners = [entry for entry in swarm.bots if isinstance(entry, PlannerEntry)]
    evaluators = [entry for entry in swarm.bots if isinstance(entry, EvaluatorEntry)]
    executors = [entry for entry in swarm.bots if isinstance(entry, ExecutorEntry)]
    if not planners or not executors:
        detail = f"{called} has no {'executor' if planners else 'planner'}: `run` needs one"
        raise CliError("swarm", detail, exit_code=Exit.USAGE)
    if files is not None and all(entry.model is None for entry in executors):
        detail = f"--files has no effect: no executor of {called} has a model"
        raise CliError("files", detail, exit_code=Exit.USAGE, fix="give the folder to the programs themselves")
    try:
        bots = build(swarm, environ=environ, files=files)
        table = prices.beside(swarm.folder)
    except CannotBuild as error:
        raise CliError("swarm", f"{called}: {error}", exit_code=Exit.USAGE) from None
    except BadPrices as error:
        raise CliError("prices", str(error), exit_code=Exit.USAGE) from None
    used = {entry.model for entry in swarm.bots if entry.model is not None}
    models = sorted({name for entry in used for name in swarm.models[entry].use})
    unpriced = tuple(name for name in models if table.price(name) is None)
    evaluation = (swarm.swarm.evaluation or "final") if evaluators else "none"
    remarks = [f"swarm: {on_one_line(called)}, {len(bots)} bots, {', '.join(map(on_one_line, models)) or 'no model'}"]
    if LOCAL in models:
        from swarmkeeper.ai.local import WEAK

        remarks.append(f"note: {WEAK}")
    if not evaluators:
        remarks.append("note: there is no evaluator, so the result is accepted without a review")
    small = all(entry.model is not None and set(swarm.models[entry.model].use) == {LOCAL} for entry in executors)
    return RunSwarm(
        bots=bots,
        owners=swarm.owners(),
        planner_skills=tuple(planners[0].skills),
        evaluator_skills=tuple(evaluators[0].skills) if evaluators else (),
        evaluation=evaluation,
        max_rounds=0 if models == [LOCAL] else None,  # it gets no better by being told so
        budget=swarm.swarm.budget.limits(),
        unpriced=unpriced,
        input={} if files is None else _input_of(files, excerpts=small),
        remarks=tuple(remarks),
    )


def _check_folder(files: Path) -> None:
    if not files.is_dir():
        raise CliError("no_directory", "--files: no directory at this path", exit_code=Exit.USAGE)


def _input_of(files: Path, *, excerpts: bool) -> dict[str, Any]:
    """Return the names of the files, for the planner; and beginnings of texts for executors that call no tools."""
    from swarmkeeper.ai.folder_tools import NotReadable, ReadFolder

    folder = ReadFolder(files)
    listed: list[str] = []
    texts: dict[str, str] = {}
    more = 0
    for entry in folder.entries():
        if len(listed) == _LISTED_MAX:
            more += 1
            continue
        listed.append(entry.path)
        if excerpts and len(texts) < _EXCERPTS:
            try:
                raw = folder.read(entry.path, most=4 * _EXCERPT_LENGTH)
            except NotReadable:
                continue
            if b"\0" not in raw:
                texts[entry.path] = raw.decode("utf-8", "replace")[:_EXCERPT_LENGTH]
    found: dict[str, Any] = {"files": listed}
    if more:
        found["files_not_listed"] = more
    return found | ({"beginnings": texts} if excerpts else {})


async def first_of(work: Coroutine[Any, Any, Value], bots: asyncio.Future[None]) -> Value:
    """Return what `work` does, or raise the error with which the bots end before."""
    working = asyncio.ensure_future(work)
    waited: list[asyncio.Future[Any]] = [working, bots]
    try:
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            bots.result()
            raise CliError("bots_ended", "the bots have ended before the task")
        return working.result()
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
