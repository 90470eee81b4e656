"""The runner, also in trouble: lost replies, lost leases, changed keys, stops."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from swarmkeeper import Ask, Context, Done, ExecutorBot, Failed, Later, SubTask, executor
from swarmkeeper.sdk.answers import Answer as BotAnswer
from swarmkeeper.sdk.errors import Forbidden, Unauthenticated
from swarmkeeper.sdk.runner import serve
from tests.sdk.script import (
    BOT,
    HEARTBEAT,
    LOST,
    RESULTS,
    Answer,
    Call,
    Script,
    accepted,
    contents,
    directives,
    granted,
    lease,
    orchestrator,
    parked,
    refusal,
    served,
    served_until,
    setting,
    virtually,
)


class Noting(ExecutorBot):
    """Records its events."""

    skills = frozenset({"text.count"})

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def on_event(self, kind: str, fields: Any) -> None:
        self.events.append((kind, fields))

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]


class Counter(Noting):
    async def execute(self, subtask: SubTask) -> Done:
        return Done({"words": len(subtask.input["text"].split())})


def test_a_bot_registers_works_and_reports() -> None:
    script = orchestrator(lease())

    served(script, Counter())

    [registered] = script.to("POST", "/bots/register")
    assert registered.body["type"] == "Executor"
    assert registered.body["skills"] == ["text.count"]
    [report] = script.to("POST", RESULTS)
    assert report.body == {
        "bot_id": "bot_1",
        "lease_id": "lse_1",
        "status": "succeeded",
        "output": {"words": 4},
        "claim": {"max": 1},
    }


def test_the_next_work_comes_with_the_answer_to_a_report() -> None:
    script = orchestrator(lease(1))
    script.instead("POST", RESULTS, accepted(lease(2)), accepted())

    served(script, Counter())

    assert [call.body["lease_id"] for call in script.to("POST", RESULTS)] == ["lse_1", "lse_2"]
    assert len(script.to("POST", "/leases")) == 2  # the first, and one after the last report claimed nothing


def test_a_report_whose_reply_was_lost_is_sent_again_unchanged() -> None:
    script = orchestrator(lease())
    script.instead("POST", RESULTS, LOST, LOST, {**accepted(), "replayed": True})

    served(script, Counter(), seconds=30)

    first, second, third = script.to("POST", RESULTS)
    assert first.body == second.body == third.body


def test_a_claim_whose_reply_was_lost_is_repeated_with_the_same_claim_id() -> None:
    script = Script()
    script.on("POST", "/bots/register", Answer(BOT, 201))
    script.on("POST", "/leases", LOST, granted(lease()), parked)
    script.on("POST", HEARTBEAT, directives())
    script.on("POST", RESULTS, accepted())

    served(script, Counter(), seconds=5)

    first, second, third = script.to("POST", "/leases")
    assert first.body["claim_id"] == second.body["claim_id"] != third.body["claim_id"]
    assert contents(script) == [{"words": 4}]


class Slow(Noting):
    """Works for `seconds` and records how it ended."""

    seconds = 45.0

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[str] = []

    async def execute(self, subtask: SubTask, context: Context) -> Done:
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.ended.append("cancelled" if context.cancelled else "stopped")
            raise
        self.ended.append("done")
        return Done({})


def test_heartbeats_start_at_once_and_follow_the_leases_interval() -> None:
    script = orchestrator(lease())

    served(script, Slow(), seconds=60)

    beats = [call.at for call in script.to("POST", HEARTBEAT)]
    began = script.to("POST", "/leases")[0].at
    assert [round(at - began) for at in beats] == [0, 10, 20, 30, 40]


def test_work_done_at_once_needs_no_heartbeat() -> None:
    script = orchestrator(lease())

    served(script, Counter())

    assert script.to("POST", HEARTBEAT) == []


@pytest.mark.parametrize("directive", ["lost", "cancel"])
def test_code_whose_lease_is_gone_is_cancelled_and_reports_nothing(directive: str) -> None:
    script = orchestrator(lease(), heartbeats=directives(directive))
    bot = Slow()

    served(script, bot)

    assert bot.ended == ["cancelled"]
    assert script.to("POST", RESULTS) == []
    assert {"lost": "lost", "cancel": "cancelled"}[directive] in bot.kinds()
    assert len(script.to("POST", "/leases")) == 2  # the slot is free again


def test_code_that_swallows_its_cancellation_reports_nothing() -> None:
    class Stubborn(Noting):
        async def execute(self, subtask: SubTask) -> Done:
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                return Done({"stubborn": True})
            return Done({})

    script = orchestrator(lease(), heartbeats=directives("lost"))

    served(script, Stubborn())

    assert script.to("POST", RESULTS) == []


def test_a_late_report_is_dropped_and_the_bot_goes_on() -> None:
    script = orchestrator(lease(), results=refusal(409, "lease_lost"))
    bot = Counter()

    served(script, bot)

    assert len(script.to("POST", RESULTS)) == 1
    [lost] = [fields for kind, fields in bot.events if kind == "lost"]
    assert lost == {"lease_id": "lse_1", "task_id": "tsk_1", "code": "lease_lost", "detail": "it is lease_lost"}
    assert len(script.to("POST", "/leases")) == 2


def test_a_lost_directive_is_ignored_while_the_report_is_in_flight() -> None:
    """The lease is gone because the report was accepted; only its reply was lost."""
    script = orchestrator(lease(), heartbeats=directives("lost"))
    script.instead("POST", RESULTS, *[LOST] * 12, {**accepted(), "replayed": True})
    bot = Counter()

    served(script, bot, seconds=120)

    assert len(script.to("POST", HEARTBEAT)) >= 1
    assert "submitted" in bot.kinds()
    assert "lost" not in bot.kinds()


def test_an_exception_is_a_retryable_failure_with_its_type_message_and_place() -> None:
    class Broken(Noting):
        async def execute(self, subtask: SubTask) -> Done:
            raise RuntimeError("the kettle is cold")

    script = orchestrator(lease())

    served(script, Broken())

    [failure] = contents(script)
    assert failure["class"] == "retryable"
    assert failure["message"].startswith("RuntimeError: the kettle is cold (at test_runner.py:")
    assert failure["message"].endswith(" in execute)")


def test_a_missing_answer_fails_the_work_for_good() -> None:
    class Wrong(Noting):
        async def execute(self, subtask: SubTask) -> Any:
            return None

    script = orchestrator(lease())

    served(script, Wrong())

    [failure] = contents(script)
    assert failure == {
        "class": "not_retryable",
        "message": "the bot's code returned NoneType, not one of Done, Failed, Later, Ask",
    }


class Hooked(Noting):
    async def execute(self, subtask: SubTask) -> Done:
        return Done({"mail": "ada@example.org"})

    def before_submit(self, result: BotAnswer) -> BotAnswer:
        assert isinstance(result, Done)
        return Done({"mail": "…"})


def test_before_submit_may_change_the_answer() -> None:
    script = orchestrator(lease())

    served(script, Hooked())

    assert contents(script) == [{"mail": "…"}]


def test_nothing_of_the_answer_is_sent_when_before_submit_fails() -> None:
    class Failing(Hooked):
        def before_submit(self, result: BotAnswer) -> BotAnswer:
            raise ValueError("cannot redact ada@example.org")

    script = orchestrator(lease())

    served(script, Failing())

    [failure] = contents(script)
    assert failure["message"] == "the answer could not be prepared for sending (ValueError)"


def test_a_failing_on_event_does_not_stop_the_work() -> None:
    class Failing(Counter):
        def on_event(self, kind: str, fields: Any) -> None:
            raise ValueError

    script = orchestrator(lease())

    served(script, Failing())

    assert contents(script) == [{"words": 4}]


def test_later_gives_the_work_back() -> None:
    class Early(Noting):
        async def execute(self, subtask: SubTask) -> Later:
            return Later(60, "the source is not there yet")

    script = orchestrator(lease())
    script.on("POST", "/leases/lse_1:release", {"released": True})

    served(script, Early())

    [released] = script.to("POST", "/leases/lse_1:release")
    assert released.body == {"delay_seconds": 60, "reason": "the source is not there yet"}
    assert script.to("POST", RESULTS) == []


def test_an_unfinished_attempt_sends_its_checkpoint_before_it_ends() -> None:
    class Halfway(Noting):
        async def execute(self, subtask: SubTask, context: Context) -> Later:
            context.checkpoint({"page": 12})
            return Later(60)

    script = orchestrator(lease())
    script.on("POST", "/leases/lse_1:release", {"released": True})

    served(script, Halfway())

    verbs = [call.path for call in script.calls if call.path in {HEARTBEAT, "/leases/lse_1:release"}]
    assert verbs == [HEARTBEAT, "/leases/lse_1:release"]
    [beat] = script.to("POST", HEARTBEAT)
    assert beat.body["leases"] == [{"lease_id": "lse_1", "checkpoint": {"page": 12}}]


def test_a_refused_question_fails_the_work_with_the_reason() -> None:
    class Curious(Noting):
        async def execute(self, subtask: SubTask) -> Ask:
            return Ask("may I?")

    script = orchestrator(lease())
    script.on("POST", "/leases/lse_1:ask", refusal(422, "not_supported"))

    served(script, Curious())

    [failure] = contents(script)
    assert failure["class"] == "not_retryable"
    assert "not_supported" in failure["message"]


def test_a_refused_message_fails_its_attempt() -> None:
    class Talker(Noting):
        async def execute(self, subtask: SubTask, context: Context) -> Done:
            context.tell("other", {"hello": 1})
            return Done({})

    script = orchestrator(lease())
    script.on("POST", "/tasks/tsk_1/messages", LOST, refusal(422, "not_supported"))

    served(script, Talker(), seconds=5)

    sent, again = script.to("POST", "/tasks/tsk_1/messages")
    assert sent.headers["idempotency-key"] == again.headers["idempotency-key"]
    assert sent.body == {"to_bot": "other", "payload": {"hello": 1}, "lease_id": "lse_1"}
    [failure] = contents(script)
    assert "not_supported" in failure["message"]


def test_usage_is_reported_as_a_total_with_heartbeats_and_with_the_result() -> None:
    class Costly(Noting):
        async def execute(self, subtask: SubTask, context: Context) -> Done:
            context.use(tokens=10)
            context.progress(0.5, "half")
            context.log("one")
            await asyncio.sleep(12)
            context.use(tokens=5, cost_micro_usd=7)
            return Done({})

    script = orchestrator(lease())

    served(script, Costly(), seconds=20)

    first, second = script.to("POST", HEARTBEAT)
    assert first.body["leases"] == [
        {
            "lease_id": "lse_1",
            "progress": {"fraction": 0.5, "message": "half", "log": ["one"]},
            "usage": {"tokens": 10},
        }
    ]
    assert second.body["leases"][0]["progress"] == {"fraction": 0.5, "message": "half"}  # each line is sent once
    [report] = script.to("POST", RESULTS)
    assert report.body["usage"] == {"tokens": 15, "cost_micro_usd": 7}


def test_a_refused_heartbeat_is_sent_again_with_the_bare_leases() -> None:
    class Odd(Slow):
        async def execute(self, subtask: SubTask, context: Context) -> Done:
            context.checkpoint(2**60)
            await asyncio.sleep(1)
            return Done({})

    script = orchestrator(lease())
    script.instead("POST", HEARTBEAT, refusal(422, "invalid"), directives())

    served(script, Odd(), seconds=5)

    _, bare = script.to("POST", HEARTBEAT)
    assert bare.body == {"leases": [{"lease_id": "lse_1"}]}
    assert contents(script) == [{}]


class Together(Noting):
    """Ends three attempts at the same moment."""

    capacity = 3

    async def execute(self, subtask: SubTask) -> Done:
        await asyncio.sleep(5)
        return Done({"of": subtask.key})


TAKEN = {"accepted": True, "task_status": "IN_PROGRESS"}


def test_results_that_are_ready_together_are_reported_in_one_call() -> None:
    def batch(call: Call) -> Any:
        lost = {"accepted": False, "status": 409, "retryable": False, "code": "lease_lost", "errors": []}
        return {"results": [TAKEN, lost, TAKEN], "leases": [lease(4)]}

    script = orchestrator(lease(1), lease(2), lease(3))
    script.on("POST", "/results", batch)
    bot = Together()

    served(script, bot, seconds=20)

    [together] = script.to("POST", "/results")
    assert sorted(each["lease_id"] for each in together.body["results"]) == ["lse_1", "lse_2", "lse_3"]
    assert together.body["claim"] == {"max": 3}
    assert bot.kinds().count("lost") == 1
    assert [call.body["lease_id"] for call in script.to("POST", RESULTS)] == ["lse_4"]


class Staggered(Noting):
    """Ends each attempt a certain time after it was granted."""

    capacity = 3

    def __init__(self, *seconds: float) -> None:
        super().__init__()
        self._seconds = dict(zip(("s1", "s2", "s3"), seconds, strict=True))

    async def execute(self, subtask: SubTask) -> Done:
        await asyncio.sleep(self._seconds[str(subtask.key)])
        return Done({"of": subtask.key})


def test_results_of_quick_attempts_that_began_together_are_reported_in_one_call() -> None:
    script = orchestrator(lease(1), lease(2), lease(3))
    script.on("POST", "/results", {"results": [TAKEN, TAKEN, TAKEN]})

    served(script, Staggered(0, 0.0005, 0.001))

    [together] = script.to("POST", "/results")
    assert [each["lease_id"] for each in together.body["results"]] == ["lse_1", "lse_2", "lse_3"]


def test_a_result_waits_at_most_two_milliseconds_for_others() -> None:
    script = orchestrator(lease(1), lease(2), lease(3))

    served(script, Staggered(0, 0.5, 0.6))

    (claimed,) = {call.at for call in script.to("POST", "/leases")[:1]}
    first, second, third = (call.at - claimed for call in script.to("POST", RESULTS))
    assert first <= 0.003
    assert [second, third] == pytest.approx([0.5, 0.6])  # what began long ago is not waited for


@pytest.mark.parametrize(
    ("refused", "status"),
    [
        ({"status": 503, "retryable": True, "code": "overloaded"}, "succeeded"),
        ({"status": 429, "retryable": True, "code": "a_code_of_a_later_server"}, "succeeded"),
        ({"status": 422, "retryable": False, "code": "invalid"}, "failed"),
        ({"code": "overloaded"}, "failed"),  # a server that sends no status: the attempt fails, and may be repeated
    ],
)
def test_the_status_of_a_refused_result_decides_what_the_bot_does(refused: dict[str, Any], status: str) -> None:
    script = orchestrator(lease(1), lease(2), lease(3))
    script.on("POST", "/results", lambda call: {"results": [TAKEN, {"accepted": False, **refused}, TAKEN]})

    served(script, Together(), seconds=20)

    [together] = script.to("POST", "/results")
    [again] = [call.body for call in script.to("POST", RESULTS)]
    assert (again["lease_id"], again["status"]) == (together.body["results"][1]["lease_id"], status)
    assert "status" in refused or again["error"]["class"] == "retryable"


def test_the_results_of_a_refused_batch_are_reported_one_by_one() -> None:
    class Quick(Counter):
        capacity = 3

    script = orchestrator(lease(1), lease(2), lease(3))
    script.on("POST", "/results", refusal(413, "too_large"))

    served(script, Quick(), seconds=20)

    assert [call.body["lease_id"] for call in script.to("POST", RESULTS)] == ["lse_1", "lse_2", "lse_3"]


def test_a_bot_claims_at_most_its_free_slots() -> None:
    class Two(Slow):
        capacity = 2
        seconds = 3.0

    script = orchestrator(lease(1))

    served(script, Two(), seconds=2)

    assert [call.body["max"] for call in script.to("POST", "/leases")] == [2, 1]


def test_a_stopping_bot_finishes_its_work_and_claims_no_more() -> None:
    script = orchestrator(lease())
    bot = Slow()
    bot.seconds = 20

    took = served(script, bot, seconds=5)

    assert bot.ended == ["done"]
    assert round(took) == 20
    [report] = script.to("POST", RESULTS)
    assert "claim" not in report.body


def test_work_not_done_in_time_is_given_back_with_its_checkpoint() -> None:
    class Long(Slow):
        seconds = 500

        async def execute(self, subtask: SubTask, context: Context) -> Done:
            context.checkpoint({"page": 1})
            return await super().execute(subtask, context)

    script = orchestrator(lease())
    script.on("POST", "/leases/lse_1:release", {"released": True})
    bot = Long()

    took = served(script, bot, seconds=5)

    assert bot.ended == ["stopped"]
    assert round(took) == 30
    [released] = script.to("POST", "/leases/lse_1:release")
    assert released.body == {"delay_seconds": 0, "reason": "the bot is stopping"}


def test_a_bot_waits_for_an_orchestrator_that_is_not_up_yet() -> None:
    script = Script()
    script.on("POST", "/bots/register", LOST, LOST, LOST, Answer(BOT, 201))
    script.on("POST", "/leases", granted(lease()), parked)
    script.on("POST", HEARTBEAT, directives())
    script.on("POST", RESULTS, accepted())
    bot = Counter()

    served(script, bot, seconds=60)

    assert "trouble" in bot.kinds()
    assert contents(script) == [{"words": 4}]


def test_a_bot_can_be_stopped_while_the_orchestrator_is_down() -> None:
    script = Script()
    script.on("POST", "/bots/register", LOST)

    assert served(script, Counter(), seconds=60) < 61


def test_a_bot_that_the_orchestrator_forgot_registers_again() -> None:
    script = orchestrator()
    script.instead("POST", "/leases", refusal(404, "not_found"), granted(lease()), parked)

    served(script, Counter(), seconds=5)

    assert len(script.to("POST", "/bots/register")) == 2
    assert contents(script) == [{"words": 4}]


def test_a_wrong_key_ends_the_bot() -> None:
    script = Script()
    script.on("POST", "/bots/register", refusal(401, "unauthenticated"))

    with pytest.raises(Unauthenticated):
        served(script, Counter())


def test_a_key_that_is_revoked_while_the_bot_works_ends_it() -> None:
    bot = Slow()
    bot.seconds = 3
    script = orchestrator(lease(), results=refusal(401, "unauthenticated"))

    with pytest.raises(Unauthenticated):
        served(script, bot, seconds=600)


def test_a_forbidden_call_ends_all_bots_of_serve() -> None:
    script = orchestrator(lease())
    script.instead("POST", "/leases", granted(lease()), refusal(403, "forbidden"))

    async def story() -> None:
        await serve([Slow(), Slow()], script.client())

    script.on("POST", "/leases/lse_1:release", {"released": True})
    with pytest.raises(Forbidden):
        virtually(story())


def test_a_rotated_key_is_read_again_and_nothing_is_lost(tmp_path: Any) -> None:
    file = tmp_path / "key"
    file.write_text("old\n")

    def by_key(right: Any) -> Callable[[Call], Any]:
        def answer(call: Call) -> Any:
            return right if call.headers["x-api-key"] == "new" else refusal(401, "unauthenticated")

        return answer

    script = orchestrator(lease(), results=by_key(accepted()))

    class Rotating(Noting):
        async def execute(self, subtask: SubTask) -> Done:
            file.write_text("new\n")
            return Done({})

    served(script, Rotating(), client=script.client(api_key=None, api_key_file=file))

    assert [call.headers["x-api-key"] for call in script.to("POST", RESULTS)] == ["old", "new"]


def test_a_reference_to_a_large_output_is_replaced_by_the_output() -> None:
    reference = {"$ref": "/tasks/tsk_1/subtasks/a/output", "sha256": "…", "bytes": 300_000}
    looks_like_one = {"$ref": "/keys", "sha256": "…", "bytes": 1}

    class Joining(Noting):
        async def execute(self, subtask: SubTask, context: Context) -> Done:
            return Done(context.upstream)

    script = orchestrator(lease(upstream={"a": reference, "b": {"small": 1}, "c": looks_like_one}))
    script.on("GET", "/tasks/tsk_1/subtasks/a/output", {"large": 1})

    served(script, Joining())

    assert contents(script) == [{"a": {"large": 1}, "b": {"small": 1}, "c": looks_like_one}]


def test_a_report_carries_the_trace_of_its_lease() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    script = orchestrator(lease(traceparent=trace))

    served(script, Counter())

    [report] = script.to("POST", RESULTS)
    assert report.headers["traceparent"] == trace


def test_a_context_holds_the_results_of_earlier_work() -> None:
    seen: list[Any] = []

    @executor(skills={"x"})
    async def look(subtask: SubTask, context: Context) -> Done:
        seen.extend([context.feedback[0].text, context.previous, context.resumed_from, context.answers[0].answer])
        return Done({})

    script = orchestrator(
        lease(
            feedback=[{"round": 1, "text": "shorter"}],
            previous={"attempt": 1, "ending": "succeeded", "output": {"x": 1}},
            checkpoint={"page": 3},
            answers=[{"question": "may I?", "answer": "yes"}],
        )
    )

    served(script, look)

    assert seen[0] == "shorter"
    assert seen[1].output == {"x": 1}
    assert seen[2:] == [{"page": 3}, "yes"]


def test_heartbeats_go_on_while_a_plain_function_works_in_a_thread() -> None:
    """In real time: virtual time has no threads."""
    beaten_once = threading.Event()
    names: list[str] = []

    class Plain(Noting):
        def execute(self, subtask: SubTask) -> Done:
            names.append(threading.current_thread().name)
            assert beaten_once.wait(10)
            return Done({"plain": True})

    def note(call: Call) -> Any:
        beaten_once.set()
        return directives()(call)

    reported = asyncio.Event()
    script = orchestrator(lease(), heartbeats=note, results=setting(reported, lambda _: accepted()))

    served_until(reported, script, Plain())

    assert contents(script) == [{"plain": True}]
    assert names != [threading.main_thread().name]


def test_a_thread_whose_lease_is_lost_holds_its_slot_until_it_ends() -> None:
    asked: list[bool] = []

    class Plain(Noting):
        def execute(self, subtask: SubTask, context: Context) -> Done:
            while not context.cancelled:
                threading.Event().wait(0.01)
            asked.append(True)
            return Done({})

    polled_again = asyncio.Event()
    script = orchestrator(lease(), heartbeats=directives("lost"))
    script.instead("POST", "/leases", granted(lease()), setting(polled_again, parked))

    served_until(polled_again, script, Plain())

    assert asked == [True]
    assert script.to("POST", RESULTS) == []


async def by_hand(script: Script, bot: ExecutorBot, deal: Callable[[Any], Awaitable[None]]) -> None:
    bot.connect(script.client())
    async for held in bot.leases():
        await deal(held)
        return


def test_a_bot_can_run_its_own_loop() -> None:
    script = orchestrator(lease())
    bot = Counter()

    async def deal(held: Any) -> None:
        await bot.submit(held, await bot.execute(held.work))

    virtually(by_hand(script, bot, deal))

    assert len(script.to("POST", "/bots/register")) == 1
    assert len(script.to("POST", HEARTBEAT)) == 0
    assert contents(script) == [{"words": 4}]


def test_a_bot_that_runs_its_own_loop_gets_heartbeats() -> None:
    script = orchestrator(lease())
    bot = Counter()

    async def deal(held: Any) -> None:
        await asyncio.sleep(15)
        await bot.submit(held, Failed("no"))

    virtually(by_hand(script, bot, deal))

    assert len(script.to("POST", HEARTBEAT)) == 2
