"""The Grafana dashboard queries only existing metrics, and shows all of them."""

import json
import re

from swarmkeeper.observe.metrics import Metrics
from tests.tidy.tree import ROOT

DASHBOARD = ROOT / "deploy" / "grafana" / "swarmkeeper.json"
NOT_SHOWN = {
    "swarmkeeper_clock_ahead_seconds",  # `/readyz?verbose` warns of it
    "swarmkeeper_build",  # a fact, not a figure
    "swarmkeeper_sink_last_failure_timestamp_seconds",  # a moment, not a figure: `/readyz?verbose` has the reason
    "swarmkeeper_batches",  # the count of batch_seconds
    "swarmkeeper_batch_commands",  # batch_size has more detail
    "swarmkeeper_process_virtual_memory_bytes",
    "swarmkeeper_process_start_time_seconds",
    "swarmkeeper_process_open_fds",
    "swarmkeeper_process_max_fds",
}


def families(metrics: Metrics) -> set[str]:
    metrics.answered("GET", "/tasks", 200, 5)
    return set(re.findall(r"^# TYPE (\w+?)(?:_total|_info|_created)? ", metrics.text()[0].decode(), re.MULTILINE))


def asked_for() -> set[str]:
    text = json.dumps(json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"])
    return {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in re.findall(r"swarmkeeper_\w+", text)}


async def test_the_dashboard_shows_exactly_the_existing_metrics(metrics: Metrics) -> None:
    await metrics.refresh()

    assert asked_for() - families(metrics) == set()
    assert families(metrics) - asked_for() == NOT_SHOWN


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
