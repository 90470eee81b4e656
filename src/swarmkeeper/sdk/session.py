"""One bot's standing with the orchestrator: registered, holding leases, beating for them, reporting on them.

It decides nothing about when to claim or how to run an author's code: that is runner.py, or the author. All of it runs
on the orchestrator's side (sides.py); what the author wrote is called on the author's.
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
from swarmkeeper.sdk.answers import (
    Accept,
    Answer,
    Ask,
    Done,
    Failed,
    Later,
    Plan,
    Reject,
    Rework,
    report,
)
from swarmkeeper.sdk.attempts import preparing
from swarmkeeper.sdk.attempts.failures import OwnCode
from swarmkeeper.sdk.attempts.sides import OneLoop, Sides
from swarmkeeper.sdk.attempts.stuck import StuckCode
from swarmkeeper.sdk.attempts.user_code import Outcome, Raised, Returned, Stopped
from swarmkeeper.sdk.connection import chance as chances
from swarmkeeper.sdk.connection.calls import Answered, Calls, encode
from swarmkeeper.sdk.errors import ApiError, NotFound, Problem, Refused, error_of_code
from swarmkeeper.sdk.leases import HeldLease
from swarmkeeper.wire.answers import Bot, HeartbeatAnswer, Lease, LeasePage, ReportAnswer, ReportBatchAnswer
from swarmkeeper.wire.shapes import read_answer

if TYPE_CHECKING:
    from swarmkeeper.sdk.profile import BotProfile

Json = Any
log = logging.getLogger("swarmkeeper.bot")

POLL_SECONDS = 25.0  # most proxies cut at 60, some at 30
# Work that is done within this time is reported before its first heartbeat, and the report says as much.
DONE_AT_ONCE_SECONDS = 0.05
# What a message, or an output too large to come along, may cost in trouble before its attempt fails.
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

# Never anything else: an output is what some other bot made, and could hold anything that looks like a reference.
_FETCHED_PATH = re.compile(r"/tasks/tsk_[0-9A-Za-z]+(/[a-z0-9][a-z0-9._-]*)+")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Calls have come to nothing, one after the other."""

    since: float  # of the loop's clock
    error: ApiError


class HookFailed(Exception):
    """A hook of the author raised; of which type is its text."""


def _nothing() -> None:
    """An author who holds the reins looks after what is held."""


