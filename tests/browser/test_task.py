"""The page of one task, in a real browser."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from swarmkeeper.core.rules.explain import WaitingReason
from tests.browser.place import BIDI, SCRIPT, RealTown, drive, furnish, real_town, subtask

DEEP = 60  # objects in each other; the report around them counts, too


@pytest.fixture(scope="module")
def town() -> Iterator[RealTown]:
    with real_town() as place:
        yield place


@pytest.fixture(scope="module")
def made(town: RealTown) -> dict[str, str]:
    return furnish(town)


def test_each_tab_has_its_key_and_address_and_opens_with_four_requests(town: RealTown, made: dict[str, str]) -> None:
    drive("opens_each_tab", town, made["big"])


def test_what_happened_is_there_newest_first_and_goes_on(town: RealTown) -> None:
    bot = town.bot("Executor", "busy", skills=["busy"])
    shards = [subtask(f"b{number}", skill="busy") for number in range(60)]
    task = town.submit([*shards, subtask("last", skill="nobody")], evaluation="none")
    for lease in bot.leases(60):
        bot.report(lease)

    drive("reads_what_happened", town, task)


def test_a_message_goes_to_bots_as_it_was_typed(town: RealTown) -> None:
    bot = town.bot("Executor", "writer", skills=["letters"])
    task = town.submit([subtask("a", skill="letters")], evaluation="none")
    lease = bot.take()

    drive("sends_a_message", town, task)

    assert [each["payload"] for each in bot.beat(lease)["messages"]] == [
        {"text": "Use the new glossary."},
        {"page": 12},
    ]


def test_a_viewer_is_told_who_may_see_more(town: RealTown) -> None:
    bot = town.bot("Executor", "seer", skills=["see"])
    task = town.submit([subtask("a", skill="see"), subtask("b", skill="nobody")], evaluation="none")
    bot.report(bot.take())

    drive("sees_what_a_viewer_may_see_of_a_task", town, task, "a", key=town.key(town.person("viewer")))


def test_a_task_is_steered_by_keyboard(town: RealTown) -> None:
    task = town.submit([subtask("a", skill="nobody")], evaluation="none", budget={"tokens": 1_000})

    drive("steers_by_keyboard", town, task)

    assert (town.task(task)["status"], town.task(task)["outcome"]) == ("ARCHIVED", "cancelled")
    assert (town.task(task)["priority"], town.task(task)["budget"]["limit"]) == (8, {"tokens": 2_000})


def test_a_graph_is_walked_by_arrow_keys_and_is_never_cut_off(town: RealTown) -> None:
    """Five columns of ten."""
    plan = [
        subtask(f"s{rank}{row}", (f"s{rank - 1}{row}",) if rank else (), skill="nobody")
        for rank in range(5)
        for row in range(10)
    ]

    drive("walks_a_graph", town, town.submit(plan, evaluation="none"))


def test_a_block_of_a_stage_opens_the_table_of_just_these(town: RealTown, made: dict[str, str]) -> None:
    drive("opens_a_block_of_a_stage", town, made["big"])


def test_a_timeline_folds_idle_time_and_is_used_by_keyboard_and_brush(town: RealTown, made: dict[str, str]) -> None:
    drive("reads_a_timeline", town, made["final"])


def test_a_thousand_lanes_scroll_without_a_freeze(town: RealTown, made: dict[str, str]) -> None:
    drive("scrolls_through_many_lanes", town, made["final"])


def test_every_verdict_of_every_round_can_be_read(town: RealTown) -> None:
    bot, judge = town.bot("Executor", "maker", skills=["make"]), town.bot("Evaluator", "critic")
    big = {"limit": 2**53}
    judged = town.submit([subtask("a", skill="make", input=big)], evaluation="final")
    each = town.submit([subtask("a", skill="make", input=big), subtask("b", skill="nobody")], evaluation="each")
    for decision in ("rework", "accept"):
        for lease in bot.leases(8):
            bot.report(lease, output={"sum": 1})
        for lease in judge.leases(8):
            whole = lease["task_id"] == judged
            if decision == "accept":
                judge.judge(lease, score=0.9, reasons=["Now it is right"])
            else:
                finding = {"severity": "major", "text": "The sum is wrong", "subtask": "a"}
                targets = [{"subtask": "a", "feedback": "Add it up again" if whole else "Shorter"}]
                judge.judge(
                    lease, "rework", score=0.4, reasons=["No source is given"], findings=[finding], targets=targets
                )

    drive("follows_the_verdicts", town, judged, each)


def nested(depth: int) -> Any:
    value: Any = "the end"
    for _ in range(depth):
        value = {"in": value}
    return value


def test_outputs_of_any_size_and_depth_are_read_without_a_freeze(town: RealTown) -> None:
    bot = town.bot("Executor", "bulky", skills=["bulk"])
    outputs = {
        "huge": {"lines": ["x" * 1_000] * 8_200},
        "wide": {f"key{number}": number for number in range(10_000)},
        "deep": nested(DEEP),
        "plain": {"a": 1},
    }
    task = town.submit([subtask(key, skill="bulk") for key in outputs], evaluation="none")
    for lease in bot.leases(8):
        bot.report(lease, output=outputs[lease["subtask"]["key"]])

    drive("reads_large_outputs", town, task, str(DEEP + 1))


def test_hostile_outputs_are_text(town: RealTown) -> None:
    bot = town.bot("Executor", "mallory2", skills=["evil2"])
    task = town.submit([subtask("a", skill="evil2")], evaluation="none")
    bot.report(bot.take(), output={"html": SCRIPT, BIDI: BIDI, "most": 2**53, "least": -(2**53), "part": 0.1})

    drive("reads_hostile_outputs", town, task)

    assert 'path="/ui/csp-reports"' not in town.swarm._metrics.text(None)[0].decode()


def test_every_reason_why_a_task_is_not_done_is_shown_with_what_helps(town: RealTown, made: dict[str, str]) -> None:
    helped = list(WaitingReason)[:9]
    waiting = [
        {
            "work_id": f"sub_{number}", "kind": "execute", "key": f"item-{number}", "status": "READY",
            "attempt": 0, "bot": None, "since": "2026-11-29T06:00:00Z", "reason": reason, "until": None,
            "detail": "people can lift the kill" if reason is WaitingReason.KILLED else f"it waits for reason {number}",
            "fix": f"swarmkeeper help-with {reason}" if reason in helped else None,
        }
        for number, reason in enumerate(WaitingReason)
    ]  # fmt: skip
    reasons = {str(reason): 350 if reason is WaitingReason.DEPENDENCY else 1 for reason in WaitingReason}
    explanation = {"summary": "", "waiting": waiting, "waiting_total": 369, "reasons": reasons, "failure": None}

    drive("sees_why_it_waits", town, made["running"], json.dumps(explanation))


def test_a_live_swarm_is_followed_and_what_is_shown_in_the_end_is_what_the_api_says(town: RealTown) -> None:
    bots = [town.bot("Executor", f"live{number}", skills=["live"]) for number in range(2)]
    judge = town.bot("Evaluator", "critic")
    plan = [subtask(f"l{number}", (f"l{number - 2}",) if number > 1 else (), skill="live") for number in range(12)]
    task = town.submit(plan, evaluation="final")
    town.client.ok(f"/tasks/{task}:pause")
    failed: list[BaseException] = []

    def work() -> None:
        try:
            while town.task(task)["holds"]:  # until the page is open: then the person at it resumes the task
                time.sleep(0.1)
            for number in range(40):
                leases = [(bot, bot.leases()) for bot in bots]
                time.sleep(0.3)
                for bot, held in leases:
                    for lease in held:
                        if number == 1:
                            bot.report(lease, error={"class": "retryable", "message": "HTTP 502"})
                        else:
                            bot.report(lease)
                for lease in judge.leases(8):
                    judge.judge(lease)
                if town.task(task)["outcome"]:
                    break
        except BaseException as error:  # the test fails with it
            failed.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        drive("follows_a_live_swarm", town, task)
    finally:
        worker.join(60)
    assert failed == []
    assert town.task(task)["outcome"] == "accepted"
