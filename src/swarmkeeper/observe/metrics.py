"""Metrics of the engine, the queues and the HTTP server, collected when they are requested or pushed.

Every name begins with `swarmkeeper_`. Labels are fixed words, routes as in the API, and skills. Skills are named by
callers, so they are redacted, and only the sets with most waiting work have series of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol, cast

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from swarmkeeper.core.ports import Store

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECOND = 1_000_000
# Waiting work is counted in the store, and only while metrics are requested.
ASKED_LATELY = 120 * _SECOND
LOOK_EVERY = 5 * _SECOND
FRESH_A_SECOND = 4
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Number of skill sets with series of their own, those with most waiting work. Callers can name any number of skills.
QUEUES_MAX = 100
OTHER = "other"  # label of the sum of the rest
_QUEUE = ("kind", "skills")
SKILLS_LENGTH_MAX = 200  # characters of a label
# From the time of one commit to that of a long poll.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0)


class HistogramData(Protocol):
    """A histogram: number of values up to each bound and beyond the last one, and the sum of all values."""

    @property
    def bounds(self) -> Sequence[int]: ...
    @property
    def counts(self) -> Sequence[int]: ...
    @property
    def total(self) -> int: ...


class EngineCounters(Protocol):
    """The engine's counters. See engine/stats.py."""

    batches: int
    commands: int
    refused: dict[str, int]
    faults: int
    reruns: int
    events: dict[str, int]
    batch_commands_last: int
    batch_time_max: int
    endings: dict[str, int]
    late_results: int

    @property
    def batch_sizes(self) -> HistogramData: ...
    @property
    def batch_times(self) -> HistogramData: ...
    @property
    def attempt_times(self) -> HistogramData: ...


class OutgoingCounters(Protocol):
    """How the outgoing stream is. See outgoing/publisher.py."""

    published: int
    skipped: int
    behind: int


class SinkCounters(Protocol):
    """How a sink of the audit log is. See sinks/reader.py."""

    sent: int
    failures: int
    stopped: bool
    failed_at: int  # microseconds since the epoch; 0: never

    @property
    def behind(self) -> int:
        """Return how many records it lacks."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the metrics are read from."""

    stats: Callable[[], EngineCounters]
    waiting: Callable[[], int]  # commands accepted and not started
    parked: Callable[[], int]  # polls that wait for work
    failures: Callable[[], int]  # calls without a valid credential
    held: Callable[[], Mapping[str, int]]  # by limit: current use by all callers
    limited: Callable[[], Mapping[str, int]]  # by limit: refused calls
    running: Callable[[], bool]
    unlogged: Callable[[], int]  # log lines that could not be written
    text: Callable[[str, str | None], str]  # redaction, of text of a tenant or of all
    now: Callable[[], int]
    ahead: Callable[[], int]  # microseconds that engine time is ahead of the wall clock
    outgoing: Callable[[], OutgoingCounters | None] = lambda: None
    forged: Callable[[], int] = lambda: 0  # operations whose rows somebody else has written
    sinks: Callable[[], Mapping[str, tuple[SinkCounters, float]]] = dict  # with the seconds that each is behind