class Session:
    """Made by `BotProfile.connect`, or by the runner."""

    def __init__(self, bot: BotProfile, calls: Calls) -> None:
        if isinstance(bot.skills, str):
            raise TypeError(f"{type(bot).__name__}.skills is a set of words, not one text")
        self.bot = bot
        self.own = OwnCode(getattr(bot, bot.method, type(bot)))
        self.calls_at_home = calls  # for use on the author's side
        self.sides: Sides = OneLoop(calls)
        self.info: Bot | None = None
        self._instance: str | None = None
        self._leave: Callable[[], object] = _nothing  # gives the instance to the next
        self._process = instances.process()  # this one, as opposed to another that goes by the same instance
        self._shared = False
        self.trouble: Trouble | None = None
        self.held: dict[str, HeldLease] = {}
        self.lingering: dict[str, HeldLease] = {}  # taken back, and the code is still at work: the place is not free
        self.stuck = StuckCode(lambda: self._changed.set())  # noqa: PLW0108 - the event is made anew
        self.check: Callable[[], None] = _nothing  # called before each beat: the runner looks after its own
        self._changed = asyncio.Event()  # leases came or went, or a context has something that cannot wait
        self._freed = asyncio.Event()
        self._beats: asyncio.Task[None] | None = None
        self._next_beat_at = 0.0
        self._no_beat_before = 0.0  # after one that failed
        self._drained = False  # by an operator, who may take it back

    @property
    def calls(self) -> Calls:
        return self.sides.calls

    @property
    def label(self) -> str:
        return self.info.name if self.info is not None else self.bot.name or self.bot.source_name() or self.bot.type

    def note(self, kind: str, /, **fields: Json) -> None:
        """Tell the author's hook; a hook that fails must not cost the work."""
        # What bots tell each other is work, and no business of a log.
        logged = {name: value for name, value in fields.items() if name != "message"}
        log.log(_LEVELS.get(kind, logging.DEBUG), "%s: %s %s", self.label, kind, loglines.facts(logged))
        if self.bot.has_hook("on_event"):
            self.sides.tell_users(lambda: self._tell_author(kind, fields))

    def _tell_author(self, kind: str, fields: dict[str, Json]) -> None:
        try:
            self.bot.on_event(kind, fields)
        except BaseException:  # whatever it is: on the loop it would end more than this call
            log.exception("%s: on_event failed", self.label)

    async def ask_author(self, call: Callable[[], object], name: str) -> Outcome:
        """Call a hook on the author's side, and await what it returns if it can be awaited."""
        running = self.sides.start_users(call, name)
        try:
            return await asyncio.shield(running.outcome)
        except asyncio.CancelledError:
            if running.cancel is not None:
                running.cancel()
            raise

    async def _call(self, method: str, path: str, body: Json, **options: Any) -> Answered:
        """One call, repeated for as long as it takes; what its trouble was is known until one goes well."""
        answer = await self.calls.call(method, path, body, patience=math.inf, trouble=self._trouble, **options)
        self.trouble = None
        return answer

    def _trouble(self, error: ApiError, attempt: int) -> None:
        if self.trouble is None:
            self.trouble = Trouble(asyncio.get_running_loop().time(), error)
        # Each doubling, so that an outage of a night fills no disk.
        if attempt & (attempt - 1) == 0:
            self.note("trouble", code=error.code, detail=error.detail, attempt=attempt)

    # ---- registering

    @property
    def bot_id(self) -> str:
        assert self.info is not None, "registered before anything else"
        return self.info.id

    async def register(self) -> Bot:
        bot = self.bot
        if self._instance is None:
            self._instance = bot.instance
            if self._instance is None:
                self._instance = instances.take(bot.type, bot.name)
                self._leave = weakref.finalize(self, instances.give_back, bot.type, bot.name, self._instance)
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
        """Register, unless that was done, and beat from now on for whatever is held."""
        # Events belong to the loop that they are first waited for on; before this, that may have been another.
        self._changed, self._freed = asyncio.Event(), asyncio.Event()
        if self.info is None:
            await self.register()
        self._beats = asyncio.create_task(self.beat_forever(), name="swarmkeeper-heartbeats")
        self.sides.watch(self.rhythm, self.own)

    def leave(self) -> None:
        """Let another bot of this process have the instance: this one registers no more."""
        self._leave()

    def rhythm(self) -> float | None:
        """Seconds between two heartbeats; None while there is nothing to beat for."""
        leases = [*self.held.values(), *(self.lingering.values() if self.stuck else ())]
        return min((lease.heartbeat_after_seconds for lease in leases), default=None)

    async def finish(self) -> None:
        """Beat no more."""
        if self._beats is not None:
            self._beats.cancel()
            await asyncio.gather(self._beats, return_exceptions=True)
            self._beats = None

    # ---- claiming

    def _tell_of_another(self, *, polls: bool) -> None:
        """Say once that the place of this bot is shared, and again where it was not for a time."""
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
        """Up to `most` new leases; waits for the first. A reply that was lost is asked for again, by its claim id."""
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
            # The orchestrator does not know us: deleted, or its store is another one. Say hello again.
            await self.register()
            return []
        page = read_answer(LeasePage, answer.body)
        self._tell_of_another(polls=page.another_process)
        return self.take(page.leases)

    async def claim_when_free(self) -> list[HeldLease]:
        """For a bot that runs its own loop: opened leases, as soon as fewer than its capacity are held."""
        opened = []
        for lease in await self.claim(await self.room()):
            try:
                await lease.open(self.fetched)
            except ApiError as error:
                await self.release(lease, Later(why=f"an output it depends on could not be read ({error.code})"))
            else:
                opened.append(lease)
        return opened

    async def room(self) -> int:
        """How many more may be held, once it is one at least."""
        await self.until(lambda: self._free() > 0)
        return self._free()

    def _free(self) -> int:
        return self.bot.capacity - len(self.held) - len(self.lingering)

    async def empty(self) -> None:
        """Until nothing is held."""
        await self.until(lambda: not self.held)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until this is true of what is held and what lingers."""
        while not true():
            self._freed.clear()
            await self._freed.wait()

    def take(self, leases: Sequence[Lease]) -> list[HeldLease]:
        taken = []
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # nobody beats any more: what is said leaves with the report
                loop.call_soon_threadsafe(self._changed.set)

        for granted in leases:
            if granted.lease_id in self.held or granted.lease_id in self.lingering:
                continue  # a replayed answer: it is being worked on already
            lease = HeldLease(granted, wake)
            beat_at = loop.time() + lease.heartbeat_after_seconds
            self._next_beat_at = min(self._next_beat_at, beat_at) if self.held else beat_at
            self.held[lease.lease_id] = lease
            taken.append(lease)
            self.note("leased", lease_id=lease.lease_id, task_id=lease.task_id, work_id=lease.work_id, kind=lease.kind)
        if taken:
            self._changed.set()
            self.sides.work_came()
        return taken

    def drop(self, lease: HeldLease) -> None:
        """Be done with a lease: its place is free."""
        lease.outbox.end_commands()
        self.held.pop(lease.lease_id, None)
        self.lingering.pop(lease.lease_id, None)
        if lease.reading is not None:
            lease.reading.cancel()
        self._freed.set()
        self._changed.set()

    async def fetched(self, value: Json) -> Json:
        """An output that was too large to come along is fetched; any other value is itself."""
        if not isinstance(value, dict) or set(value) != {"$ref", "sha256", "bytes"}:
            return value
        path = value["$ref"]
        if not isinstance(path, str) or _FETCHED_PATH.fullmatch(path) is None:
            return value
        return (await self.calls.call("GET", path, patience=SIDE_CALL_PATIENCE_SECONDS)).body

    # ---- beating

    async def beat_forever(self) -> None:
        """At once for a new lease, so that the orchestrator knows it arrived; then in the rhythm it asked for."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            await self.send_messages()
            if (delay := self._beat_due(loop.time())) is None or delay > 0:
                try:
                    async with asyncio.timeout(delay):
                        await self._changed.wait()
                except TimeoutError:
                    pass
                continue
            await asyncio.sleep(DONE_AT_ONCE_SECONDS)
            self.check()
            if self._beat_due(loop.time()) != 0:
                continue
            try:
                await self.beat()
            except ApiError as error:
                # Beats are repeated anyway, and what is wrong for good is met by the next claim or report.
                self.note("trouble", code=error.code, detail=error.detail, during="heartbeat")
                self._no_beat_before = loop.time() + chances.pause(self.calls.chance, 2)
            except Exception:  # an answer of another shape, or a mistake of ours: without beats all would be lost
                log.exception("%s: a heartbeat failed", self.label)
                self._no_beat_before = loop.time() + chances.pause(self.calls.chance, 2)

    def _beat_due(self, now: float) -> float | None:
        """Seconds until the next beat; None while nothing is held, and nothing is stuck."""
        if not (self.held or self.stuck or self.stuck.changed):
            return None
        new = self.stuck.changed or any(not lease.beaten and not lease.reporting for lease in self.held.values())
        delay = max((now if new else self._next_beat_at) - now, self._no_beat_before - now)
        # Less than a loop's clock may be able to tell: waiting for it could go round for ever.
        return delay if delay > 0.001 else 0.0

    async def beat(self) -> None:
        """Say that every lease held is alive, with what its code has to tell, and hear what is to become of it."""
        leases = list(self.held.values())
        if not (leases or self.stuck or self.stuck.changed):
            return
        self._next_beat_at = asyncio.get_running_loop().time() + (self.rhythm() or 0.0)
        parts = [lease.outbox.beat() for lease in leases]
        try:
            answer = await self._send_beat(parts, self.stuck.beat(asyncio.get_running_loop().time()))
        except Refused as error:
            # One lease's checkpoint or progress must not cost the others their lives: say the bare minimum.
            self.note("refused", what="heartbeat", code=error.code, detail=str(error))
            kept = ("lease_id", "messages_after")
            parts = [{name: part[name] for name in kept if name in part} for part in parts]
            answer = await self._send_beat(parts, {})
        self.stuck.told()
        for lease, part in zip(leases, parts, strict=True):
            lease.beaten = True
            lease.outbox.told(part)
        self._obey(answer)

    async def _send_beat(self, parts: list[dict[str, Json]], more: dict[str, Json]) -> HeartbeatAnswer:
        # Not patient: the next one is soon, and says more.
        answer = await self.calls.call("POST", f"/bots/{self.bot_id}:heartbeat", {"leases": parts, **more}, patience=0)
        self.trouble = None
        return read_answer(HeartbeatAnswer, answer.body)

    def _obey(self, answer: HeartbeatAnswer) -> None:
        for told in answer.leases:
            lease = self.held.get(told.lease_id)
            # While a report is on its way the lease may be gone because that report was accepted: its answer decides.
            if lease is None or lease.reporting or told.directive == "continue":
                continue
            why = "cancelled" if told.directive == "cancel" else "lost"
            self.note(why, lease_id=lease.lease_id, task_id=lease.task_id, work_id=lease.work_id)
            self._end(lease, why)
        for message in answer.messages:
            for lease in self.held.values():
                if lease.task_id == message.task_id and lease.outbox.heard(message):
                    self.note("message", message=message, lease_id=lease.lease_id, task_id=lease.task_id)
                    lease.unread.append(message)
                    if lease.reading is None or lease.reading.done():
                        lease.reading = asyncio.create_task(self._read_to(lease))
        if answer.drain and not self._drained:
            self.note("draining", by="orchestrator")
        self._drained = answer.drain

    def _end(self, lease: HeldLease, why: str) -> None:
        """The orchestrator took it back. Nothing more is told of it; its place is free once its code has ended."""
        del self.held[lease.lease_id]
        if lease.on_end is not None:
            self.lingering[lease.lease_id] = lease
        self._freed.set()
        lease.end(why)

    async def _read_to(self, lease: HeldLease) -> None:
        """Hand the author's hook what came for this lease, one after the other, until the lease is no longer held."""
        while lease.unread and lease.ended is None:
            message = lease.unread.popleft()
            outcome = await self.ask_author(partial(self.bot.on_message, message, lease.context), "swarmkeeper-message")
            if isinstance(outcome, Raised):
                log.error("%s: on_message failed", self.label, exc_info=outcome.error)

    async def send_messages(self) -> None:
        """What the authors' code told other bots, each at once; a refusal fails the attempt that said it."""
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
        """The answer as it may leave this process: seen by the author's hook, sayable in JSON, after its messages."""
        lease.outbox.kill_commands()
        answer = preparing.prepared(lease, answer)
        try:
            if self.bot.has_hook("before_submit"):
                answer = preparing.prepared(lease, await self._seen_by_author(answer))
            if not isinstance(answer, Later | Ask):
                lease.said = (answer, report(answer))
                lease.size = len(encode(lease.said[1]))
        except Exception as error:
            # Its text stays here: it may hold just what the hook was to take out.
            log.exception("%s: the answer could not be prepared", self.label)
            kind = str(error) if isinstance(error, HookFailed) else type(error).__name__
            answer = Failed(f"the answer could not be prepared for sending ({kind})", kind="not_retryable")
        if (refused := await self.settle(lease, answer)) is not None:
            answer = refused
        return answer

    async def settle(self, lease: HeldLease, answer: Answer) -> Failed | None:
        """Send what must arrive before this answer does; a failure instead of it, where a message was refused."""
        await self._send_messages_of(lease)  # not of all that are held: that would be done for each of them
        refused = None
        if lease.refused_message is not None:
            refused = preparing.failure_of("a message was refused", lease.refused_message)
        if (refused is not None or not isinstance(answer, _FINISHING)) and lease.outbox.checkpoint_waits():
            # The next attempt goes on from here: the checkpoint must arrive before this one ends.
            try:
                await self.beat()
            except ApiError as error:
                self.note("trouble", code=error.code, detail=error.detail, during="checkpoint")
        lease.reporting = True
        return refused

    async def _seen_by_author(self, answer: Answer) -> object:
        outcome = await self.ask_author(lambda: self.bot.before_submit(answer), "swarmkeeper-before-submit")
        match outcome:
            case Returned():
                return outcome.value
            case Raised():
                raise HookFailed(type(outcome.error).__name__) from outcome.error
            case Stopped():
                raise asyncio.CancelledError

    async def submit(self, lease: HeldLease, answer: Answer) -> None:
        """`BotProfile.submit`."""
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
            lease.reporting = False  # it lives: mended, the answer may be given again
            raise
        except ApiError:
            self.drop(lease)
            raise
        self.drop(lease)

    async def report_one(self, lease: HeldLease, answer: Answer, *, claim: int) -> list[HeldLease]:
        """Report, and claim up to `claim` new leases with the same call.

        Raises:
            ApiError: the report was refused, and nothing claimed.
        """
        body = {"bot_id": self.bot_id, **self._item(lease, answer)}
        del body["task_id"]
        if claim > 0:
            body["claim"] = {"max": claim}
        reply = await self._call("POST", f"/tasks/{lease.task_id}/results", body, headers=_trace(lease))
        taken = read_answer(ReportAnswer, reply.body)
        self.note("submitted", lease_id=lease.lease_id, task_id=lease.task_id, replayed=taken.replayed)
        return self.take(taken.leases)

    async def report_many(
        self, reports: Sequence[tuple[HeldLease, Answer]], *, claim: int
    ) -> tuple[list[ApiError | None], list[HeldLease]]:
        """As `report_one`, for several; the first list says which were refused."""
        body: dict[str, Json] = {"bot_id": self.bot_id, "results": [self._item(*each) for each in reports]}
        if claim > 0:
            body["claim"] = {"max": min(claim, 64)}
        reply = await self._call("POST", "/results", body)
        told = read_answer(ReportBatchAnswer, reply.body)
        refusals: list[ApiError | None] = []
        for (lease, _), each in zip(reports, told.results, strict=True):
            if each.accepted:
                self.note("submitted", lease_id=lease.lease_id, task_id=lease.task_id, replayed=each.replayed)
                refusals.append(None)
            else:
                problems = [Problem(error.pointer, error.code, error.detail) for error in each.errors]
                refusals.append(error_of_code(each.code or "internal", each.detail, problems))
        return refusals, self.take(told.leases)

    def _item(self, lease: HeldLease, answer: Answer) -> dict[str, Json]:
        assert not isinstance(answer, Later | Ask), "these have calls of their own"
        said = lease.said[1] if lease.said is not None and lease.said[0] is answer else report(answer)
        item: dict[str, Json] = {"task_id": lease.task_id, "lease_id": lease.lease_id, **said}
        if usage := lease.outbox.usage():
            item["usage"] = usage
        return item | _last_words(lease)

    async def release(self, lease: HeldLease, answer: Later) -> None:
        await self._end_lease(lease, "release", answers.release(answer) | _last_words(lease))
        self.note("released", lease_id=lease.lease_id, task_id=lease.task_id, seconds=answer.seconds)

    async def ask(self, lease: HeldLease, question: Ask) -> None:
        """Put the question; ends the lease.

        Raises:
            Refused: it cannot be put so: too long, or its schema is none. The lease lives.
        """
        await self._end_lease(lease, "ask", answers.question(question) | _last_words(lease))
        self.note("submitted", lease_id=lease.lease_id, task_id=lease.task_id, asked=True)

    async def _end_lease(self, lease: HeldLease, verb: str, body: dict[str, Json]) -> None:
        await self._call("POST", f"/leases/{lease.lease_id}:{verb}", body, headers=_trace(lease))


# With these nothing of the attempt is needed any more; after the others somebody goes on.
_FINISHING = (Done, Plan, Accept, Rework, Reject)


def _last_words(lease: HeldLease) -> dict[str, Json]:
    said = lease.outbox.last_words()
    return {"progress": said} if said else {}


def _trace(lease: HeldLease) -> dict[str, str]:
    return {} if lease.traceparent is None else {"traceparent": lease.traceparent}
