"""Messages between bots and clients: with a scripted orchestrator for failures, and with the real one."""

import asyncio
from typing import Any

import pytest

from swarmkeeper import BotMessage, Client, Context, Done, ExecutorBot, SubTask
from swarmkeeper.sdk.context import Outbox
from tests.sdk.bot_thread import Serving
from tests.sdk.script import (
    HEARTBEAT,
    RESULTS,
    TIME,
    Answer,
    Call,
    Handler,
    Json,
    Script,
    lease,
    orchestrator,
    served,
)


def message(number: int, **fields: Json) -> dict[str, Json]:
    sent = {"id": f"msg_{number}", "from_bot": "other", "to_bot": None, "task_id": "tsk_1", "timestamp": TIME}
    return {**sent, "payload": {"n": number}, **fields}


def telling(*answers: list[Json]) -> Handler:
    """Answer each heartbeat with the next of these lists of messages; the last list repeats."""
    left = list(answers)

    def answer(call: Call) -> Json:
        messages = left.pop(0) if len(left) > 1 else left[0]
        leases = [{"lease_id": each["lease_id"], "directive": "continue"} for each in call.body["leases"]]
        return {"leases": leases, "drain": False, "messages": messages}

    return answer


class Listener(ExecutorBot):
    """Works for a minute and records its messages."""

    seconds = 60.0

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.events: list[str] = []
        self.at_the_end: list[int] = []

    async def execute(self, subtask: SubTask, context: Context) -> Done:
        await asyncio.sleep(self.seconds)
        self.at_the_end = [each.payload["n"] for each in context.messages]
        return Done({})

    async def on_message(self, message: BotMessage, context: Context) -> None:
        await asyncio.sleep(0)
        self.heard.append(message.payload["n"])

    def on_event(self, kind: str, fields: Any) -> None:
        if kind == "message":
            self.events.append(fields["message"].id)


def cursors(script: Script) -> list[str | None]:
    return [call.body["leases"][0].get("messages_after") for call in script.to("POST", HEARTBEAT)]


def test_each_message_is_received_once_and_in_order_even_if_a_reply_is_repeated() -> None:
    bot = Listener()
    one, two, three = message(1), message(2), message(3)
    script = orchestrator(lease(), heartbeats=telling([one], [one, two], [two, three], []))

    served(script, bot, seconds=100)

    assert bot.heard == bot.at_the_end == [1, 2, 3]
    assert bot.events == ["msg_1", "msg_2", "msg_3"]
    assert cursors(script)[:5] == [None, "msg_1", "msg_2", "msg_3", "msg_3"]


def test_a_message_about_another_task_is_ignored() -> None:
    bot = Listener()

    served(orchestrator(lease(), heartbeats=telling([message(1, task_id="tsk_2")])), bot, seconds=100)

    assert (bot.heard, bot.at_the_end) == ([], [])


def test_every_attempt_at_a_task_receives_all_messages() -> None:
    class Two(Listener):
        capacity = 2

    bot = Two()
    script = orchestrator(lease(1), lease(2), heartbeats=telling([message(1)], []))

    served(script, bot, seconds=30)

    assert bot.heard == [1, 1]
    assert [each["messages_after"] for each in script.to("POST", HEARTBEAT)[1].body["leases"]] == ["msg_1", "msg_1"]


def test_a_failing_or_slow_on_message_stops_neither_work_nor_heartbeats() -> None:
    class Clumsy(Listener):
        async def on_message(self, message: BotMessage, context: Context) -> None:
            if message.payload["n"] == 1:
                raise RuntimeError("no")
            await asyncio.sleep(3600)

    bot = Clumsy()
    script = orchestrator(lease(), heartbeats=telling([message(1), message(2)], []))

    served(script, bot, seconds=100)

    assert len(script.to("POST", HEARTBEAT)) == 6
    (report,) = script.to("POST", RESULTS)
    assert report.body["status"] == "succeeded"


