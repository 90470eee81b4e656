"""The sink `metrics`: what Prometheus would scrape, for a collector of OpenTelemetry, over OTLP.

Names, labels and values are those of the scrape, as a collector that scrapes would have them: a counter is a sum with
the name of its sample. Sums and histograms are cumulative, from the time at which they were created.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prometheus_client import Metric
from prometheus_client.samples import Sample

from swarmkeeper.sinks.records import SinkRecord
from swarmkeeper.sinks.targets.otlp import OtlpCalls, resource, text

_CUMULATIVE = 2
_UNITS = (("_seconds", "s"), ("_bytes", "By"))  # how names end, and the unit that UCUM calls it
Labels = tuple[tuple[str, str], ...]


class MetricsTarget:
    """Sends metrics. Also implements `SinkTarget`, for `sinks check`: that sends a metric of its own."""

    pace = 0.0

    def __init__(self, calls: OtlpCalls) -> None:
        self._calls, self.place = calls, calls.place

    async def open(self) -> None:
        await self._calls.open()

    async def send(self, records: Sequence[SinkRecord]) -> int:
        at = str(records[-1].at * 1000)
        await self._export([_gauge("swarmkeeper_sinks_check", "", [_value({}, 1.0, at)])], {})
        return len(records)

    async def push(self, families: Iterable[Metric], server: str, began: int, now: int) -> None:
        """Send all metrics.

        Args:
            server: which server it is, in the whole swarm.
            began: when the counters began that do not say so themselves, in microseconds.
        """
        names = {"service.instance.id": server}
        await self._export([each for family in families for each in written(family, began, now)], names)

    async def _export(self, metrics: list[dict[str, Any]], names: Mapping[str, str]) -> None:
        scope = {"scope": {"name": "swarmkeeper"}, "metrics": metrics}
        await self._calls.export({"resourceMetrics": [{"resource": resource(**names), "scopeMetrics": [scope]}]})

    async def close(self) -> None:
        await self._calls.close()


def written(family: Metric, began: int, now: int) -> list[dict[str, Any]]:
    """Return a family of Prometheus as metrics of OTLP; times are in microseconds."""
    at, since = str(now * 1000), str(began * 1000)
    created = {_key(each): f"{each.value * 1e9:.0f}" for each in family.samples if each.name.endswith("_created")}
    samples = [each for each in family.samples if not each.name.endswith("_created")]
    about = {"description": family.documentation, "unit": _unit(family.name)}
    if family.type == "histogram":
        points = [_histogram(key, each, created.get(key, since), at) for key, each in _by_labels(samples).items()]
        return [{"name": family.name, **about, "histogram": {"dataPoints": points, **_sums()}}] if points else []
    if family.type == "counter":
        values = [
            {**_value(each.labels, each.value, at), "startTimeUnixNano": created.get(_key(each), since)}
            for each in samples
        ]
        name = f"{family.name}_total"
        return (
            [{"name": name, **about, "sum": {"dataPoints": values, **_sums(), "isMonotonic": True}}] if values else []
        )
    found: dict[str, list[dict[str, Any]]] = {}
    for each in samples:
        found.setdefault(each.name, []).append(_value(each.labels, each.value, at))
    return [_gauge(name, family.documentation, values) for name, values in found.items()]


def _sums() -> dict[str, Any]:
    return {"aggregationTemporality": _CUMULATIVE}


def _gauge(name: str, meaning: str, values: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": name, "description": meaning, "unit": _unit(name), "gauge": {"dataPoints": values}}


def _unit(name: str) -> str:
    return next((unit for end, unit in _UNITS if name.endswith(end)), "")


def _value(labels: Mapping[str, str], value: float, at: str) -> dict[str, Any]:
    return {"attributes": _attributes(labels.items()), "timeUnixNano": at, "asDouble": _double(value)}


def _attributes(labels: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{"key": name, "value": text(value)} for name, value in labels]


def _double(value: float) -> float | str:
    """Return a number as JSON has it: it has no infinity."""
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _key(sample: Sample) -> Labels:
    return tuple((name, value) for name, value in sample.labels.items() if name != "le")


def _by_labels(samples: Iterable[Sample]) -> dict[Labels, list[Sample]]:
    found: dict[Labels, list[Sample]] = {}
    for each in samples:
        found.setdefault(_key(each), []).append(each)
    return found


def _histogram(labels: Labels, samples: Sequence[Sample], since: str, at: str) -> dict[str, Any]:
    """Return a data point. Prometheus counts up to each bound, OTLP between two bounds."""
    buckets = [(float(each.labels["le"]), int(each.value)) for each in samples if each.name.endswith("_bucket")]
    totals = [count for _, count in buckets]
    counts = [count - before for count, before in zip(totals, [0, *totals], strict=False)]
    sums = [each.value for each in samples if each.name.endswith("_sum")]
    return {
        "attributes": _attributes(labels),
        "startTimeUnixNano": since,
        "timeUnixNano": at,
        "count": str(totals[-1]),
        "sum": _double(sums[0]),
        "bucketCounts": [str(count) for count in counts],
        "explicitBounds": [bound for bound, _ in buckets if math.isfinite(bound)],
    }
