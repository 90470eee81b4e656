"""Each attempt ends exactly once, however the author's code ends, and the bot goes on."""

import asyncio
import json
import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper import Context, Done, ExecutorBot, Later, SubTask, executor
from swarmkeeper.sdk.runner import BotRunner, run, serve
from swarmkeeper.testing.test_server import running_test_server
from tests.sdk.bot_thread import at_work, calls
from tests.sdk.script import (
    BOT,
    HEARTBEAT,
    RESULTS,
    Answer,
    Call,
    Script,
    Stubborn,
    accepted,
    directives,
    granted,
    lease,
    orchestrator,
    parked,
    served,
    served_until,
    setting,
    virtually,
)


class Panic(BaseException):
    """As PyO3 raises for a panic in Rust."""


def raising(error: BaseException) -> Callable[[], Any]:
    def way() -> Any:
        raise error

    return way


def nothing_found() -> Any:
    pages: list[str] = []
    return next(page for page in pages if page)


def usage() -> Any:
    import argparse

    parser = argparse.ArgumentParser(prog="tool")
    parser.add_argument("--n", required=True)
    return parser.parse_args([])


# Name → code that raises, and the part of the report that describes the exception.
EXCEPTIONS: dict[str, tuple[Callable[[], Any], str]] = {
    "an exception": (raising(ValueError("no such page")), "ValueError: no such page"),
    "a panic": (raising(Panic("index out of range")), "Panic: index out of range"),
    "a failed assertion of pytest": (lambda: pytest.fail("not today"), "not today"),
    "a group": (
        raising(BaseExceptionGroup("several", [ValueError("one"), Panic("other")])),
        "ValueError: one; tests.sdk.test_attempt_failures.Panic: other",
    ),
    "an end of the program": (raising(SystemExit("no input given")), "SystemExit: no input given"),
    "argparse": (usage, "SystemExit: 2"),
    "an end of a generator": (raising(GeneratorExit()), "GeneratorExit"),
    "a cancellation of its own": (raising(asyncio.CancelledError("by itself")), "CancelledError: by itself"),
    "an error of memory": (raising(MemoryError()), "MemoryError"),
}
EXCEPTIONS_IN_A_THREAD = EXCEPTIONS | {
    "an empty iterator": (nothing_found, "StopIteration"),
    "an interrupt": (raising(KeyboardInterrupt()), "KeyboardInterrupt"),
}


def bad_then_good() -> tuple[Script, asyncio.Event]:
    """Return an orchestrator that grants a second lease with the first report, and the event of the second report."""
    script, second = orchestrator(lease(1)), asyncio.Event()

    script.instead("POST", RESULTS, accepted(lease(2)), setting(second, lambda _: accepted()))
    return script, second


def first_bad(script: Script) -> str:
    """Check that the first attempt failed and the second succeeded; return the first one's message."""
    bad, good = (call.body for call in script.to("POST", RESULTS))
    assert (bad["lease_id"], bad["status"]) == ("lse_1", "failed")
    assert (good["lease_id"], good["output"]) == ("lse_2", {"good": True})
    assert script.to("POST", "/leases/.*:release") == []
    message: str = bad["error"]["message"]
    return message


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_a_coroutine_that_raises_fails_its_attempt_and_the_bot_goes_on(name: str) -> None:
    way, description = EXCEPTIONS[name]
    script, second = bad_then_good()

    @executor
    async def bot(subtask: SubTask) -> Done:
        if subtask.key == "s1":
            await asyncio.sleep(0)
            way()
        return Done({"good": True})

    virtually(serve([bot], script.client(), stop=second))

    assert description in first_bad(script)


@pytest.mark.parametrize("name", EXCEPTIONS_IN_A_THREAD)
def test_a_plain_function_that_raises_fails_its_attempt_and_the_bot_goes_on(name: str) -> None:
    way, description = EXCEPTIONS_IN_A_THREAD[name]
    script, second = bad_then_good()

    @executor
    def bot(subtask: SubTask) -> Done:
        if subtask.key == "s1":
            way()
        return Done({"good": True})

    served_until(second, script, bot)

    assert description in first_bad(script)


