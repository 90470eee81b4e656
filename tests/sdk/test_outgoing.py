"""Answers on their way out: an output that cannot be sent is kept in a file, and its work is not repeated."""

import asyncio
import json
import logging
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper import (
    Accept,
    Ask,
    Candidate,
    Context,
    Done,
    ExecutorBot,
    Failed,
    Later,
    Plan,
    PlannerBot,
    Rework,
    SubTask,
    TaskDefinition,
    evaluator,
    executor,
    planner,
)
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.sdk.answers import Answer as BotAnswer
from swarmkeeper.sdk.attempts import unsent
from swarmkeeper.sdk.errors import Refused
from tests.sdk.script import (
    HEARTBEAT,
    RESULTS,
    Script,
    accepted,
    contents,
    lease,
    orchestrator,
    refusal,
    served,
    virtually,
)

HALF = "\udc80"  # of a surrogate pair, as `os.listdir` returns it for a name that is not UTF-8


def returning(value: object) -> ExecutorBot:
    @executor(skills={"text.count"})
    async def bot(subtask: SubTask) -> Any:
        return value

    return bot


def raising(error: BaseException) -> ExecutorBot:
    @executor(skills={"text.count"})
    async def bot(subtask: SubTask) -> Any:
        raise error

    return bot


# ---- outputs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("returned", "output"),
    [
        (Done({"n": float("nan"), "big": 2**70}), {"n": "NaN", "big": "1180591620717411303424"}),
        (Done({"nul": "a\0b", "half": HALF}), {"nul": "a\\u0000b", "half": "\\udc80"}),
        (Done({"raw": b"\xff", "at": datetime(2026, 1, 1, tzinfo=UTC)}), {"raw": "/w==", "at": "2026-01-01T00:00:00Z"}),
        (Done("three"), {"value": "three"}),
        (Done([1, 2]), {"value": [1, 2]}),
        ({"words": 3}, {"words": 3}),
        (["a", "b"], {"value": ["a", "b"]}),
        ("three", {"value": "three"}),
        (0, {"value": 0}),
    ],
)
def test_common_python_types_in_an_output_are_sent_as_json(returned: object, output: object) -> None:
    script = orchestrator(lease())

    served(script, returning(returned))

    assert contents(script) == [output]


def kept_in(failure: dict[str, Any], state: Path) -> Path:
    (line,) = [line for line in failure["message"].splitlines() if line.startswith("It is kept in ")]
    file = Path(line.removeprefix("It is kept in ").removesuffix(" where the bot runs."))
    assert file.parent == state
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    return file


def test_an_output_without_a_json_form_fails_for_good_and_is_kept(state: Path) -> None:
    script = orchestrator(lease())

    served(script, returning(Done({"found": ["a", object()], "words": 3})))

    [failure] = contents(script)
    assert failure["class"] == "not_retryable"
    assert "/output/found/1: is a object, which JSON has no form for [no_rule]" in failure["message"]
    kept = json.loads(kept_in(failure, state).read_text())
    assert (kept["found"][0], kept["words"]) == ("a", 3)


def test_redaction_leaves_the_path_of_a_kept_output(state: Path) -> None:
    script = orchestrator(lease(lease_id="lse_DUVSTA0V9KUQ2NO8DN8SSPOKE4PRU5NS"))

    served(script, returning(Done({"a": object()})))

    [failure] = contents(script)
    assert Redactor.default().text(failure["message"]) == failure["message"]


def test_an_output_over_eight_mebibytes_fails_for_good_and_is_kept(state: Path) -> None:
    script = orchestrator(lease())

    served(script, returning(Done({"text": "x" * (8 << 20)})))

    [failure] = contents(script)
    assert failure["class"] == "not_retryable"
    assert "/output: has 8388619 bytes; at most 8388608 bytes are taken [too_long]" in failure["message"]
    assert kept_in(failure, state).stat().st_size == 8388619


