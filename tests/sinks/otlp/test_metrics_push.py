"""The sink `metrics` pushes what Prometheus would scrape: every series with its value, in all forms of OTLP."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from swarmkeeper.app import Orchestrator
from swarmkeeper.settings import Settings
from swarmkeeper.sinks.targets.metrics import written
from tests.http.conftest import Caller, Fleet
from tests.sinks.conftest import WriteSinks, said, settings, work
from tests.sinks.otlp.receivers import BinaryMetrics, Code, GrpcMetrics, WebMetrics
from tests.sinks.otlp.test_grpc import until
from tests.sinks.receivers import Certificates

MEMORY = "sqlite://:memory:"
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(params=[GrpcMetrics, WebMetrics, BinaryMetrics])
async def collector(request: pytest.FixtureRequest, tmp_path: Path, certificates: Certificates) -> AsyncIterator[Any]:
    made = request.param(tmp_path, certificates)
    await made.start()
    yield made
    await made.kill()


def scraped(text: bytes) -> Series:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parsed(text.decode())
        for sample in family.samples
    }


def pushed(push: Any) -> Series:
    """Return a push as Prometheus would show it."""
    found: Series = {}

    def put(name: str, point: Any, value: float, **more: str) -> None:
        labels = {each.key: each.value.string_value for each in point.attributes} | more
        key = (name, tuple(sorted(labels.items())))
        assert key not in found
        found[key] = value

    for metric in [each for of_scope in push.scope_metrics for each in of_scope.metrics]:
        for point in metric.gauge.data_points:
            put(metric.name, point, point.as_double)
        for point in metric.sum.data_points:
            assert metric.sum.is_monotonic
            assert metric.sum.aggregation_temporality == 2
            assert 0 < point.start_time_unix_nano <= point.time_unix_nano
            put(metric.name, point, point.as_double)
        for point in metric.histogram.data_points:
            assert metric.histogram.aggregation_temporality == 2
            total = 0
            for bound, count in zip([*point.explicit_bounds, float("inf")], point.bucket_counts, strict=True):
                total += count
                put(f"{metric.name}_bucket", point, total, le="+Inf" if bound == float("inf") else f"{bound:g}")
            assert total == point.count
            put(f"{metric.name}_sum", point, point.sum)
            put(f"{metric.name}_count", point, point.count)
    return found


def with_short_bounds(series: Series) -> Series:
    """Write each bound in one way: 1 and 1.0 are the same."""
    return {
        (name, tuple((key, v if key != "le" or v == "+Inf" else f"{float(v):g}") for key, v in labels)): value
        for (name, labels), value in series.items()
    }


async def push_that(collector: Any, holds: Callable[[Series], bool]) -> Any:
    async with asyncio.timeout(20):
        while True:
            for push in list(collector.kept.pushes):
                if holds(pushed(push)):
                    return push
            await asyncio.sleep(0.05)


async def test_a_push_has_every_series_of_a_scrape_with_its_value(collector: Any, sinks_file: WriteSinks) -> None:
    async with Orchestrator(settings(MEMORY, sinks_file(collector, interval=1))) as swarm:
        await work(swarm, 3)
        bot = await Fleet(swarm).bot("Executor")
        await bot.report(await bot.one(), output=1)
        await swarm._metrics.refresh()
        at_once = swarm._metrics.families()
        swarm._metrics._registry.collect = lambda: at_once[:-3]  # type: ignore[method-assign]  # it stands still
        text = swarm._metrics.text()[0]
        collector.kept.pushes.clear()
        push = await push_that(collector, bool)

    shown = {key: value for key, value in scraped(text).items() if not key[0].endswith("_created")}
    found = pushed(push)
    oldest = ("swarmkeeper_ready_oldest_seconds", (("kind", "execute"), ("skills", "")))
    assert 0 <= found.pop(oldest) - shown.pop(oldest) < 10
    assert with_short_bounds(found) == with_short_bounds(shown)
    assert found["swarmkeeper_events_total", (("kind", "task.submitted"),)] == 3
    assert ("swarmkeeper_http_requests_total", (("method", "POST"), ("route", "/tasks"), ("status", "201"))) in found
    names = {each.key: each.value.string_value for each in push.resource.attributes}
    assert names["service.name"] == "swarmkeeper"
    assert "/" in names["service.instance.id"]


async def test_units_are_those_that_the_names_say(collector: Any, sinks_file: WriteSinks) -> None:
    async with Orchestrator(settings(MEMORY, sinks_file(collector, interval=1))):
        push = await push_that(collector, bool)

    units = {metric.name: metric.unit for of_scope in push.scope_metrics for metric in of_scope.metrics}
    assert units["swarmkeeper_batch_seconds"] == "s"
    assert units["swarmkeeper_process_cpu_seconds_total"] == "s"
    assert units["swarmkeeper_process_resident_memory_bytes"] == "By"
    assert units["swarmkeeper_commands_total"] == ""


async def test_waiting_work_is_counted_although_nobody_scrapes(
    collector: Any, sinks_file: WriteSinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmkeeper.observe.metrics.ASKED_LATELY", 0)
    monkeypatch.setattr("swarmkeeper.observe.metrics.LOOK_EVERY", 0)
    async with Orchestrator(settings(MEMORY, sinks_file(collector, interval=1))) as swarm:
        await work(swarm, 2)
        labels = (("kind", "execute"), ("skills", ""))
        await push_that(collector, lambda series: series.get(("swarmkeeper_ready_items", labels)) == 2)


async def test_the_last_values_are_pushed_at_a_stop(collector: Any, sinks_file: WriteSinks) -> None:
    async with Orchestrator(settings(MEMORY, sinks_file(collector, interval=3600))) as swarm:
        await push_that(collector, bool)
        await work(swarm, 4)

    last = pushed(collector.kept.pushes[-1])
    assert last["swarmkeeper_events_total", (("kind", "task.submitted"),)] == 4


async def test_a_stop_does_not_wait_for_a_collector_that_does_not_answer(
    collector: Any, sinks_file: WriteSinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("tests.sinks.receivers", "tests.sinks.otlp.receivers"):
        monkeypatch.setattr(f"{module}.SLOW_SECONDS", 8)
    async with Orchestrator(settings(MEMORY, sinks_file(collector, interval=3600))):
        await push_that(collector, bool)
        collector.mode = "slow"
        began = time.monotonic()
    assert time.monotonic() - began < 5
    await collector.kill()


async def test_while_a_collector_fails_the_log_says_so_and_then_sums_go_on(
    collector: Any, sinks_file: WriteSinks, capfd: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    await collector.kill()
    async with Orchestrator(settings(MEMORY, sinks_file(collector, interval=1))) as swarm:
        await work(swarm, 2)
        waits = await said(capfd, "sink_waits", lines)
        warnings = swarm.readiness(verbose=True)["warnings"]
        await collector.start()
        await said(capfd, "sink_goes_on", lines)
        await work(swarm, 1)
        submitted = ("swarmkeeper_events_total", (("kind", "task.submitted"),))
        push = await push_that(collector, lambda series: series.get(submitted) == 3)

    assert waits["sink"] == "metrics"
    assert any("metrics" in str(warning) for warning in warnings), warnings
    assert pushed(push)["swarmkeeper_sink_failures_total", (("sink", "metrics"),)] >= 1


@pytest.mark.parametrize("collector", [GrpcMetrics], indirect=True)
async def test_a_collector_is_left_alone_for_as_long_as_it_says(collector: Any, sinks_file: WriteSinks) -> None:
    collector.mode, collector.code, collector.retry_seconds = "failing", Code.UNAVAILABLE, 3.0
    async with Orchestrator(settings(MEMORY, sinks_file(collector, interval=1))):
        await until(lambda: len(collector.calls) == 2)

    first, second = collector.calls[:2]
    assert second[0] - first[0] >= 3.0


async def test_without_a_table_nothing_is_pushed() -> None:
    async with Orchestrator(Settings(store=MEMORY)) as swarm:
        assert swarm._sinks is None
        assert not swarm._metrics.always


async def test_what_a_key_may_scrape_is_pushed_under_the_same_names(collector: Any, sinks_file: WriteSinks) -> None:
    async with Orchestrator(settings(MEMORY, sinks_file(collector, interval=1))) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        await work(swarm, 1)
        await admin.get("/metrics")
        scrape = (await admin.get("/metrics")).body
        names = {(name, labels) for name, labels in scraped(scrape) if not name.endswith("_created")}
        push = await push_that(collector, lambda series: len(series) >= len(names))

    missing = set(with_short_bounds(dict.fromkeys(names, 0.0))) - set(with_short_bounds(pushed(push)))
    assert missing == set()


def test_numbers_without_a_value_are_written_as_json_can() -> None:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily("a", "b", labels=["c"])
    for name, value in (("x", float("nan")), ("y", float("inf")), ("z", float("-inf"))):
        family.add_metric([name], value)

    (metric,) = written(family, 0, 1)
    assert [each["asDouble"] for each in metric["gauge"]["dataPoints"]] == ["NaN", "Infinity", "-Infinity"]