async def test_with_two_loops_each_exception_is_one_failure() -> None:
    """The same with each side in its own thread."""
    ways = list(EXCEPTIONS_IN_A_THREAD.values())

    @executor
    def plain(subtask: SubTask) -> Done:
        ways[subtask.input["n"]][0]()
        raise AssertionError("it went on")

    @executor(skills={"loop"}, dedicated=True)
    async def coroutine(subtask: SubTask) -> Done:
        list(EXCEPTIONS.values())[subtask.input["n"]][0]()
        raise AssertionError("it went on")

    each = [{"key": f"t{n}", "description": "x", "input": {"n": n}, "max_attempts": 1} for n in range(len(ways))]
    each += [
        {"key": f"l{n}", "description": "x", "input": {"n": n}, "max_attempts": 1, "required_skills": ["loop"]}
        for n in range(len(EXCEPTIONS))
    ]
    async with running_test_server() as stand, at_work(stand, plain, coroutine):
        for subtask in each:
            await stand.client.submit("one", evaluation="none", subtasks=[subtask])
        await calls(stand, "report", len(each))

    reports = stand.of("report")
    assert len({call.body["lease_id"] for call in reports}) == len(reports) == len(each)
    assert {call.body["status"] for call in reports} == {"failed"}


async def exits() -> None:
    raise SystemExit("in a task of its own")


async def in_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(exits())


async def cancels_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(3600)


async def stops_the_loop() -> None:
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.01)
    raise ValueError("it went on")


@pytest.mark.parametrize(
    ("way", "description"),
    [
        (in_a_group, "SystemExit: in a task of its own"),
        (cancels_itself, "CancelledError"),
        (stops_the_loop, "ValueError: it went on"),
    ],
)
def test_a_bot_that_is_run_survives_what_its_code_does_to_the_loop(way: Callable[[], Any], description: str) -> None:
    script, _ = bad_then_good()

    def last(call: Call) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return accepted()

    script.instead("POST", RESULTS, accepted(lease(2)), last)

    @executor
    async def bot(subtask: SubTask) -> Done:
        if subtask.key == "s1":
            await way()
        return Done({"good": True})

    run(bot, client=script.client())

    assert description in first_bad(script)


def test_a_coroutine_returned_after_its_lease_was_lost_is_not_started() -> None:
    script, begun, polled_again = orchestrator(lease(1), heartbeats=directives("lost")), [], asyncio.Event()

    script.instead("POST", "/leases", granted(lease(1)), setting(polled_again, parked))

    class Late(ExecutorBot):
        def execute(self, subtask: SubTask, context: Context) -> Any:
            while not context.cancelled:
                threading.Event().wait(0.01)
            return self.goes_on()

        async def goes_on(self) -> Done:
            begun.append(True)
            return Done()

    served_until(polled_again, script, Late())

    assert begun == []
    assert script.to("POST", RESULTS) == []


def test_an_interrupt_on_the_loop_gives_the_work_back_and_ends_the_bots() -> None:
    script = orchestrator(lease(1))
    script.on("POST", "/leases/lse_1:release", {"work_id": "sub_1"})

    @executor
    async def bot(subtask: SubTask) -> Done:
        raise KeyboardInterrupt  # the interpreter raises it in the code that the main thread runs

    with pytest.raises(KeyboardInterrupt):
        virtually(serve([bot], script.client()))

    assert len(script.to("POST", "/leases/lse_1:release")) == 1
    assert script.to("POST", RESULTS) == []


def test_work_is_given_back_when_the_application_cancels_all_tasks() -> None:
    script = orchestrator(lease(1))
    script.on("POST", "/leases/lse_1:release", {"work_id": "sub_1"})

    @executor
    async def bot(subtask: SubTask) -> Done:
        for task in asyncio.all_tasks():  # as asyncio.run does at its end
            task.cancel()
        await asyncio.sleep(3600)
        return Done()

    async def story() -> None:
        await asyncio.gather(asyncio.create_task(serve([bot], script.client())), return_exceptions=True)

    with pytest.raises(asyncio.CancelledError):
        virtually(story())

    assert len(script.to("POST", "/leases/lse_1:release")) == 1
    assert script.to("POST", RESULTS) == []