@pytest.mark.parametrize(("status", "code"), [(422, "invalid"), (413, "too_large"), (400, "malformed")])
def test_a_refused_result_fails_for_good_and_is_kept(state: Path, status: int, code: str) -> None:
    script = orchestrator(lease())
    script.instead("POST", RESULTS, refusal(status, code), accepted())

    served(script, returning(Done({"words": 3})))

    output, failure = contents(script)
    assert failure["class"] == "not_retryable"
    assert code in failure["message"]
    assert json.loads(kept_in(failure, state).read_text()) == output == {"words": 3}


def test_the_failure_says_when_the_output_could_not_be_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(content: bytes, name: str) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unsent, "keep", full)
    script = orchestrator(lease())

    served(script, returning(Done({"a": object()})))

    [failure] = contents(script)
    assert failure["class"] == "not_retryable"
    assert failure["message"].endswith("It could not be kept either (OSError).")


def test_before_submit_gets_json_and_may_return_python_values() -> None:
    seen: list[BotAnswer] = []

    class Hooked(ExecutorBot):
        skills = frozenset({"text.count"})

        async def execute(self, subtask: SubTask) -> Any:
            return {"at": datetime(2026, 1, 1, tzinfo=UTC), "raw": b"a"}

        def before_submit(self, result: BotAnswer) -> BotAnswer:
            seen.append(result)
            return Done({"days": {datetime(2026, 1, 2, tzinfo=UTC)}})

    script = orchestrator(lease())

    served(script, Hooked())

    assert seen == [Done({"at": "2026-01-01T00:00:00Z", "raw": "YQ=="})]
    assert contents(script) == [{"days": ["2026-01-02T00:00:00Z"]}]


def test_what_before_submit_changes_in_place_is_what_is_sent() -> None:
    class Hooked(ExecutorBot):
        skills = frozenset({"text.count"})

        async def execute(self, subtask: SubTask) -> Done:
            return Done({"mail": "ada@example.org"})

        def before_submit(self, result: BotAnswer) -> BotAnswer:
            assert isinstance(result, Done)
            result.output["mail"] = "…"
            return result

    class HookedPlanner(PlannerBot):
        async def plan(self, task: TaskDefinition) -> Plan:
            return Plan([{"description": "write to ada@example.org"}])

        def before_submit(self, result: BotAnswer) -> BotAnswer:
            assert isinstance(result, Plan)
            result.subtasks[0]["description"] = "write"  # type: ignore[index]  # a mapping, as `plan` made it
            return result

    executing, planning = orchestrator(lease()), orchestrator(lease(kind="plan"))

    served(executing, Hooked())
    served(planning, HookedPlanner())

    assert contents(executing) == [{"mail": "…"}]
    [call] = planning.to("POST", RESULTS)
    assert call.body["plan"] == {"subtasks": [{"key": "s1", "description": "write"}]}


def test_an_answer_that_was_corrected_in_place_is_submitted_as_it_is_now() -> None:
    script = orchestrator(lease(kind="plan"))
    script.instead("POST", RESULTS, refusal(422, "invalid"), accepted())

    class Planner(PlannerBot):
        pass

    async def story() -> None:
        bot = Planner()
        bot.connect(script.client())
        async for held in bot.leases():
            plan = Plan([{"description": "wrong"}])
            with pytest.raises(Refused):
                await bot.submit(held, plan)
            plan.subtasks[0]["description"] = "right"  # type: ignore[index]  # a mapping
            await bot.submit(held, plan)
            return

    virtually(story())

    plans = [call.body["plan"]["subtasks"][0]["description"] for call in script.to("POST", RESULTS)]
    assert plans == ["wrong", "right"]


