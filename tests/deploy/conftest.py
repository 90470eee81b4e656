"""Fixtures: what a server shows of its metrics."""

from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from swarmkeeper.observe.metrics import Metrics
from tests.observe.conftest import clock, metrics, stats, store

__all__ = ["clock", "metrics", "samples", "stats", "store"]


@pytest.fixture
async def samples(metrics: Metrics) -> Mapping[str, set[str]]:
    """The labels of each sample that the server shows, by its name."""
    await metrics.refresh()
    metrics.answered("GET", "/tasks", 200, 5)
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics.text()[0].decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found
