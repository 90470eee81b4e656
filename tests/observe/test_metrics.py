"""Prometheus metrics: names, labels and cost."""

import json

from swarmkeeper.observe.metrics import ASKED_LATELY, LOOK_EVERY, QUEUES_MAX, Metrics
from tests.observe.conftest import SECOND, Clock, CountedStore


def lines(metrics: Metrics) -> set[str]:
    return set(metrics.text()[0].decode().splitlines())


async def test_engine_counters_and_waiting_work_are_reported(metrics: Metrics) -> None:
    await metrics.refresh()

    assert lines(metrics) >= {
        'swarmkeeper_build_info{version="9.9"} 1.0',
        "swarmkeeper_commands_total 10.0",
        'swarmkeeper_refused_total{code="lease_lost"} 2.0',
        'swarmkeeper_attempts_ended_total{ending="succeeded"} 5.0',
        "swarmkeeper_waiting_commands 1.0",
        "swarmkeeper_parked_polls 2.0",
        "swarmkeeper_leases 3.0",
        "swarmkeeper_unauthenticated_total 4.0",
        "swarmkeeper_up 1.0",
        'swarmkeeper_events_total{kind="task.submitted"} 6.0',
        'swarmkeeper_batch_seconds_bucket{le="0.00025"} 2.0',
        'swarmkeeper_batch_seconds_bucket{le="0.0005"} 3.0',
        'swarmkeeper_batch_seconds_bucket{le="+Inf"} 4.0',
        "swarmkeeper_batch_seconds_sum 9.000701",
        "swarmkeeper_batch_seconds_max 9.0",
        'swarmkeeper_batch_size_bucket{le="2"} 0.0',
        'swarmkeeper_batch_size_bucket{le="4"} 1.0',
        'swarmkeeper_ready_items{kind="execute",skills="a\\"b,c"} 3.0',
        'swarmkeeper_ready_oldest_seconds{kind="execute",skills="a\\"b,c"} 95.0',
    }


async def test_secret_skills_are_redacted_and_equal_redactions_are_summed(
    metrics: Metrics, store: CountedStore
) -> None:
    store.waiting = [
        {
            "tenant": "acme",
            "kind": "execute",
            "skills": json.dumps([f"AKIA{letters * 4}"]),
            "items": items,
            "oldest": items * SECOND,
        }
        for letters, items in (("QYLP", 3), ("MN5H", 4))
    ]

    await metrics.refresh()

    queues = {line for line in lines(metrics) if line.startswith("swarmkeeper_ready")}
    assert queues == {
        'swarmkeeper_ready_items{kind="execute",skills="[redacted:aws-access-key]"} 7.0',
        'swarmkeeper_ready_oldest_seconds{kind="execute",skills="[redacted:aws-access-key]"} 97.0',
    }


async def test_every_metric_name_has_our_prefix(metrics: Metrics) -> None:
    metrics.answered("GET", "/tasks", 200, 1000)
    await metrics.refresh()

    assert [line for line in lines(metrics) if not line.startswith(("#", "swarmkeeper_"))] == []


def test_an_invented_method_is_not_a_label(metrics: Metrics) -> None:
    for number in range(50):
        metrics.answered(f"MADE-UP-{number}", "(none)", 405, 1000)

    assert 'swarmkeeper_http_requests_total{method="other",route="(none)",status="405"} 50.0' in lines(metrics)
    assert not any("MADE-UP" in line for line in lines(metrics))


async def test_queues_are_counted_rarely_and_only_while_metrics_are_requested(
    metrics: Metrics, store: CountedStore, clock: Clock
) -> None:
    for _ in range(3):
        await metrics.refresh()
    assert store.asked == 1

    clock.now += LOOK_EVERY
    await metrics.refresh()
    assert store.asked == 2

    clock.now += ASKED_LATELY
    await metrics.refresh()
    assert store.asked == 2
    metrics.text()
    await metrics.refresh()
    assert store.asked == 3


async def test_a_caller_cannot_choose_how_many_series_there_are(metrics: Metrics, store: CountedStore) -> None:
    store.waiting = [
        {
            "tenant": "acme",
            "kind": "execute",
            "skills": json.dumps([f"s{number}"]),
            "items": 1 + number,
            "oldest": number * SECOND,
        }
        for number in range(11_002)
    ]
    store.waiting += [
        {"tenant": "acme", "kind": "plan", "skills": json.dumps(["p" * 128] * 100), "items": 99_999, "oldest": 1}
    ]

    await metrics.refresh()

    series = [line for line in metrics.text()[0].decode().splitlines() if line.startswith("swarmkeeper_ready_items")]
    assert len(series) == QUEUES_MAX + 1
    assert 'swarmkeeper_ready_items{kind="execute",skills="s11001"} 11002.0' in series
    rest = sum(1 + number for number in range(11_002 - (QUEUES_MAX - 1)))
    (others,) = [line for line in series if line.startswith('swarmkeeper_ready_items{kind="execute",skills="other"}')]
    assert float(others.rpartition(" ")[2]) == rest
    assert max(map(len, series)) < 300


async def test_limits_are_reported_with_their_refusals(metrics: Metrics) -> None:
    assert lines(metrics) >= {'swarmkeeper_held{limit="polls"} 7.0', 'swarmkeeper_limited_total{limit="polls"} 8.0'}


async def test_the_first_request_after_a_start_finds_waiting_work(
    metrics: Metrics, store: CountedStore, clock: Clock
) -> None:
    clock.now += 2 * ASKED_LATELY  # engine time begins with the start of the engine, after metrics were made

    await metrics.refresh()

    assert store.asked == 1
    assert any(line.startswith("swarmkeeper_ready_items{") for line in lines(metrics))