@pytest.mark.parametrize("say", ["checkpoint", "tell"])
def test_a_checkpoint_or_message_that_cannot_be_sent_fails_the_work_for_good(state: Path, say: str) -> None:
    @executor(skills={"text.count"})
    async def bot(subtask: SubTask, context: Context) -> Done:
        if say == "tell":
            context.tell(None, {"page": object(), "n": 1})
        else:
            context.checkpoint({"page": object(), "n": 1})
        return Done()

    script = orchestrator(lease())

    served(script, bot)

    [failure] = contents(script)
    assert failure["class"] == "not_retryable"
    assert "/page: is a object" in failure["message"]
    assert json.loads(kept_in(failure, state).read_text())["n"] == 1


def test_checkpoints_and_messages_become_json_by_the_same_rules() -> None:
    @executor(skills={"text.count"})
    async def bot(subtask: SubTask, context: Context) -> Later:
        context.checkpoint({"at": datetime(2026, 1, 1, tzinfo=UTC), "n": 2**60})
        context.tell(None, {"raw": b"a", "half": HALF})
        return Later()

    script = orchestrator(lease())
    script.on("POST", "/tasks/tsk_1/messages", {"id": "msg_1", "task_id": "tsk_1", "payload": {}, "created_at": None})

    served(script, bot)

    beats = [beat for call in script.to("POST", HEARTBEAT) for beat in call.body["leases"] if "checkpoint" in beat]
    assert beats[-1]["checkpoint"] == {"at": "2026-01-01T00:00:00Z", "n": "1152921504606846976"}
    [message] = script.to("POST", "/tasks/tsk_1/messages")
    assert message.body["payload"] == {"raw": "YQ==", "half": "\\udc80"}


# ---- texts ---------------------------------------------------------------------------------------------------------


def test_a_lone_surrogate_in_an_exception_is_escaped_in_the_report() -> None:
    script = orchestrator(lease())

    served(script, raising(FileNotFoundError(f"no such file: a{HALF}\0.txt")))

    [failure] = contents(script)
    assert failure["class"] == "retryable"
    assert failure["message"].startswith("FileNotFoundError: no such file: a\\udc80\\u0000.txt (at test_outgoing.py:")


def test_a_lone_surrogate_in_an_exception_is_escaped_in_the_log(tmp_path: Path) -> None:
    script = orchestrator(lease())
    handler = logging.FileHandler(tmp_path / "bot.log", encoding="utf-8")
    logging.getLogger("swarmkeeper.bot").addHandler(handler)

    try:
        served(script, raising(FileNotFoundError(f"no such file: a{HALF}.txt")))
    finally:
        logging.getLogger("swarmkeeper.bot").removeHandler(handler)
        handler.close()

    (line,) = [line for line in (tmp_path / "bot.log").read_text().splitlines() if "attempt 1" in line]
    assert "no such file: a\\udc80.txt (at test_outgoing.py:" in line
    assert "\nFileNotFoundError: no such file: a\\udc80.txt" in (tmp_path / "bot.log").read_text()


def test_a_lone_surrogate_in_a_log_line_or_in_progress_is_escaped() -> None:
    @executor(skills={"text.count"})
    async def bot(subtask: SubTask, context: Context) -> Done:
        context.progress(0.5, f"at {HALF}")
        context.log(f"read \0{HALF}")
        context.log(404)  # type: ignore[arg-type]  # without a type checker
        await asyncio.sleep(25)
        return Done()

    script = orchestrator(lease())

    served(script, bot, seconds=30)

    first = script.to("POST", HEARTBEAT)[0].body["leases"][0]["progress"]
    assert first == {"fraction": 0.5, "message": "at \\udc80", "log": ["read \\u0000\\udc80", "404"]}
    assert len(script.to("POST", HEARTBEAT)) >= 3
    assert contents(script) == [{}]