def test_code_is_cancelled_with_its_lease_and_its_slot_is_freed() -> None:
    script = orchestrator(lease(1), heartbeats=directives("lost"))
    script.instead("POST", "/leases", granted(lease(1)), granted(lease(2)), parked)
    done = asyncio.Event()
    script.instead("POST", RESULTS, setting(done, lambda _: accepted()))

    class Endless(ExecutorBot):
        def execute(self, subtask: SubTask) -> Any:
            return self.ends() if subtask.key == "s2" else self.never()

        async def never(self) -> Done:
            await asyncio.Event().wait()
            return Done()

        async def ends(self) -> Done:
            return Done({"good": True})

    served_until(done, script, Endless())

    assert [call.body["lease_id"] for call in script.to("POST", RESULTS)] == ["lse_2"]


@pytest.mark.parametrize("plain", [True, False])
def test_a_generator_is_refused_before_it_gets_any_work(plain: bool) -> None:
    class Yields(ExecutorBot):
        if plain:

            def execute(self, subtask: SubTask) -> Any:
                yield Done()
        else:

            async def execute(self, subtask: SubTask) -> Any:
                yield Done()

    with pytest.raises(TypeError, match=r"Yields.execute is a generator: it must return one answer"):
        Yields().code()


def test_a_hook_that_raises_system_exit_does_not_end_the_bot() -> None:
    class Leaving(ExecutorBot):
        async def execute(self, subtask: SubTask) -> Done:
            return Done()

        def on_event(self, kind: str, fields: Any) -> None:
            raise SystemExit("enough")

        def before_submit(self, result: Any) -> Any:
            raise SystemExit("enough")

    script = orchestrator(lease(1))

    served(script, Leaving())

    [report] = script.to("POST", RESULTS)
    assert report.body["error"]["class"] == "not_retryable"
    assert "SystemExit" in report.body["error"]["message"]


# ---- how a failure is described --------------------------------------------------------------------------------------


def test_a_failure_names_the_line_in_the_authors_code_and_not_in_the_library(caplog: pytest.LogCaptureFixture) -> None:
    @executor
    async def bot(subtask: SubTask) -> Done:
        return Done(json.loads("{"))

    line = bot.execute.__code__.co_firstlineno + 2
    script = orchestrator(lease(1))

    with caplog.at_level(logging.WARNING, "swarmkeeper.bot"):
        served(script, bot)

    [report] = script.to("POST", RESULTS)
    message = report.body["error"]["message"]
    assert message.startswith("json.decoder.JSONDecodeError: Expecting property name")
    assert message.endswith(f"(at test_attempt_failures.py:{line} in bot)")
    [record] = [record for record in caplog.records if record.exc_info]
    assert record.levelno == logging.WARNING
    assert message in record.getMessage()
    assert "decoder.py" in caplog.text  # the traceback is whole


def test_files_beside_the_bot_count_as_the_authors_code() -> None:
    from swarmkeeper.sdk.attempts.failures import OwnCode
    from tests.sdk import script as helper

    own = OwnCode(test_files_beside_the_bot_count_as_the_authors_code)

    assert own.owns(helper.__file__)
    assert not own.owns(json.__file__)
    assert not own.owns(pytest.__file__)
    assert not own.owns("<frozen importlib._bootstrap>")


# ---- leases and heartbeats -------------------------------------------------------------------------------------------


