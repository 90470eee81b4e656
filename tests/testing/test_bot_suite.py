"""The conformance kit: correct bots pass, and each check finds a bot that breaks its rule."""

import asyncio
import sys
from pathlib import Path

import pytest

from swarmkeeper.testing import BotSuite, try_bot
from swarmkeeper.testing.bot_suite import CHECKS, CheckOutcome, ConformanceCheck
from tests.support.async_forks import fork_programs

HERE = Path(__file__).parent
PLAIN = [sys.executable, str(HERE / "plain_bot.py")]
BOTS = HERE / "bots.py"
AT_A_TIME = 8  # bots with their orchestrators; each works for a third of a second and waits for four
HASTY = {"is_patient", "idles"}  # detected by the speed of calls, so they run alone


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let bots be forks. Those of `TestBotOfTheSdk` are started as a user's are."""
    fork_programs(monkeypatch)


class TestBotOfTheSdk(BotSuite):
    target = f"{BOTS}:WordCount"
    work = {"title": "count", "subtasks": [{"description": "", "input": {"text": "a b"}, "required_skills": ["count"]}]}


class TestBotOfTheStandardLibrary(BotSuite):
    target = PLAIN


@pytest.mark.usefixtures("forks")
async def test_planners_and_evaluators_are_checked_too() -> None:
    only = ["reports", "repeats_a_report", "drops_lost_work", "forgives_new_fields"]

    tried = await asyncio.gather(*(try_bot(f"{BOTS}:{name}", only=only) for name in ("OneStep", "Lenient")))

    passed = {"registers": "passed", **dict.fromkeys(only, "passed")}
    assert [results(outcomes) for outcomes in tried] == [passed, passed], tried


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("forks")
async def test_each_bot_that_breaks_a_rule_is_found() -> None:
    """Each check tests a bot that breaks its rule. That is mostly waiting, so several run at once."""
    room = asyncio.Semaphore(AT_A_TIME)

    async def tried(check: ConformanceCheck) -> list[CheckOutcome]:
        # Only SDK bots can report that their event loop was blocked.
        broken = f"{BOTS}:Blocking" if check.name == "keeps_its_loop_free" else ["env", f"FAULT={check.name}", *PLAIN]
        async with room:
            return await try_bot(broken, only=[check.name], patience=4, stop_seconds=2)

    hasty = [await tried(check) for check in CHECKS if check.name in HASTY]
    outcomes = hasty + await asyncio.gather(*(tried(check) for check in CHECKS if check.name not in HASTY))

    found = {name: result for of_bot in outcomes for name, result in results(of_bot).items() if result != "passed"}
    assert found == {check.name: "failed" for check in CHECKS}, outcomes


@pytest.mark.usefixtures("forks")
async def test_a_blocking_bot_is_reported_with_the_line_and_a_fix() -> None:
    outcomes = await try_bot(f"{BOTS}:Blocking", only=["keeps_its_loop_free"], patience=10)

    [found] = [outcome for outcome in outcomes if outcome.check.name == "keeps_its_loop_free"]
    assert not found.broken  # its leases live, so this is only advice
    assert "bots.py:" in found.detail
    assert "in execute" in found.detail
    assert "await asyncio.to_thread(...)" in found.detail


async def test_a_bot_that_cannot_be_started_is_reported(tmp_path: Path) -> None:
    [outcome] = await try_bot(str(tmp_path / "nothing.py"))

    assert outcome.broken
    assert "there is no such file" in outcome.detail


def results(outcomes: list[CheckOutcome]) -> dict[str, str]:
    return {outcome.check.name: outcome.result for outcome in outcomes}


def test_the_guide_lists_all_checks_as_they_are() -> None:
    guide = (HERE.parents[1] / "docs" / "guides" / "test-your-bot.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in guide.splitlines() if line.startswith("| `")
    ]

    assert [(name.strip("`"), says.replace("`", ""), level) for name, says, level in rows] == [
        (check.name, check.says, check.level) for check in CHECKS
    ]
