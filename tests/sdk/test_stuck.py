"""Code that goes on after its lease is lost, as reported by heartbeats."""

from itertools import pairwise

import pytest

from swarmkeeper.sdk.attempts.at_work import LINGERING_SECONDS
from tests.sdk.script import HEARTBEAT, Call, Stubborn, directives, lease, orchestrator, served


def beats_of(bot: Stubborn, seconds: float) -> list[Call]:
    """Return all heartbeats of a bot whose work is taken back with the first of them."""
    script = orchestrator(lease(), heartbeats=directives("lost"))
    served(script, bot, seconds=seconds, drain_seconds=0)
    return script.to("POST", HEARTBEAT)


def test_heartbeats_report_stuck_code_until_it_ends() -> None:
    first, *others, last = beats_of(Stubborn(100), seconds=200)

    assert "stuck" not in first.body
    for beat in others:
        [stuck] = beat.body["stuck"]
        assert beat.body["leases"] == []
        assert stuck["work_id"] == "sub_1"
        assert stuck["where"].startswith("script.py:")
        assert stuck["where"].endswith(" in execute")
        assert stuck["seconds"] == pytest.approx(beat.at - first.at, abs=0.2)
    assert others[0].at - first.at == pytest.approx(LINGERING_SECONDS, abs=0.2)
    assert {round(after.at - before.at) for before, after in pairwise(others)} == {10}  # the rhythm
    assert last.body == {"leases": []}
    assert last.at - first.at > 95


def test_code_that_ends_soon_after_its_lease_was_lost_is_not_reported_as_stuck() -> None:
    beats = beats_of(Stubborn(LINGERING_SECONDS - 1), seconds=60)

    assert [beat.body.get("stuck") for beat in beats] == [None]
