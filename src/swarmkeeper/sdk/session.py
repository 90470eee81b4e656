"""One bot's session with the orchestrator: registers, claims, sends heartbeats and messages, reports.

When to claim and how to run the author's code is decided by runner.py, or by the author. The session runs on the
orchestrator's side (sides.py); it calls the author's hooks on the author's side.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import re
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from swarmkeeper import loglines
from swarmkeeper.sdk import answers, instances
from swarmkeeper.sdk.answers import Accept, Answer, Ask, Done, Failed, Later, Plan, Reject, Rework, report
from swarmkeeper.sdk.attempts import preparing
from swarmkeeper.sdk.attempts.failures import OwnCode
from swarmkeeper.sdk.attempts.heartbeat_groups import heartbeat_groups
from swarmkeeper.sdk.attempts.secrets import asking
from swarmkeeper.sdk.attempts.sides import OneLoop, Sides
from swarmkeeper.sdk.attempts.stuck import StuckCodeReport
from swarmkeeper.sdk.attempts.user_code import Outcome, Raised, Returned, Stopped
from swarmkeeper.sdk.connection import chance as chances
from swarmkeeper.sdk.connection.calls import ApiResponse, Calls, encode, is_reference
from swarmkeeper.sdk.errors import ApiError, NotFound, Refused, error_from
from swarmkeeper.sdk.leases import HeldLease
from swarmkeeper.wire.answers import Bot, HeartbeatAnswer, Lease, LeasePage, ReportAnswer, ReportBatchAnswer
from swarmkeeper.wire.shapes import Json, read_answer

if TYPE_CHECKING:
    from swarmkeeper.sdk.profile import BotProfile

log = logging.getLogger("swarmkeeper.bot")

POLL_SECONDS = 25.0  # most proxies cut a silent connection at 60 s, some at 30
# Work done within this time is reported before its first heartbeat, which saves that call.
DONE_AT_ONCE_SECONDS = 0.05
# How long to retry sending a message or fetching a large output before the attempt fails.
SIDE_CALL_PATIENCE_SECONDS = 30.0
_LEVELS = {
    "registered": logging.INFO,
    "draining": logging.INFO,
    "trouble": logging.WARNING,
    "refused": logging.WARNING,
    "lost": logging.WARNING,
}
BATCH_MAX = 64
BATCH_BYTES_MAX = 4 * 1024 * 1024  # the orchestrator takes 16 MiB; a smaller batch is answered sooner

# Fetch nothing else: another bot made the output, and it may hold anything that looks like a reference.
_FETCHED_PATH = re.compile(r"/tasks/tsk_[0-9A-Za-z]+(/[a-z0-9][a-z0-9._-]*)+")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Calls are failing: since when, and how the first of them failed."""

    since: float  # loop time
    error: ApiError


class HookFailed(Exception):
    """A hook of the author raised an exception; the message is the name of its type."""


def _nothing() -> None:
    """Do nothing: a bot that runs its own loop checks its own leases."""


