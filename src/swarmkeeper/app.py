"""Assembles the server from its parts, and starts and stops them in order.

Used by applications that embed the orchestrator, by other ASGI servers (`create_app`), and by server.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

from fastapi import FastAPI
from starlette.types import ASGIApp

from swarmkeeper import __version__
from swarmkeeper.access.admission import Admission
from swarmkeeper.access.first_key import create_first_key
from swarmkeeper.access.identity import Identity
from swarmkeeper.access.key_watch import KeyWatch
from swarmkeeper.access.operations.running import Operations
from swarmkeeper.access.others import Others
from swarmkeeper.access.quotas import Quotas
from swarmkeeper.access.request_turns import RequestPacer
from swarmkeeper.access.retention import Retention
from swarmkeeper.access.roll_call import RollCall
from swarmkeeper.broker import choose, name_of_store, stream_at
from swarmkeeper.broker.addresses import BrokerRefused
from swarmkeeper.clock import SystemClock, SystemEntropy
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.model import Json, Limits
from swarmkeeper.core.ports import (
    Changes,
    Clock,
    Entropy,
    ReadsOnly,
    ServerSeen,
    SharedStore,
    Started,
    StoreDamaged,
    StoreLost,
    StoreUnavailable,
)
from swarmkeeper.engine.engine_time import APART
from swarmkeeper.engine.loop import Engine
from swarmkeeper.engine.task_waiters import TaskWaiters
from swarmkeeper.govern.cursors import Cursors
from swarmkeeper.govern.redaction.tags import Tags
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.http.app import Services
from swarmkeeper.http.app import create_app as create_http_app
from swarmkeeper.http.intake.reader import InlineReader, ProcessReader, Readers
from swarmkeeper.http.refusals import Refusals
from swarmkeeper.in_process import OWN, OwnCalls
from swarmkeeper.observe.happenings import Happenings
from swarmkeeper.observe.logs import Log, on_stderr
from swarmkeeper.observe.metrics import Metrics, Sources
from swarmkeeper.observe.readiness import State
from swarmkeeper.outgoing.publisher import Publisher
from swarmkeeper.reads.approval_queries import ApprovalQueries
from swarmkeeper.reads.audit_queries import AuditQueries
from swarmkeeper.reads.explain import Explainer, Now
from swarmkeeper.reads.feed import Feed
from swarmkeeper.reads.insight.changes import ChangeFeed
from swarmkeeper.reads.insight.flow import Flow
from swarmkeeper.reads.insight.shared_reads import SharedReads
from swarmkeeper.reads.lease_views import Leases
from swarmkeeper.reads.message_queries import Messages
from swarmkeeper.reads.payload_cache import PayloadCache
from swarmkeeper.reads.queries import Queries
from swarmkeeper.reads.reading_thread import ReadingThread, Reads, SmallTasks
from swarmkeeper.reads.tasks.known_tasks import KnownTasks
from swarmkeeper.rulefiles import reload_policies, reload_rules, rulebook_of
from swarmkeeper.secrets.broker import SecretBroker
from swarmkeeper.secrets.config import BadSecrets
from swarmkeeper.secrets.opening import open_broker, open_ring
from swarmkeeper.secrets.upkeep import SecretUpkeep
from swarmkeeper.settings import BadSetting, Settings, read, read_secret
from swarmkeeper.sinks import sinks_of
from swarmkeeper.sinks.bad_sinks import BadSinks
from swarmkeeper.storage import pepper as peppers
from swarmkeeper.storage.at_rest.bodies import bodies_under
from swarmkeeper.storage.opening import OpenedStore, shown, store_at
from swarmkeeper.tokens import tokens_of
from swarmkeeper.tokens.own import SignedTokens
from swarmkeeper.tokens.refusals import BadIdentity
from swarmkeeper.transparency.notes import BadKey
from swarmkeeper.transparency.published import PublishedLogs
from swarmkeeper.transparency.signer import Signer, read_keys

if TYPE_CHECKING:
    from swarmkeeper.sinks.running import Sinks
    from swarmkeeper.tokens.verifying import Tokens

__all__ = ["OWN", "Orchestrator", "create_app", "make_log"]

SECOND = 1_000_000


class Orchestrator(OwnCalls):
    """The orchestrator, which runs while the `async with` block lasts.

    `app` is an ASGI application to mount or serve; `client()` calls it without a socket. If `ended` is set before the
    block ends, the engine has stopped by itself and no call will be answered: end the process.

    Raises:
        StoreRefused: on entering: the store cannot be used; the message says what helps.
        BadSetting: on entering: the file of the pepper, the first key, the secrets, the broker or the stream cannot be
            used.
    """

    app: FastAPI
    engine: Engine
    store: OpenedStore
    secrets: SecretBroker

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        migrate: bool = False,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        rules: Rulebook | None = None,
        log: Log | None = None,
        inline: bool = False,
        keeps_pepper: bool = True,
    ) -> None:
        """Take settings and parts; nothing starts yet.

        Args:
            settings: by default those of the environment and the current folder.
            migrate: update the schema of an older store on entering.
            clock: by default the system's.
            entropy: by default the system's.
            rules: redaction rules; by default those of the settings.
            log: by default a log on stderr.
            inline: write to the store on the event loop, for a loop without threads (simulations).
            keeps_pepper: a new store keeps its pepper itself; else it is configured, or in a file beside the store.
        """
        self.settings = settings or read().settings
        self.clock = clock or SystemClock()
        self.entropy = entropy or SystemEntropy()
        self.rules = rules or rulebook_of(self.settings)
        self.log = log or make_log(self.settings, self.rules, self.clock)
        self._logs_requests = self.log.writes("request")
        self.ended = asyncio.Event()
        self._migrate, self._inline, self._keeps_pepper = migrate, inline, keeps_pepper
        self._draining, self._store_answers, self._is_lost = False, True, False  # lost: its files were replaced
        self._publisher: Publisher | None = None
        self._others: Others | None = None
        self._signer: Signer | None = None
        self._sinks: Sinks | None = None
        self._tokens: Tokens | None = None
        self._pepper_is_outside = False
        self._name = ""  # drawn on entering, if others need to know it
        self._running: list[asyncio.Task[None]] = []
        OwnCalls.__init__(self)

    async def __aenter__(self) -> Self:
        pepper = self.settings.pepper_bytes()
        outside = None if self._keeps_pepper else peppers.new_pepper(pepper, self.entropy.secret)
        try:
            ring = await open_ring(self.settings.encryption_key, self.settings.secrets, self.entropy.secret)
            how = partial(store_at, new_pepper=outside, bodies=bodies_under(ring, self.entropy.secret))
            self.store = how(self.settings.store, entropy=self.entropy, inline=self._inline)
            # Drawn only if it is needed: a simulation's chance stays as it is.
            named = self.settings.broker or self.settings.stream or self.settings.sinks or self.store.shared
            self._name = own = self.entropy.secret(8).hex() if named else ""
            addresses, shared = (self.settings.broker, self.settings.store), self.store.shared
            make_broker = choose(*addresses, shared=shared, own=own, log=self.log)
            self._stream = stream_at(self.settings.stream, self.settings.stream_name, self.settings.stream_length)
            self._sinks = sinks_of(self.settings.sinks, read_secret, self.clock, self.log)
            self._tokens = tokens_of(self.settings.identity, self.clock, self.log)
            if self.settings.audit_key_file:
                keys = read_keys(read_secret(self.settings.audit_key_file, "audit_key_file"))
                self._signer = Signer(self.store, keys, wall=self.clock.now, log=self.log)
        except (BrokerRefused, BadIdentity, BadKey, BadSecrets, BadSinks) as error:
            raise BadSetting(str(error)) from None
        await self.store.open(migrate=self._migrate)
        try:
            kept = await self.store.start()
            self.broker = make_broker(name_of_store(kept.pepper))
            pepper, self._pepper_is_outside = peppers.in_force(pepper, kept, self.store.path)
            if self._stream is not None:
                clock, log = self.clock.monotonic, self.log
                parts, cursors = (self._stream, self.store, self.broker), Cursors(kept.cursor_key, kept.numbers_until)
                self._publisher = Publisher(*parts, cursors=cursors, owner=own, monotonic=clock, log=log)
            await self._start(kept, pepper)
        except BaseException as error:
            await self.store.close()
            if isinstance(error, BadSecrets):
                raise BadSetting(str(error)) from None
            raise
        return self

    async def _start(self, kept: Started, pepper: bytes) -> None:
        limits, self._cursors = self.settings.limits(), partial(Cursors, kept.cursor_key, kept.numbers_until)
        self.engine = engine = Engine(
            self.store,
            clock=self.clock,
            entropy=self.entropy,
            rules=self.rules,
            limits=limits,
            broker=self.broker,
            log=self.log,
            on_commit=self._committed,
            queue_commands=self.settings.queue_commands,
        )
        if self._sinks is not None:
            engine.traced = self._sinks.trace_of_lease() is not None
            self._sinks.attach(engine, self.store, self.broker, self._name, self.rules.text_of)
        self.rules.tags = Tags(pepper)
        self.secrets = await open_broker(
            *(self.settings.secrets, self.settings.secrets_key_file),
            store=self.store,
            do=engine.do,
            rules=self.rules,
            entropy=self.entropy,
            now=engine.now,
            log=self.log,
        )
        clock = self.clock
        times = {"now": engine.now, "wall": clock.now, "monotonic": clock.monotonic}
        # With a pepper of the store, whoever reads the store could sign.
        own_tokens = SignedTokens(pepper, clock.now) if self._pepper_is_outside else None
        self._identity = Identity(self.store, pepper, **times, tokens=self._tokens, own_tokens=own_tokens)
        self._feed = Feed(self.store, self.broker, self._cursors(), self.log)
        self._task_waiters = TaskWaiters()
        self._key_watch = KeyWatch(self._identity, engine.scheduler.parked_bots)
        self.quotas = Quotas(self.settings.quotas(), self.clock.monotonic)
        self._metrics = self._make_metrics(engine)
        self._metrics.always = self._sinks is not None and self._sinks.measure(self._metrics.families)
        await engine.start()
        presence = self._identity.presence
        presence.begin()  # uses the engine's time, which begins with engine.start()
        # A simulation parses on the loop: it has no helper processes.
        middle, longest = (InlineReader() if self._inline else ProcessReader(self.log) for _ in range(2))
        self._readers = Readers(middle, longest, engine.weights)
        self.roll_call = RollCall(self.store, presence, limits.forget_bots, now=engine.now, do_all=engine.do_all)
        periods, unread = self.settings.retention(), None if self._sinks is None else self._sinks.unread
        self.retention = Retention(
            self.store, periods, now=engine.now, clock=clock, do_all=engine.do_all, log=self.log, unread=unread
        )
        self._payload_cache = payload_cache = PayloadCache(self.store)
        self._small_tasks, self._known_tasks = SmallTasks(), KnownTasks(self.rules)
        self._happenings = Happenings(self.log, traced=engine.traced)
        self._refusals = Refusals(self.log, self.clock.monotonic)
        self.flow = Flow(self.clock.monotonic)
        seal = self._identity.digest
        self._operations = Operations(self.store, engine, owner=self._name, seal=seal, clock=clock, log=self.log)
        loop_reads = self._reads(self.store, limits, payload_cache)
        self._messages = loop_reads.messages
        if self.store.shared:
            cast("SharedStore", self.store).more_waits = lambda: engine.waiting > 0
            self._others = Others(
                *(cast("SharedStore", self.store), self.broker, self.log, self.clock.monotonic, engine),
                *(self._identity, self._key_watch, self._task_waiters, self._messages, self.secrets),
                payloads=payload_cache,
                known_tasks=self._known_tasks,
                followers=lambda: self._feed.followers,
                about=lambda: ServerSeen(
                    f"{platform.node()}/{self._name}", __version__, self.rules.hash, flow=self.flow.told()
                ),
            )
            self.secrets.others = self._others
            self.flow.others = self._others.flows
            await self._others.begin()
        await self._messages.start()
        self._http_limits = self.settings.http_limits()
        self._beside = self.store.open_reader()
        thread_reads = loop_reads
        if self._beside is not None:
            thread_reads = self._reads(self._beside, limits, PayloadCache(self._beside), self._messages.newest)
        self._reading_thread = ReadingThread(thread_reads, engine.weights, threaded=self._beside is not None)
        self.changes = ChangeFeed(self._feed, self._reading_thread, self.rules, self.log)
        self.app = create_http_app(self._services(engine, loop_reads, limits))
        if self.settings.has_bootstrap_key:
            parts = (engine, self.settings.first_key, self._identity.digest, self.log)
            await create_first_key(*parts, has_keys=await self.has_keys())
        upkeep = SecretUpkeep(self.secrets, self.store, do=engine.do, clock=self.clock, log=self.log)
        loop = asyncio.create_task(engine.run(), name="swarmkeeper-engine")
        loop.add_done_callback(self._engine_ended)
        self._running = [
            loop,
            asyncio.create_task(self._feed.run(), name="swarmkeeper-feed"),
            asyncio.create_task(self._tick(), name="swarmkeeper-tick"),
            asyncio.create_task(self.retention.run(), name="swarmkeeper-retention"),
            asyncio.create_task(self.broker.run(), name="swarmkeeper-broker"),
            asyncio.create_task(self._operations.run(), name="swarmkeeper-operations"),
            *([asyncio.create_task(self._publisher.run(), name="swarmkeeper-outgoing")] if self._publisher else ()),
            *([asyncio.create_task(self._sinks.run(), name="swarmkeeper-sinks")] if self._sinks else ()),
            *([asyncio.create_task(self._signer.run(), name="swarmkeeper-signer")] if self._signer else ()),
            *([asyncio.create_task(upkeep.run(), name="swarmkeeper-secrets")] if self.secrets.config else ()),
            *([asyncio.create_task(self._others.run(), name="swarmkeeper-others")] if self._others else ()),
            asyncio.create_task(
                self._key_watch.run(lambda: self._http_limits.key_check_every), name="swarmkeeper-key-watch"
            ),
        ]
        await asyncio.sleep(0)  # let the engine start
        self.log("started", version=__version__, store=shown(self.settings.store))

    def _make_metrics(self, engine: Engine) -> Metrics:
        return Metrics(
            self.store,
            Sources(
                stats=lambda: engine.stats,
                waiting=lambda: engine.waiting,
                parked=lambda: len(engine.scheduler.parked),
                failures=lambda: self._identity.failures,
                held=self.quotas.held,
                limited=self.quotas.refused,
                running=lambda: engine.running,
                unlogged=lambda: self.log.lost,
                text=self.rules.text_of,
                now=engine.now,
                ahead=engine.time.ahead,
                outgoing=lambda: None if self._publisher is None else self._publisher.figures,
                forged=lambda: self._operations.forged,
                sinks=lambda: {} if self._sinks is None else self._sinks.figures(),
            ),
            version=__version__,
        )

    def _services(self, engine: Engine, reads: Reads, limits: Limits) -> Services:
        return Services(
            engine=engine,
            queries=reads.queries,
            task_waiters=self._task_waiters,
            messages=reads.messages,
            approval_queries=reads.approval_queries,
            reading_thread=self._reading_thread,
            small_tasks=self._small_tasks,
            known_tasks=self._known_tasks,
            feed=self._feed,
            admission=Admission(self.store, self.rules, limits),
            pace=RequestPacer(engine.weights),
            readers=self._readers,
            identity=self._identity,
            quotas=self.quotas,
            key_watch=self._key_watch,
            secrets=self.secrets,
            rules=self.rules,
            clock=self.clock,
            entropy=self.entropy,
            log=self.log,
            version=__version__,
            refusals=self._refusals,
            metrics=self._metrics.text,
            readiness=self.readiness,
            answered=self._answered,
            limits=self._http_limits,
            erasable=self.retention.erasable,
            flow=self.flow,
            operation_started=self._operations.wake,
            changes=self.changes,
            shared_reads=SharedReads(),
            trace_of_lease=None if self._sinks is None else self._sinks.trace_of_lease(),
            log_keys=lambda tenant: [] if self._signer is None else self._signer.verifier_keys(tenant),
        )

    def _reads(
        self, store: ReadsOnly, limits: Limits, payload_cache: PayloadCache, newest: dict[str, str] | None = None
    ) -> Reads:
        """Make all read services for one store."""
        engine, presence = self.engine, self._identity.presence
        queries = Queries(
            store,
            self.rules,
            limits,
            cursors=self._cursors(),
            now=engine.now,
            seen=presence.last_seen,
            stuck=self._identity.stuck.of,
            asked=presence.last_asked,
            parked=engine.scheduler.parked_bots,
            payload_cache=payload_cache,
            on_read=self._identity.accesses.read,
        )
        now = Now(
            time=engine.now,
            seen=presence.last_seen,
            asked=presence.last_asked,
            parked=engine.scheduler.parked_bots,
            stuck=self._identity.stuck.of,
            usage=self.quotas.usage,
            policies=lambda: self.rules.policies,
            overloaded=lambda: not engine.store_answers or 2 * engine.waiting > self.settings.queue_commands,
        )
        return Reads(
            queries=queries,
            leases=Leases(store, payload_cache),
            audit_queries=AuditQueries(store, self.rules, on_read=self._identity.accesses.read),
            approval_queries=ApprovalQueries(store, self.rules),
            messages=Messages(store, queries, newest),
            explainer=Explainer(queries, limits, now),
            published_logs=PublishedLogs(store, self.rules, on_read=self._identity.accesses.read),
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._revoke_own_key()
            with contextlib.suppress(SwarmkeeperError):
                await self._identity.accesses.write(self.engine.do_all, at_once=True)
            self.drain()
            self._refusals.log_rest(at_once=True)
            engine, *others = self._running
            for task in others:
                task.cancel()
            await asyncio.gather(engine, *others, return_exceptions=True)
            await asyncio.gather(*([self._others.leave()] if self._others else ()))
        finally:
            self._readers.close()
            self._reading_thread.close()
            await self.secrets.close()
            await asyncio.gather(*([self._tokens.close()] if self._tokens else ()))
            if self._beside is not None:
                self._beside.close()
            if self.store.is_lost:  # checks again: it may be noticed only now
                self.log("store_left", done=await self.store.rescue())
            await self.store.close()
            self.log("stopped")

    def drain(self) -> None:
        """Accept no more commands: report not ready, end polls and streams, answer what was accepted."""
        if not self._draining:
            self.log("stopping", parked=len(self.engine.scheduler.parked), commands=self.engine.waiting)
        self._draining = True
        self.engine.stop()
        for task in self._running[1:2]:
            task.cancel()  # the feed, which ends the streams of its followers
        self._task_waiters.stop()

    # ---- state -----------------------------------------------------------------------------------------------------

    def readiness(self, verbose: bool = False, tenant: str | None = None) -> dict[str, Json]:
        """Return whether the server can take calls; with `verbose`, also each check and some numbers.

        Args:
            tenant: show nothing of others.
        """
        parts = (self._others, self._signer, self._sinks, self._tokens)
        warnings = [warning for part in parts if part is not None for warning in part.warnings()]
        engine, parked, ahead = self.engine, len(self.engine.scheduler.parked), self.engine.time.ahead()
        state = State(engine, self._state_of_store(), self._draining, parked, ahead, APART, warnings)
        if not verbose:
            return {"ready": state.ready}
        own = sum(poll.claim.by.tenant == tenant for poll in engine.scheduler.parked.values())
        return state.shown(__version__) if tenant is None else state.shown_to_tenant(__version__, own)

    def _state_of_store(self) -> str:
        try:
            self.store.check_files()
        except StoreLost as error:
            self._lose_store(error)
        if self._is_lost:
            return "lost"
        if self.store.damage:
            return "damaged"
        return "answers" if self._store_answers and self.engine.store_answers else "does not answer"

    async def has_keys(self) -> bool:
        """Whether the store has any key."""
        return bool((await self.store.read("any_key", {}))[0]["found"])

    async def reload_rules(self) -> bool:
        """Read the files of redaction rules again. Returns False if they are invalid; then the former rules stay.

        A change or a refusal is recorded in each tenant's audit log.
        """
        return await reload_rules(self.rules, self.settings, self.store, self.engine, self.log)

    async def reload_policies(self) -> bool:
        """Read the policy files again. Returns False if they are invalid; then the former policies stay."""
        return await reload_policies(self.rules, self.settings, self.store, self.engine, self.log)

    # ---- in the background -----------------------------------------------------------------------------------------

    def _committed(self, changes: Changes) -> None:
        self._payload_cache.committed(changes.payloads, erased=bool(changes.erased_keys))
        self._small_tasks.committed(changes)
        self._known_tasks.committed(changes)
        self._task_waiters.committed(changes.tasks)
        self._messages.committed(changes)
        self.flow.committed(changes)
        self._happenings.committed(changes)
        if changes.keys:
            self._identity.forget(changes.keys)
        for bot_id, bot in changes.bots.items():
            if bot is None:
                self._identity.forget_bot(bot_id)
            if bot is None or bot.status != "active":
                self.engine.end_polls(bot_id)

    def _answered(self, method: str, path: str, status: int, microseconds: int) -> None:
        self._metrics.answered(method, path, status, microseconds)
        if self._logs_requests:
            # The declared path: what callers wrote in it, and their query strings, do not belong in logs.
            self.log("request", method=method, path=path, status=status, milliseconds=round(microseconds / 1000, 1))

    def _engine_ended(self, loop: asyncio.Task[None]) -> None:
        if self._draining:
            return
        error = None if loop.cancelled() else loop.exception()
        if isinstance(error, StoreLost):
            self._lose_store(error)
            return
        self.log("engine_ended", **({} if error is None else {"exception": error}))
        self.ended.set()

    def _lose_store(self, error: StoreLost) -> None:
        """Stop the engine and ask for the process to end: further writes would be lost."""
        if not self._is_lost:
            self._is_lost, self._store_answers = True, False
            self.log("store_lost", error=str(error))
            self.engine.stop()
            self.ended.set()

    async def _tick(self) -> None:
        damaged = False  # whether the damage is logged
        while True:
            await self.clock.sleep(SECOND)
            try:
                if not self.store.shared and await self.store.changed_outside():
                    self._identity.forget_all()
                    self.engine.look_again()
                    self._small_tasks.forget_all()
                    self._known_tasks.forget_all()
                    await self.engine.reload_weights()
                self._refusals.log_rest()
                await self._identity.accesses.write(self.engine.do_all)
                await self._metrics.refresh()
                await self.roll_call.look()
                self._store_answers = True
            except StoreLost as error:
                self._lose_store(error)
                return
            except (StoreUnavailable, StoreDamaged) as error:
                self._store_answers = False
                self.log("tick_failed", error=str(error))
            except SwarmkeeperError as error:
                self.log("tick_failed", error=error.detail)
            if self.store.damage and not damaged:
                damaged = True
                self.log("store_damaged", error=self.store.damage, fix="swarmkeeper doctor --deep names what is broken")


def make_log(settings: Settings, rules: Rulebook, clock: Clock) -> Log:
    """Make the log on stderr in the format and level of the settings."""
    return on_stderr(rules, clock.now, level=settings.log_level, form=settings.log_format)


# ---- on another ASGI server ----------------------------------------------------------------------------------------


def create_app(settings: Settings | None = None) -> ASGIApp:
    """Return an ASGI application that starts and stops with its server's lifespan.

    Run it with `uvicorn --factory swarmkeeper.app:create_app`.
    """
    from swarmkeeper.server import Hosted  # it needs this module

    return Hosted(settings)