class Metrics:
    def __init__(self, store: Store, sources: Sources, *, version: str) -> None:
        self._store, self._sources = store, sources
        self._registry = CollectorRegistry()
        self._build = Info("swarmkeeper_build", "The version that runs.", registry=self._registry)
        self._build.info({"version": version})
        ProcessCollector(namespace="swarmkeeper", registry=self._registry)
        self._requests = Counter(
            "swarmkeeper_http_requests",
            "HTTP answers, by method, route and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "swarmkeeper_http_request_seconds",
            "Duration of HTTP answers, by method and route; a long poll includes its wait.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        # A cache: looking labels up takes most of the time.
        self._of_route: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._registry.register(_EngineCollector(sources))
        self._rows: Sequence[Mapping[str, Any]] = ()  # as they are stored
        self._leases: Mapping[str, int] = {}  # by tenant
        self._shown_of: dict[str | None, list[dict[str, Any]]] = {}  # by tenant; None: of all
        self.always = False  # whether the store is to be asked although nobody requests metrics: they are pushed
        self._written: tuple[bytes, str] | None = None
        self._second = self._times = 0  # start of the current second, and requests since then
        self._asked_at: int | None = None  # None: not since the start
        self._looked_at = 0

    def answered(self, method: str, route: str, status: int, microseconds: int) -> None:
        """Count an HTTP answer. `route` is written as in the API, such as /tasks/{task_id}."""
        found = self._of_route.get((method, route, status))
        if found is None:
            known = method if method in METHODS else "other"  # callers can invent methods
            found = self._requests.labels(known, route, str(status)), self._seconds.labels(known, route)
            if known == method:
                self._of_route[method, route, status] = found
        counter, histogram = found
        counter.inc()
        histogram.observe(microseconds / _SECOND)

    def text(self, tenant: str | None = None) -> tuple[bytes, str]:
        """Return the metrics and their content type: all, or those that tell of one tenant alone.

        After FRESH_A_SECOND requests within a second, it returns the last ones again: writing them takes as long as
        several commands.
        """
        now = self._sources.now()
        if now - self._second >= _SECOND:
            self._second, self._times = now, 0
        self._times += 1
        self._asked_at = now
        if tenant is not None:
            return _written(self._of_tenant(tenant)), CONTENT_TYPE
        if self._written is None or self._times <= FRESH_A_SECOND:
            self._written = _written(self.families()), CONTENT_TYPE
        return self._written

    def families(self) -> list[Metric]:
        """Return all metrics as they are now."""
        return [*self._registry.collect(), *self._stored(None)]

    def _of_tenant(self, tenant: str) -> list[Metric]:
        """Return what tells of one tenant alone, and of none: other series count what all tenants do."""
        up = _gauge("up", "Whether the engine runs.", int(self._sources.running()))
        return [up, *self._build.collect(), *self._stored(tenant)]

    def _stored(self, tenant: str | None) -> Iterator[Metric]:
        """Yield what is counted in the store: waiting work by kind and skills, and leases."""
        rows = self._shown_of.get(tenant)
        if rows is None:
            rows = self._shown([row for row in self._rows if tenant is None or row["tenant"] == tenant], tenant)
            self._shown_of[tenant] = rows
        now = self._sources.now()
        items = GaugeMetricFamily("swarmkeeper_ready_items", "Items that wait for a bot.", labels=_QUEUE)
        oldest = GaugeMetricFamily("swarmkeeper_ready_oldest_seconds", "Age of the oldest item.", labels=_QUEUE)
        for row in rows:
            items.add_metric([row["kind"], row["skills"]], row["items"])
            oldest.add_metric([row["kind"], row["skills"]], max(0, now - row["oldest"]) / _SECOND)
        yield items
        yield oldest
        leases = sum(self._leases.values()) if tenant is None else self._leases.get(tenant, 0)
        yield _gauge("leases", "Leases that bots hold.", leases)

    async def refresh(self) -> None:
        """Count waiting work and leases if metrics were requested lately and the counts are old. Call it every second.

        Raises:
            StoreUnavailable: the metrics stay unchanged.
        """
        now = self._sources.now()
        if self._asked_at is None:  # so that the first request finds queue metrics
            self._asked_at = now
        if (self.always or now - self._asked_at < ASKED_LATELY) and now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            self._rows = await self._store.read("metrics_ready", {})
            self._leases = {row["tenant"]: row["leases"] for row in await self._store.read("metrics_leases", {})}
            self._shown_of = {}

    def _shown(self, rows: Sequence[Mapping[str, Any]], tenant: str | None) -> list[dict[str, Any]]:
        """Sum the waiting work by kind and redacted skills."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        by_queue: dict[tuple[str, str], dict[str, Any]] = {}
        for row in rows:
            same = by_queue.setdefault((row["kind"], row["skills"]), {**row, "items": 0})
            same["items"] += row["items"]
            same["oldest"] = min(same["oldest"], row["oldest"])
        by_size = sorted(by_queue.values(), key=lambda row: (-row["items"], row["kind"], row["skills"]))
        for index, row in enumerate(by_size):
            skills = self._skills(row["skills"], tenant) if index < QUEUES_MAX else OTHER
            shown = found.setdefault((row["kind"], skills), {**row, "skills": skills, "items": 0})
            shown["items"] += row["items"]
            shown["oldest"] = min(shown["oldest"], row["oldest"])
        return list(found.values())

    def _skills(self, listed: str, tenant: str | None) -> str:
        label = ",".join(self._sources.text(skill, tenant) for skill in json.loads(listed))
        return label if len(label) <= SKILLS_LENGTH_MAX else f"{label[:SKILLS_LENGTH_MAX]}…"


class _EngineCollector(Collector):
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        sources, stats = self._sources, self._sources.stats()
        yield _counter("batches", "Batches committed.", stats.batches)
        yield _counter("commands", "Commands executed.", stats.commands)
        yield _counters("events", "Events of tasks, work, bots and keys, by kind.", "kind", stats.events)
        yield _counter("faults", "Commands that failed because of a bug.", stats.faults)
        yield _counter("batch_reruns", "Batches repeated because another process wrote first.", stats.reruns)
        yield _counter("late_results", "Results stored that arrived after their lease was lost.", stats.late_results)
        yield _histogram("batch_size", "Commands committed together.", stats.batch_sizes)
        yield _histogram(
            "batch_seconds", "Duration of a batch, from its start to its commit.", stats.batch_times, _SECOND
        )
        yield _histogram(
            "attempt_seconds", "Duration of an attempt, from its lease to its end.", stats.attempt_times, _SECOND
        )
        yield _counter("unauthenticated", "Calls without a valid key.", sources.failures())
        yield _counter("operations_forged", "Operations refused: their seal does not fit.", sources.forged())
        yield _counter("log_lines_lost", "Log lines that could not be written.", sources.unlogged())
        yield _counters("refused", "Commands refused, by code.", "code", stats.refused)
        yield _counters("attempts_ended", "Ended attempts, by ending.", "ending", stats.endings)
        yield _gauge("batch_seconds_max", "The longest batch since the start.", stats.batch_time_max / _SECOND)
        yield _gauge("batch_commands", "Commands in the last batch.", stats.batch_commands_last)
        yield _gauge("waiting_commands", "Commands accepted and not started.", sources.waiting())
        yield _gauge("parked_polls", "Polls that wait for work.", sources.parked())
        yield _counters("limited", "Calls refused by a limit.", "limit", sources.limited())
        yield _gauges("held", "Current use of each limit by all callers.", "limit", sources.held())
        yield _gauge(
            "clock_ahead_seconds", "Seconds by which engine time is ahead of the wall clock.", sources.ahead() / _SECOND
        )
        outgoing = sources.outgoing()
        if outgoing is not None:
            yield _counter("outgoing_published", "Events published to the outgoing stream.", outgoing.published)
            yield _counter(
                "outgoing_skipped", "Events that left the store before, or were too large.", outgoing.skipped
            )
            yield _gauge("outgoing_behind", "Events still to be published, by any server.", outgoing.behind)
        yield from _of_sinks(sources.sinks())
        yield _gauge("up", "Whether the engine runs.", int(sources.running()))


def _of_sinks(sinks: Mapping[str, tuple[SinkCounters, float]]) -> Iterator[Metric]:
    if not sinks:
        return
    counted = {name: figures for name, (figures, _) in sinks.items()}

    def by_sink(value: Callable[[SinkCounters], float]) -> dict[str, float]:
        return {name: value(figures) for name, figures in counted.items()}

    yield _counters("sink_sent", "Records sent to a sink.", "sink", by_sink(lambda each: each.sent))
    yield _counters("sink_failures", "Failed tries to send to a sink.", "sink", by_sink(lambda each: each.failures))
    yield _gauges("sink_behind_records", "Records that a sink lacks.", "sink", by_sink(lambda each: each.behind))
    seconds = {name: age for name, (_, age) in sinks.items()}
    yield _gauges("sink_behind_seconds", "Age of the oldest record that a sink lacks.", "sink", seconds)
    yield _gauges("sink_stopped", "Whether a sink has refused a record.", "sink", by_sink(lambda each: each.stopped))
    yield _gauges(
        "sink_last_failure_timestamp_seconds",
        "When sending to a sink has failed last, in seconds since the epoch; 0: never.",
        "sink",
        by_sink(lambda each: each.failed_at / _SECOND),
    )


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(f"swarmkeeper_{name}", meaning, value=value)


def _counters(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    return _filled(CounterMetricFamily(f"swarmkeeper_{name}", meaning, labels=[label]), values)


def _histogram(name: str, meaning: str, spread: HistogramData, unit: int = 1) -> Metric:
    bounds = [*(f"{bound / unit:g}" for bound in spread.bounds), "+Inf"]
    counts = accumulate(spread.counts)
    family = HistogramMetricFamily(f"swarmkeeper_{name}", meaning)
    family.add_metric([], list(zip(bounds, counts, strict=True)), sum_value=spread.total / unit)
    return family


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"swarmkeeper_{name}", meaning, value=value)


def _gauges(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    return _filled(GaugeMetricFamily(f"swarmkeeper_{name}", meaning, labels=[label]), values)


def _filled(family: CounterMetricFamily | GaugeMetricFamily, values: Mapping[str, float]) -> Metric:
    for word, count in sorted(values.items()):
        family.add_metric([word], count)
    return family


class _Collected:
    """Metrics that were collected already, for the function that writes them."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Sequence[Metric]:
        return self._families


def _written(families: Sequence[Metric]) -> bytes:
    return generate_latest(cast("CollectorRegistry", _Collected(families)))