@pytest.mark.parametrize(
    ("answer", "path", "member"),
    [
        (Later(5, f"not there: {HALF}"), "/leases/lse_1:release", "reason"),
        (Ask(f"which: {HALF}?"), "/leases/lse_1:ask", "question"),
    ],
)
def test_a_lone_surrogate_in_a_reason_or_question_is_escaped(answer: BotAnswer, path: str, member: str) -> None:
    script = orchestrator(lease())
    script.on("POST", "/leases/lse_1:ask", {"approval_id": "apr_1"})

    served(script, returning(answer))

    [call] = script.to("POST", path)
    assert "\\udc80" in call.body[member]


def test_a_lone_surrogate_in_a_verdict_is_escaped() -> None:
    @evaluator(skills={"text.count"})
    async def judge(candidate: Candidate) -> Rework:
        return Rework({"a": f"not {HALF}"}, reasons=[f"since {HALF}", "x" * 9_000], findings=[{"text": f"see {HALF}"}])

    script = orchestrator(lease(kind="review", review={"of": "task", "results": {}}))

    served(script, judge)

    [call] = script.to("POST", RESULTS)
    verdict = call.body["verdict"]
    assert verdict["targets"] == [{"subtask": "a", "feedback": "not \\udc80"}]
    assert verdict["reasons"][0] == "since \\udc80"
    assert verdict["reasons"][1].endswith("x… [cut: 9000 characters]")
    assert verdict["findings"] == [{"text": "see \\udc80"}]


# ---- plans and verdicts that break rules ---------------------------------------------------------------------------


def planning(*plans: Any) -> tuple[Any, list[list[str]]]:
    """Return a planner that makes one plan after the other, and the list of the feedback of each call."""
    heard: list[list[str]] = []
    left = list(plans)

    @planner(skills={"text.count"})
    async def plan(task: TaskDefinition, context: Context) -> Any:
        heard.append([each.text for each in context.feedback])
        return Plan(left.pop(0) if len(left) > 1 else left[0])

    return plan, heard


GOOD = [{"description": "a"}]
BAD = [{"description": "a", "depends_on": ["s2"]}]


def a_plan_to_make(*answers: Any) -> Script:
    script = orchestrator(lease(kind="plan"))
    script.instead("POST", RESULTS, *(answers or (accepted(),)))
    return script


def test_an_invalid_plan_costs_no_try_and_comes_back_as_feedback() -> None:
    plan, heard = planning(BAD, [{"description": "a", "input": {"at": object()}}], GOOD)
    script = a_plan_to_make()

    served(script, plan)

    [call] = script.to("POST", RESULTS)
    assert call.body["plan"] == {"subtasks": [{"description": "a", "key": "s1"}]}
    assert [len(texts) for texts in heard] == [0, 1, 2]
    assert "/subtasks/0/depends_on/0" in heard[1][0]
    assert "/subtasks/0/input/at: is a object, which JSON has no form for" in heard[2][1]


def test_a_plan_that_stays_invalid_fails_the_try_with_all_problems() -> None:
    plan, heard = planning([*BAD, {"description": 7}])
    script = a_plan_to_make()

    served(script, plan)

    [failure] = contents(script)
    assert len(heard) == 4
    assert failure["class"] == "retryable"
    assert "/subtasks/0/depends_on/0" in failure["message"] or "/subtasks/1/description" in failure["message"]
    assert "/subtasks/1/description" in failure["message"]


def test_an_invalid_subtask_comes_back_as_feedback() -> None:
    heard: list[int] = []

    @planner(skills={"text.count"})
    async def plan(task: TaskDefinition, context: Context) -> Plan:
        heard.append(len(context.feedback))
        return Plan([SubTask(description=None if len(heard) == 1 else "a")])  # type: ignore[arg-type]  # a model's answer

    script = a_plan_to_make()

    served(script, plan)

    assert heard == [0, 1]
    assert "plan" in script.to("POST", RESULTS)[0].body


