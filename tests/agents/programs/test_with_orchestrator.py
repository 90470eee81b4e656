"""command_bot with a runner and an orchestrator: results, cancellation, lost leases, and a bot that is killed."""

import asyncio
from typing import Any

from swarmkeeper import SubTask
from swarmkeeper.agents.programs import command_bot
from swarmkeeper.testing import run_swarm, running_swarm
from tests.agents.programs.conftest import Programs, Repo, Steps
from tests.agents.programs.test_formats import SESSION, claude, printed
from tests.sdk.alive import Alive


def task(**given: Any) -> dict[str, Any]:
    subtask = {"key": "it", "description": "Do it.", "required_skills": ["code"], "input": given, "max_attempts": 2}
    return {"title": "change", "evaluation": "none", "subtasks": [subtask]}


def test_a_result_with_its_branch_and_usage_reaches_the_task(programs: Programs, repo: Repo) -> None:
    bot = programs.bot([["write", "a.txt", "two\n"], *printed(claude())], worktree=True, roots=[repo.path.parent])

    [done] = run_swarm([bot], [task(repository="app")])

    assert done.result is not None
    result = done.result["it"]
    assert (done.outcome, result["text"], result["session"]) == ("accepted", "It is done.", SESSION)
    assert repo.git("rev-parse", result["branch"]) == result["commit"]
    assert done.usage is not None
    assert (done.usage.tokens, done.usage.cost_micro_usd) == (2_342, 12_346)
    assert (repo.worktrees(), programs.left()) == ([], [])


def test_many_bots_on_one_repository_each_make_their_own_branch(programs: Programs, repo: Repo) -> None:
    bot = programs.bot([["shell", "echo $$ > own.txt"]], worktree=True, roots=[repo.path.parent], capacity=4)

    done = run_swarm([bot], [task(repository="app") for _ in range(8)])

    commits = {each.result["it"]["commit"] for each in done if each.result is not None}
    assert len(commits) == 8
    assert len(repo.branches()) == 9
    assert (repo.worktrees(), programs.left()) == ([], [])


async def test_a_cancelled_task_kills_the_program_and_removes_its_checkout(
    programs: Programs, repo: Repo, alive: Alive
) -> None:
    pipe = str(alive.path)
    script: Steps = [["ignore", "SIGTERM"], ["write", "a.txt", "half"], ["fork", pipe], ["hold", pipe]]
    bot = programs.bot(script, worktree=True, roots=[repo.path.parent], lease_seconds=1)
    async with running_swarm([bot]) as client:
        begun = await client.submit(task(repository="app"))
        await asyncio.to_thread(alive.hears)

        await client.cancel(begun.id)
        await asyncio.to_thread(alive.wait_until_dead)
        await asyncio.to_thread(programs.wait_until_nothing_is_left)

    assert (repo.branches(), repo.worktrees()) == (["main"], [])


def test_the_bot_is_called_like_its_program_and_takes_only_work_for_its_skills(programs: Programs) -> None:
    script = programs.folder / "fixer.sh"
    script.write_text("#!/bin/sh\ncat\n")
    script.chmod(0o755)
    bot = command_bot([str(script)], skills={"code"}, home=programs.home)

    [done] = run_swarm([bot], [task()])

    assert done.result == {"it": {"text": "Do it."}}
    assert (bot.source_name(), bot.dedicated) == ("fixer", True)
    assert SubTask(description="x").required_skills == []