def test_a_lease_that_no_code_works_on_is_given_back_with_the_next_heartbeat(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(BotRunner, "_start", lambda self, lease: None)  # as a bug in the runner would
    script = orchestrator(lease(1))
    script.on("POST", "/leases/lse_1:release", {"work_id": "sub_1"})

    @executor
    async def bot(subtask: SubTask) -> Done:
        return Done()

    served(script, bot, seconds=15)

    assert len(script.to("POST", "/leases/lse_1:release")) == 1
    assert "gave back sub_1: a lease was held, but no code ran" in caplog.text


def test_an_unreadable_answer_does_not_stop_the_heartbeats() -> None:
    def nonsense_first(call: Call) -> Any:
        return {"leases": "some"} if len(script.to("POST", HEARTBEAT)) == 1 else directives()(call)

    @executor
    async def bot(subtask: SubTask) -> Done:
        await asyncio.sleep(25)
        return Done()

    script = orchestrator(lease(1), heartbeats=nonsense_first)

    served(script, bot, seconds=30)

    assert len(script.to("POST", HEARTBEAT)) >= 3
    assert len(script.to("POST", RESULTS)) == 1


def test_lost_is_logged_once_while_the_code_goes_on_for_many_heartbeats() -> None:
    heard: list[str] = []

    class Listening(Stubborn):
        capacity = 2

        def on_event(self, kind: str, fields: Any) -> None:
            heard.append(kind)

    script = orchestrator(lease(1), lease(2), heartbeats=directives(lse_1="lost"))

    served(script, Listening(95), seconds=100)

    beats = [[each["lease_id"] for each in call.body["leases"]] for call in script.to("POST", HEARTBEAT)]
    assert heard.count("lost") == 1
    assert beats[0] == ["lse_1", "lse_2"]
    assert len(beats) > 5
    assert all(beat == ["lse_2"] for beat in beats[1:] if beat)  # the last says that nothing is stuck any more


# ---- the rule for all endings ----------------------------------------------------------------------------------------

ENDINGS = ("returns", "later", "strange", "swallows", *EXCEPTIONS)


class AnyEnding(ExecutorBot):
    def __init__(self, endings: list[tuple[str, int]], capacity: int) -> None:
        self.endings, self.capacity = endings, capacity

    async def execute(self, subtask: SubTask, context: Context) -> Any:
        how, seconds = self.endings[subtask.input["n"]]
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            if how != "swallows":
                raise
        match how:
            case "returns" | "swallows":
                return Done({"n": subtask.input["n"]})
            case "later":
                return Later(1)
            case "strange":
                return "something"
        return EXCEPTIONS[how][0]()


@given(
    st.lists(st.tuples(st.sampled_from(ENDINGS), st.sampled_from([0, 1, 15])), min_size=1, max_size=12),
    st.integers(1, 4),
    st.sets(st.integers(0, 11)),
)
def test_each_attempt_ends_exactly_once_and_nothing_stays_held(
    endings: list[tuple[str, int]], capacity: int, lost: set[int]
) -> None:
    """Whatever the code does, and whichever leases are lost meanwhile."""
    waiting = [lease(n, input={"n": n}) for n in range(len(endings))]
    script, quiet = Script(), asyncio.Event()
    lost_ids = {f"lse_{n}" for n in lost}
    handed: list[str] = []

    async def claim(call: Call) -> Any:
        given, waiting[: call.body["max"]] = waiting[: call.body["max"]], []
        handed.extend(each["lease_id"] for each in given)
        return granted(*given) if given else await parked(call)

    script.on("POST", "/bots/register", Answer(BOT, 201))
    script.on("POST", "/leases", claim)
    script.on("POST", HEARTBEAT, directives(**dict.fromkeys(lost_ids, "lost")))
    script.on("POST", RESULTS, accepted())
    script.on("POST", "/results", lambda call: {"results": [accepted() for _ in call.body["results"]], "leases": []})
    script.on("POST", "/leases/.*:release", {"work_id": "sub"})

    async def story() -> None:
        asyncio.get_running_loop().call_later(400, quiet.set)
        bot = AnyEnding(endings, capacity)
        await serve([bot], script.client(), stop=quiet)
        session = bot._session
        assert session is not None
        assert session.held == {}
        assert session.lingering == {}

    virtually(story())

    ends = [call.body["lease_id"] for call in script.to("POST", RESULTS)]
    ends += [each["lease_id"] for call in script.to("POST", "/results") for each in call.body["results"]]
    ends += [call.path.split("/")[2].split(":")[0] for call in script.to("POST", "/leases/.*:release")]
    assert len(ends) == len(set(ends))
    assert len(handed) == len(endings)
    assert set(handed) - lost_ids <= set(ends) <= set(handed)
