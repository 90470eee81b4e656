"""Log lines and progress of heartbeats: nothing is lost or repeated, and the log is bounded."""

from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.rules.heartbeat_log import CHARACTERS_MAX, LINE_LENGTH_MAX, LINES_MAX, joined

LINES = st.lists(st.text(max_size=20), max_size=8)
SAID = st.fixed_dictionaries(
    {}, optional={"fraction": st.floats(0, 1), "message": st.text(max_size=5), "log": st.lists(st.text(), max_size=80)}
)


def test_the_lines_of_several_heartbeats_are_joined() -> None:
    said = joined(joined(None, {"log": ["began"]}), {"fraction": 0.5, "log": ["half way"]})

    assert said == {"fraction": 0.5, "log": ["began", "half way"]}


@given(LINES, LINES)
def test_lines_repeated_after_a_lost_answer_are_not_doubled(first: list[str], more: list[str]) -> None:
    """The SDK sends new lines together with those that may not have arrived."""
    before = joined(None, {"log": first})

    assert joined(before, {"log": first}) == before
    assert joined(before, {"log": [*first, *more]}).get("log", []) == [*first, *more]


@given(st.lists(SAID, max_size=6))
def test_the_kept_log_is_bounded_and_has_the_last_line(heartbeats: list[dict[str, object]]) -> None:
    kept: dict[str, object] = {}
    last = None
    for said in heartbeats:
        kept = joined(kept, said)
        log = said.get("log")
        last = log[-1] if isinstance(log, list) and log else last

    lines = kept.get("log", [])
    assert isinstance(lines, list)
    assert len(lines) <= LINES_MAX
    assert sum(map(len, lines)) <= CHARACTERS_MAX
    assert last is None or lines[-1] == last


def test_long_lines_are_cut_and_the_last_lines_kept() -> None:
    said = joined(None, {"log": [f"{number} " + "x" * 2_000 for number in range(100)]})

    assert all(len(line) == LINE_LENGTH_MAX for line in said["log"])
    assert said["log"][-1].startswith("99 ")
    assert len(said["log"]) == CHARACTERS_MAX // LINE_LENGTH_MAX


def test_a_new_fraction_removes_the_old_message() -> None:
    said = joined({"fraction": 0.1, "message": "reading", "log": ["a"]}, {"fraction": 0.9})

    assert said == {"fraction": 0.9, "log": ["a"]}