def test_on_message_may_be_a_plain_function() -> None:
    class Plain(Listener):
        def on_message(self, message: BotMessage, context: Context) -> None:  # type: ignore[override]  # plain here
            self.heard.append(message.payload["n"])
            context.log(f"heard {message.payload['n']}")

    bot = Plain()
    script = orchestrator(lease(), heartbeats=telling([message(1)], []))

    served(script, bot, seconds=100)

    assert bot.heard == [1]
    assert script.to("POST", HEARTBEAT)[1].body["leases"][0]["progress"]["log"] == ["heard 1"]


def test_a_bare_heartbeat_still_confirms_received_messages() -> None:
    """Without the cursor, each heartbeat would bring all messages again."""

    class Telling(Listener):
        seconds = 15.0

        async def execute(self, subtask: SubTask, context: Context) -> Done:
            await asyncio.sleep(5)
            context.checkpoint({"page": 1})
            return await super().execute(subtask, context)

    refused = Answer({"title": "invalid", "status": 422, "code": "invalid", "detail": "no", "errors": []}, 422)
    script = orchestrator(lease())
    script.instead("POST", HEARTBEAT, telling([message(1)]), refused, telling([]))

    served(script, Telling(), seconds=100)

    bare = script.to("POST", HEARTBEAT)[2].body["leases"]
    assert bare == [{"lease_id": "lse_1", "messages_after": "msg_1"}]


def test_messages_are_copied_and_bounded() -> None:
    context = Context(task_id="tsk_1", work_id="sub_1", lease_id="lse_1", attempt=1)
    payload = {"pages": [1]}

    context.tell("other", payload)
    payload["pages"].append(2)

    assert [each.payload for each in Outbox(context).messages()] == [{"pages": [1]}]
    with pytest.raises(ValueError, match="at most 65536 bytes"):
        context.tell("other", {"text": "x" * 65_536})


# ---- with the orchestrator -----------------------------------------------------------------------------------------


class Speaker(ExecutorBot):
    lease_seconds = 3  # a heartbeat each second

    def __init__(self) -> None:
        self.registered = asyncio.Event()

    def on_event(self, kind: str, fields: Any) -> None:
        if kind == "registered":
            self.registered.set()


class Asker(Speaker):
    """Asks the other bot, and works until the answer arrives."""

    name = "asker"

    def __init__(self) -> None:
        super().__init__()
        self.answered = asyncio.Event()

    async def on_message(self, message: BotMessage, context: Context) -> None:
        self.answered.set()

    async def execute(self, subtask: SubTask, context: Context) -> Done:
        context.tell("answerer", {"question": "how many?"})
        await self.answered.wait()
        return Done({"answer": context.messages[0].payload["answer"], "from": context.messages[0].from_bot})


class Answerer(Speaker):
    """Answers a question while it works on another subtask of the task."""

    name = "answerer"

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def execute(self, subtask: SubTask) -> Done:
        await self.asked.wait()
        return Done({})

    async def on_message(self, message: BotMessage, context: Context) -> None:
        context.tell(message.from_bot, {"answer": 42})
        self.asked.set()


async def test_two_bots_exchange_messages(client: Client, serving: Serving) -> None:
    bots = [Asker(), Answerer()]
    async with serving(*bots):
        await asyncio.gather(*(bot.registered.wait() for bot in bots))
        subtasks = [
            {"key": "ask", "description": "", "assign_to": "asker"},
            {"key": "answer", "description": "", "assign_to": "answerer"},
        ]
        task = await client.submit("Talk", evaluation="none", subtasks=subtasks)
        ended = await client.wait(task.id, timeout=20)
        spoken = [(each.from_bot, each.to_bot) async for each in client.messages(task.id)]

    assert ended.result is not None
    assert ended.result["ask"] == {"answer": 42, "from": "answerer"}
    assert spoken == [("asker", "answerer"), ("answerer", "asker")]


async def test_a_client_sends_and_reads_messages(client: Client) -> None:
    task = await client.submit("Talk", evaluation="none", subtasks=[{"description": ""}])
    sent = [await client.tell(task.id, {"n": number}) for number in range(3)]
    once = [await client.tell(task.id, {"n": 3}, idempotency_key="k") for _ in range(2)]

    assert [each.payload["n"] async for each in client.messages(task.id)] == [0, 1, 2, 3]
    assert [each.payload["n"] async for each in client.messages(task.id, after=sent[1].id)] == [2, 3]
    assert once[0].id == once[1].id