class Session:
    """One bot's session. Made by `BaseBot.connect` or by the runner."""

    def __init__(self, bot: BotProfile, calls: Calls) -> None:
        if isinstance(bot.skills, str):
            raise TypeError(f"{type(bot).__name__}.skills is a set of words, not one text")
        self.bot = bot
        self.own = OwnCode(getattr(bot, bot.method, type(bot)))
        self.author_calls = calls  # for the author's side
        self.sides: Sides = OneLoop(calls)
        self.info: Bot | None = None
        self._instance: str | None = None
        self.leave: Callable[[], object] = _nothing  # frees the instance for another bot: this one registers no more
        self._process = instances.process()  # differs between two processes that use the same instance
        self._shared = False
        self.trouble: Trouble | None = None
        self.held: dict[str, HeldLease] = {}
        self.lingering: dict[str, HeldLease] = {}  # leases lost or cancelled whose code still runs and holds its slot
        self.stuck = StuckCodeReport(lambda: self._changed.set())  # noqa: PLW0108 - the event is made anew
        self.check: Callable[[], None] = _nothing  # called before each heartbeat; set by the runner
        self._changed = asyncio.Event()  # leases came or went, or a message is to be sent
        self._freed = asyncio.Event()
        self._heartbeats: asyncio.Task[None] | None = None
        self._next_heartbeat_at = 0.0
        self._no_heartbeat_before = 0.0  # loop time; set when a heartbeat failed
        self._drained = False  # an operator drains this bot, and may enable it again

    @property
    def calls(self) -> Calls:
        return self.sides.calls

    @property
    def label(self) -> str:
        return self.info.name if self.info is not None else self.bot.name or self.bot.source_name() or self.bot.type

    def note(self, kind: str, /, **fields: Json) -> None:
        """Log an event and pass it to the author's `on_event`. If the hook fails, the work goes on."""
        level = _LEVELS.get(kind, logging.DEBUG)
        if log.isEnabledFor(level):  # else the text, made for each attempt several times, would be thrown away
            # Messages between bots may hold the content of work, which does not belong in a log.
            logged = {name: value for name, value in fields.items() if name != "message"}
            log.log(level, "%s: %s %s", self.label, kind, loglines.facts(logged))
        if self.bot.has_hook("on_event"):
            self.sides.call_author_side(lambda: self._call_on_event(kind, fields))

    def _call_on_event(self, kind: str, fields: dict[str, Json]) -> None:
        try:
            self.bot.on_event(kind, fields)
        except BaseException:  # any: uncaught on the loop, SystemExit would end the process
            log.exception("%s: on_event failed", self.label)

    async def call_hook(self, call: Callable[[], object], name: str) -> Outcome:
        """Call a hook on the author's side; if it returns an awaitable, await it."""
        running = self.sides.start_on_author_loop(call, name)
        try:
            return await asyncio.shield(running.outcome)
        except asyncio.CancelledError:
            if running.cancel is not None:
                running.cancel()
            raise

    async def _call(self, method: str, path: str, body: Json, **options: Any) -> ApiResponse:
        """Make one call and retry without limit. `trouble` is set while calls fail."""
        answer = await self.calls.call(method, path, body, patience=math.inf, trouble=self._trouble, **options)
        self.trouble = None
        return answer

    def _trouble(self, error: ApiError, attempt: int) -> None:
        if self.trouble is None:
            self.trouble = Trouble(asyncio.get_running_loop().time(), error)
        # Log attempts 1, 2, 4, 8…: an outage of a night must not fill the disk.
        if attempt & (attempt - 1) == 0:
            self.note("trouble", code=error.code, detail=error.detail, attempt=attempt)

    # ---- registering

    @property
    def bot_id(self) -> str:
        assert self.info is not None, "the bot is registered"
        return self.info.id

    async def register(self) -> Bot:
        bot = self.bot
        if self._instance is None:
            self._instance = bot.instance
            if self._instance is None:
                self._instance = instances.take(bot.type, bot.name)
                self.leave = weakref.finalize(self, instances.give_back, bot.type, bot.name, self._instance)
        body: dict[str, Json] = {
            "type": bot.type,
            "version": bot.version,
            "instance": self._instance,
            "skills": sorted(bot.skills),
            "capacity": bot.capacity,
            "dedicated": bot.dedicated,
            "labels": dict(bot.labels),
        }
        default_name = bot.source_name() if bot.name is None else None
        optional = {"name": bot.name, "default_name": default_name, "endpoint": bot.endpoint}
        body |= {name: value for name, value in optional.items() if value is not None}
        answer = await self._call(
            "POST", "/bots/register", body, headers={"idempotency-key": chances.token(self.calls.chance)}
        )
        self.info = Bot.model_validate(answer.body)
        self.note("registered", bot_id=self.info.id, name=self.info.name, url=self.calls.url)
        return self.info

    async def begin(self) -> None:
        """Register if needed, and start to send heartbeats."""
        # An event belongs to the loop on which it is first awaited; an earlier run may have used another loop.
        self._changed, self._freed = asyncio.Event(), asyncio.Event()
        if self.info is None:
            await self.register()
        self._heartbeats = asyncio.create_task(self.send_heartbeats(), name="swarmkeeper-heartbeats")
        self.sides.watch(self.heartbeat_seconds, self.own)

    def heartbeat_seconds(self) -> float | None:
        """Seconds between two heartbeats; None while none is needed."""
        leases = [*self.held.values(), *(self.lingering.values() if self.stuck else ())]
        return min((lease.heartbeat_after_seconds for lease in leases), default=None)

    async def finish(self) -> None:
        """Stop sending heartbeats."""
        if self._heartbeats is not None:
            self._heartbeats.cancel()
            await asyncio.gather(self._heartbeats, return_exceptions=True)
            self._heartbeats = None

    # ---- claiming

    def _note_other_process(self, *, polls: bool) -> None:
        """Warn when another process begins to poll as this bot and instance."""
        if polls and not self._shared:
            log.warning(
                "%s: another process polls as the same bot and instance (%r), and the two do the work of one. Give "
                "each an instance of its own (`instance = ...`, `bot run --instance`), or leave it out: then it is "
                "host and process",
                self.label,
                self._instance,
            )
        self._shared = polls

    async def claim(self, most: int, wait_seconds: float = POLL_SECONDS) -> list[HeldLease]:
        """Claim up to `most` leases and return the new ones; waits up to `wait_seconds` for the first.

        A lost reply is fetched again by its claim id.
        """
        body: dict[str, Json] = {
            "bot_id": self.bot_id,
            "max": min(most, 64),
            "wait_seconds": wait_seconds,
            "claim_id": chances.token(self.calls.chance),
        }
        if self.bot.lease_seconds is not None:
            body["lease_seconds"] = self.bot.lease_seconds
        try:
            answer = await self._call(
                "POST", "/leases", body, headers={"bot-process": self._process}, wait_seconds=wait_seconds
            )
        except NotFound:
            # The orchestrator does not know this bot: it was deleted, or the store is a new one.
            await self.register()
            return []
        page = read_answer(LeasePage, answer.body)
        self._note_other_process(polls=page.another_process)
        return self.take(page.leases)

    async def claim_when_free(self) -> list[HeldLease]:
        """Wait for a free slot and claim; return opened leases. For a bot that runs its own loop."""
        opened = []
        for lease in await self.claim(await self.free_slots()):
            try:
                await lease.open(self.fetched)
            except ApiError as error:
                await self.release(lease, Later(why=f"an output it depends on could not be read ({error.code})"))
            else:
                opened.append(lease)
        return opened

    async def free_slots(self) -> int:
        """Wait until a slot is free; return the number of free slots."""
        await self.wait_until(lambda: self._free() > 0)
        return self._free()

    def _free(self) -> int:
        return self.bot.capacity - len(self.held) - len(self.lingering)

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition()` is true; it is checked after each change of `held` and `lingering`."""
        while not condition():
            self._freed.clear()
            await self._freed.wait()

    def take(self, leases: Sequence[Lease]) -> list[HeldLease]:
        """Hold these leases; return those that are new."""
        new_leases = []
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: messages leave with the report
                loop.call_soon_threadsafe(self._changed.set)

        for granted in leases:
            if granted.lease_id in self.held or granted.lease_id in self.lingering:
                continue  # a replayed answer: this lease is held already
            lease = HeldLease(granted, wake, asking(lambda: self.calls, granted.lease_id, loop))
            due_at = loop.time() + lease.heartbeat_after_seconds
            self._next_heartbeat_at = min(self._next_heartbeat_at, due_at) if self.held else due_at
            self.held[lease.lease_id] = lease
            new_leases.append(lease)
            self.note("leased", lease_id=lease.lease_id, task_id=lease.task_id, work_id=lease.work_id, kind=lease.kind)
        if new_leases:
            self._changed.set()
            self.sides.work_arrived()
        return new_leases

    def drop(self, lease: HeldLease) -> None:
        """Forget a lease and free its slot."""
        lease.outbox.end_commands()
        self.held.pop(lease.lease_id, None)
        self.lingering.pop(lease.lease_id, None)
        if lease.reading is not None:
            lease.reading.cancel()
        self._freed.set()
        self._changed.set()

    async def fetched(self, value: Json) -> Json:
        """Return the value; if it is a reference to a large output, fetch that output.

        Raises:
            ApiError: it could not be fetched.
        """
        if not is_reference(value):
            return value
        path = value["$ref"]
        if not isinstance(path, str) or _FETCHED_PATH.fullmatch(path) is None:
            return value
        return (await self.calls.call("GET", path, patience=SIDE_CALL_PATIENCE_SECONDS)).body

    # ---- heartbeats

    async def send_heartbeats(self) -> None:
        """Send heartbeats: at once for a new lease, to confirm that it arrived; then as often as the lease asks."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            await self.send_messages()
            if (delay := self._seconds_to_heartbeat(loop.time())) is None or delay > 0:
                try:
                    async with asyncio.timeout(delay):
                        await self._changed.wait()
                except TimeoutError:
                    pass
                continue
            await asyncio.sleep(DONE_AT_ONCE_SECONDS)
            self.check()
            if self._seconds_to_heartbeat(loop.time()) != 0:
                continue
            try:
                await self.send_heartbeat()
            except ApiError as error:
                # The next heartbeat tries again; a lasting refusal ends the next claim or report.
                self.note("trouble", code=error.code, detail=error.detail, during="heartbeat")
                self._no_heartbeat_before = loop.time() + chances.pause(self.calls.chance, 2)
            except Exception:  # an unreadable answer, or a bug here: without heartbeats all leases would be lost
                log.exception("%s: a heartbeat failed", self.label)
                self._no_heartbeat_before = loop.time() + chances.pause(self.calls.chance, 2)

    def _seconds_to_heartbeat(self, now: float) -> float | None:
        """Seconds until the next heartbeat; None while no lease is held and no code is stuck."""
        if not (self.held or self.stuck or self.stuck.changed):
            return None
        new = self.stuck.changed or any(not lease.confirmed and not lease.reporting for lease in self.held.values())
        delay = max((now if new else self._next_heartbeat_at) - now, self._no_heartbeat_before - now)
        # A shorter delay may be below the clock's resolution, and waiting for it could loop for ever.
        return delay if delay > 0.001 else 0.0

    async def send_heartbeat(self) -> None:
        """Send one heartbeat for all held leases, with progress and checkpoints; apply the answer's directives.

        Raises:
            ApiError: it was not accepted.
        """
        leases = list(self.held.values())
        if not (leases or self.stuck or self.stuck.changed):
            return
        self._next_heartbeat_at = asyncio.get_running_loop().time() + (self.heartbeat_seconds() or 0.0)
        for group in heartbeat_groups(leases):
            await self._send_for(group)

    async def _send_for(self, parts_of: dict[HeldLease, dict[str, Json]]) -> None:
        leases, parts = list(parts_of), list(parts_of.values())
        try:
            answer = await self._post_heartbeat(parts, self.stuck.heartbeat(asyncio.get_running_loop().time()))
        except Refused as error:
            # One lease's bad checkpoint or progress must not cost the others their leases: send the bare minimum.
            self.note("refused", what="heartbeat", code=error.code, detail=str(error))
            kept = ("lease_id", "messages_after")
            parts = [{name: part[name] for name in kept if name in part} for part in parts]
            answer = await self._post_heartbeat(parts, {})
        self.stuck.arrived()
        for lease, part in zip(leases, parts, strict=True):
            lease.confirmed = True
            lease.outbox.arrived(part)
        self._obey(answer)

    async def _post_heartbeat(self, parts: list[dict[str, Json]], more: dict[str, Json]) -> HeartbeatAnswer:
        # No retries: the next heartbeat comes soon and holds newer data.
        answer = await self.calls.call("POST", f"/bots/{self.bot_id}:heartbeat", {"leases": parts, **more}, patience=0)
        self.trouble = None
        return read_answer(HeartbeatAnswer, answer.body)

    def _obey(self, answer: HeartbeatAnswer) -> None:
        for answered in answer.leases:
            lease = self.held.get(answered.lease_id)
            # A lease whose report is in flight may be gone because the report was accepted: its answer decides.
            if lease is None or lease.reporting or answered.directive == "continue":
                continue
            why = "cancelled" if answered.directive == "cancel" else "lost"
            said = "over_budget" if answered.over_budget else why
            self.note(said, lease_id=lease.lease_id, task_id=lease.task_id, work_id=lease.work_id)
            self._end(lease, why)
        for message in answer.messages:
            for lease in self.held.values():
                if lease.task_id == message.task_id and lease.outbox.receive(message):
                    self.note("message", message=message, lease_id=lease.lease_id, task_id=lease.task_id)
                    lease.unread.append(message)
                    if lease.reading is None or lease.reading.done():
                        lease.reading = asyncio.create_task(self._deliver_messages(lease))
        if answer.drain and not self._drained:
            self.note("draining", by="orchestrator")
        self._drained = answer.drain

    def _end(self, lease: HeldLease, why: str) -> None:
        """Drop a lease that the orchestrator took back. Its slot is free once its code has ended."""
        del self.held[lease.lease_id]
        if lease.on_end is not None:
            self.lingering[lease.lease_id] = lease
        self._freed.set()
        lease.end(why)

    async def _deliver_messages(self, lease: HeldLease) -> None:
        """Pass this lease's unread messages to `on_message`, one after the other, while the lease is held."""
        while lease.unread and lease.ended is None:
            message = lease.unread.popleft()
            outcome = await self.call_hook(partial(self.bot.on_message, message, lease.context), "swarmkeeper-message")
            if isinstance(outcome, Raised):
                log.error("%s: on_message failed", self.label, exc_info=outcome.error)

    async def send_messages(self) -> None:
        """Send the messages that attempts wrote to other bots. A refusal fails the attempt that wrote it."""
        for lease in list(self.held.values()):
            await self._send_messages_of(lease)

    async def _send_messages_of(self, lease: HeldLease) -> None:
        for message in lease.outbox.messages():
            try:
                await self.calls.call(
                    "POST",
                    f"/tasks/{lease.task_id}/messages",
                    {"to_bot": message.to_bot, "payload": message.payload, "lease_id": lease.lease_id},
                    headers={"idempotency-key": chances.token(self.calls.chance)},
                    patience=SIDE_CALL_PATIENCE_SECONDS,
                )
            except ApiError as error:
                lease.refused_message = error

    # ---- reporting

    async def prepare(self, lease: HeldLease, answer: Answer) -> Answer:
        """Make an answer ready to be sent: call `before_submit`, check that it is JSON, send pending messages.

        What fails on the way makes it a `Failed`.
        """
        lease.outbox.kill_commands()
        if lease.body_of(answer) is None:  # else it was prepared where it was made
            answer = preparing.prepared(lease, answer)
        try:
            if self.bot.has_hook("before_submit"):
                answer = preparing.prepared(lease, await self._call_before_submit(answer))
            if (body := lease.body_of(answer)) is not None:
                lease.size = len(encode(body))
        except Exception as error:
            # Only the type is reported: the text may hold what the hook was to redact.
            log.exception("%s: the answer could not be prepared", self.label)
            kind = str(error) if isinstance(error, HookFailed) else type(error).__name__
            answer = Failed(f"the answer could not be prepared for sending ({kind})", kind="not_retryable")
        if (refused := await self.settle(lease, answer)) is not None:
            answer = refused
        return answer

    async def settle(self, lease: HeldLease, answer: Answer) -> Failed | None:
        """Send messages and the checkpoint that must arrive before this answer.

        Returns the failure to report instead, if a message was refused.
        """
        await self._send_messages_of(lease)  # of this lease alone: every lease settles its own
        refused = None
        if lease.refused_message is not None:
            refused = preparing.failure_of("a message was refused", lease.refused_message)
        if (refused is not None or not isinstance(answer, _FINISHING)) and lease.outbox.checkpoint_waits():
            # The next attempt resumes from the checkpoint, so it must arrive before this attempt ends.
            try:
                await self.send_heartbeat()
            except ApiError as error:
                self.note("trouble", code=error.code, detail=error.detail, during="checkpoint")
        lease.reporting = True
        return refused

    async def _call_before_submit(self, answer: Answer) -> object:
        outcome = await self.call_hook(lambda: self.bot.before_submit(answer), "swarmkeeper-before-submit")
        match outcome:
            case Returned():
                return outcome.value
            case Raised():
                raise HookFailed(type(outcome.error).__name__) from outcome.error
            case Stopped():
                raise asyncio.CancelledError

    async def submit(self, lease: HeldLease, answer: Answer) -> None:
        """Report an answer for `BaseBot.submit`, which lists the errors."""
        lease.prepared = None  # the caller may have changed the answer that was refused before
        prepared = await self.prepare(lease, answer)
        try:
            match prepared:
                case Later():
                    await self.release(lease, prepared)
                case Ask():
                    await self.ask(lease, prepared)
                case _:
                    await self.report_one(lease, prepared, claim=0)
        except Refused:
            lease.reporting = False  # the lease stays valid: the caller may submit a corrected answer
            raise
        except ApiError:
            self.drop(lease)
            raise
        self.drop(lease)

    async def report_one(self, lease: HeldLease, answer: Answer, *, claim: int) -> list[HeldLease]:
        """Report one answer and claim up to `claim` new leases with the same call; return the new leases.

        Raises:
            ApiError: the report was refused, and nothing was claimed.
        """
        body = {"bot_id": self.bot_id, **self._item(lease, answer)}
        del body["task_id"]
        if claim > 0:
            body["claim"] = {"max": claim}
        reply = await self._call("POST", f"/tasks/{lease.task_id}/results", body, headers=_trace(lease))
        answered = read_answer(ReportAnswer, reply.body)
        self.note("submitted", lease_id=lease.lease_id, task_id=lease.task_id, replayed=answered.replayed)
        return self.take(answered.leases)

    async def report_many(
        self, reports: Sequence[tuple[HeldLease, Answer]], *, claim: int
    ) -> tuple[list[ApiError | None], list[HeldLease]]:
        """Report several answers and claim with one call; return the refusal of each (or None) and the new leases.

        Raises:
            ApiError: the whole call was refused.
        """
        body: dict[str, Json] = {"bot_id": self.bot_id, "results": [self._item(*item) for item in reports]}
        if claim > 0:
            body["claim"] = {"max": min(claim, 64)}
        reply = await self._call("POST", "/results", body)
        answered = read_answer(ReportBatchAnswer, reply.body)
        refusals: list[ApiError | None] = []
        for (lease, _), result in zip(reports, answered.results, strict=True):
            if result.accepted:
                self.note("submitted", lease_id=lease.lease_id, task_id=lease.task_id, replayed=result.replayed)
                refusals.append(None)
            else:
                # An older server sends no status: as a server error, the attempt fails and may be repeated.
                refusals.append(error_from(result.status or 500, result.model_dump(exclude_none=True), {}))
        return refusals, self.take(answered.leases)

    def _item(self, lease: HeldLease, answer: Answer) -> dict[str, Json]:
        assert not isinstance(answer, Later | Ask), "release() and ask() send these"
        body = lease.body_of(answer)
        if body is None:
            body = report(answer)
        item: dict[str, Json] = {"task_id": lease.task_id, "lease_id": lease.lease_id, **body}
        if usage := lease.outbox.usage():
            item["usage"] = usage
        return item | _final_progress(lease)

    async def release(self, lease: HeldLease, answer: Later) -> None:
        await self._end_lease(lease, "release", answers.release(answer) | _final_progress(lease))
        self.note("released", lease_id=lease.lease_id, task_id=lease.task_id, seconds=answer.seconds)

    async def ask(self, lease: HeldLease, question: Ask) -> None:
        """Send the question to a person and end the lease.

        Raises:
            Refused: the question is too long, or its schema is invalid. The lease stays valid.
        """
        await self._end_lease(lease, "ask", answers.question(question) | _final_progress(lease))
        self.note("submitted", lease_id=lease.lease_id, task_id=lease.task_id, asked=True)

    async def _end_lease(self, lease: HeldLease, verb: str, body: dict[str, Json]) -> None:
        await self._call("POST", f"/leases/{lease.lease_id}:{verb}", body, headers=_trace(lease))


# After these answers no attempt resumes from the checkpoint; after the others one does.
_FINISHING = (Done, Plan, Accept, Rework, Reject)


def _final_progress(lease: HeldLease) -> dict[str, Json]:
    progress = lease.outbox.final_progress()
    return {"progress": progress} if progress else {}


def _trace(lease: HeldLease) -> dict[str, str]:
    return {} if lease.traceparent is None else {"traceparent": lease.traceparent}