def test_a_plan_that_the_orchestrator_refuses_comes_back_as_feedback() -> None:
    plan, heard = planning(GOOD)
    script = a_plan_to_make(refusal(422, "invalid_plan"), refusal(422, "invalid_plan"), accepted())

    served(script, plan)

    assert [len(texts) for texts in heard] == [0, 1, 2]
    assert "invalid_plan" in heard[1][0]
    assert ["plan" in call.body for call in script.to("POST", RESULTS)] == [True] * 3
    assert {call.body["lease_id"] for call in script.to("POST", RESULTS)} == {"lse_1"}


def test_a_plan_that_the_orchestrator_keeps_refusing_fails_the_try() -> None:
    plan, heard = planning(GOOD)
    script = a_plan_to_make(*[refusal(422, "invalid_plan")] * 4, accepted())

    served(script, plan)

    assert len(heard) == 4
    failure = script.to("POST", RESULTS)[-1].body["error"]
    assert failure["class"] == "retryable"


def test_an_invalid_verdict_comes_back_as_feedback() -> None:
    heard: list[list[str]] = []

    @evaluator(skills={"text.count"})
    async def judge(candidate: Candidate, context: Context) -> Accept:
        heard.append([each.text for each in context.feedback])
        return Accept(87 if len(heard) == 1 else 0.87)

    script = orchestrator(lease(kind="review", review={"of": "task", "results": {}}))
    script.instead("POST", RESULTS, refusal(422, "invalid"), accepted())

    served(script, judge)

    assert heard[1] == ["a verdict's score lies between 0 and 1"]
    assert [call.body["verdict"]["score"] for call in script.to("POST", RESULTS)] == [0.87, 0.87]
    assert len(heard) == 3


def test_an_executor_with_an_invalid_answer_is_not_called_again() -> None:
    calls: list[int] = []

    @executor(skills={"text.count"})
    async def bot(subtask: SubTask) -> Later:
        calls.append(1)
        return Later(-1)

    script = orchestrator(lease())

    served(script, bot)

    assert (len(calls), contents(script)[0]["class"]) == (1, "not_retryable")


# ---- failures ------------------------------------------------------------------------------------------------------


class RateLimitError(Exception):
    status_code = 429


def test_an_exception_with_status_429_becomes_a_rate_limited_failure() -> None:
    script = orchestrator(lease())

    served(script, raising(RateLimitError("slow down")))

    [failure] = contents(script)
    assert failure["class"] == "rate_limited"
    assert failure["message"].startswith(f"{__name__}.RateLimitError: slow down")


@pytest.mark.parametrize(("asked", "sent"), [(-3.0, 0), (float("nan"), None), (10.0**9, 604_800), (2.5, 2.5)])
def test_retry_after_is_limited_to_what_the_orchestrator_takes(asked: float, sent: float | None) -> None:
    script = orchestrator(lease())

    served(script, returning(Failed("429", "rate_limited", asked)))

    assert contents(script)[0].get("retry_after_seconds") == sent


# ---- files ---------------------------------------------------------------------------------------------------------


def test_the_oldest_kept_files_are_deleted_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(unsent, "FILES_MAX", 3)
    monkeypatch.setattr(unsent, "BYTES_MAX", 100)

    for number in range(5):
        unsent.keep(b"{}", f"lse_{number}")
    assert len(list((tmp_path / "swarmkeeper" / "unsent").iterdir())) == 3
    last = unsent.keep(b"x" * 1000, "lse_../../large")

    assert last.parent == tmp_path / "swarmkeeper" / "unsent"
    assert last.stat().st_size == 100
    assert [file.name for file in last.parent.iterdir()] == [last.name]


def test_a_link_in_place_of_the_folder_is_not_written_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "nowhere"))
    (tmp_path / "trap").mkdir()
    (tmp_path / "swarmkeeper").mkdir()
    (tmp_path / "swarmkeeper" / "unsent").symlink_to(tmp_path / "trap")

    file = unsent.keep(b"{}", "lse_1")

    assert list((tmp_path / "trap").iterdir()) == []
    assert file.is_relative_to(tmp_path / "nowhere")
