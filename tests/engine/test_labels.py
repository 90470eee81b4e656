"""Labels of subtasks through the engine: what flows where, in plans, rework and retries, and who gets such work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from swarmkeeper.core.errors import InvalidPlan
from swarmkeeper.core.policies import labels
from swarmkeeper.core.policies.labels import WorkLabels
from swarmkeeper.policy import cedar
from swarmkeeper.policy.files import shipped
from swarmkeeper.sim.harness import Harness

PRIVATE, UNTRUSTED, EGRESS = ({name: ""} for name in ("private", "untrusted", "egress"))
CHAIN: list[dict[str, Any]] = [
    {"key": "send", "labels": EGRESS, "depends_on": ["sum"]},  # before those it depends on: order does not matter
    {"key": "read", "labels": PRIVATE},
    {"key": "fetch", "labels": UNTRUSTED, "depends_on": ["read"]},
    {"key": "sum", "depends_on": ["fetch"]},
]
INTO_SEND = (("private", "", "read"), ("untrusted", "", "fetch"))


@pytest.fixture(autouse=True)
def no_policies_remain(swarm: Harness) -> Iterator[None]:
    yield
    swarm.engine._rules.policies = None  # the rules are shared by all harnesses


def keep_the_trifecta_apart(swarm: Harness) -> None:
    base = [str(shipped("all.cedar")), str(shipped("no-lethal-trifecta.cedar"))]
    swarm.engine._rules.policies = cedar.load(base)


def inflow(swarm: Harness, task: str) -> dict[str, Any]:
    return {key: work.labels and work.labels.inflow for key, work in swarm.works(task).items()}


def do_all(swarm: Harness, bot: str) -> list[str]:
    """Do all work that the bot gets, and return the keys."""
    done = []
    while leases := swarm.leases(bot, 16):
        for lease in leases:
            swarm.report(lease)
            done.append(lease.key)
    return done


def test_what_a_subtask_has_flows_into_all_that_depend_on_it(swarm: Harness) -> None:
    task = swarm.submit(CHAIN)

    assert inflow(swarm, task) == {
        "read": (),
        "fetch": (("private", "", "read"),),
        "sum": INTO_SEND,
        "send": INTO_SEND,
    }
    assert swarm.work(task, "send").labels == WorkLabels((("egress", ""),), INTO_SEND)
    assert [name for name, _, _ in swarm.task(task).subtask_labels] == ["egress", "private", "untrusted"]


def test_no_bot_gets_work_with_a_way_out_into_which_private_data_and_untrusted_text_flow(swarm: Harness) -> None:
    keep_the_trifecta_apart(swarm)
    task = swarm.submit(CHAIN)
    bot = swarm.bot("w", capacity=16)

    assert do_all(swarm, bot) == ["read", "fetch", "sum"]

    assert swarm.statuses(task)["send"] == "READY"


@pytest.mark.parametrize("without", ["read", "fetch", "send"])
def test_with_two_of_the_three_it_is_done(swarm: Harness, without: str) -> None:
    keep_the_trifecta_apart(swarm)
    swarm.submit([{**node, "labels": {}} if node["key"] == without else node for node in CHAIN])

    assert do_all(swarm, swarm.bot("w", capacity=16))[-1] == "send"


def test_work_that_depends_on_a_way_out_has_none_itself_and_is_reviewed_with_all_results(swarm: Harness) -> None:
    keep_the_trifecta_apart(swarm)
    task = swarm.submit(
        [
            {"key": "ask", "labels": EGRESS | UNTRUSTED},
            {"key": "read", "labels": PRIVATE},
            {"key": "sum", "depends_on": ["ask", "read"]},
        ]
    )

    assert do_all(swarm, swarm.bot("w", capacity=16)) == ["ask", "read", "sum"]
    assert swarm.take(swarm.bot("judge", "Evaluator")).key == "review/1/1"

    review = swarm.work(task, "review/1/1").labels
    assert review == WorkLabels((), (("egress", "", "ask"), ("private", "", "read"), ("untrusted", "", "ask")))


def test_a_label_that_the_task_gets_later_counts_for_all_unfinished_work(swarm: Harness) -> None:
    keep_the_trifecta_apart(swarm)
    task = swarm.submit([{"key": "read", "labels": PRIVATE}, {"key": "send", "labels": EGRESS, "depends_on": ["read"]}])
    bot = swarm.bot("w")
    swarm.report(swarm.take(bot))

    swarm.update(task, labels={"untrusted": "a stranger wrote the description"})

    assert not swarm.leases(bot)
    swarm.update(task, labels={})
    assert swarm.take(bot).key == "send"


@pytest.mark.parametrize(
    ("error", "when"), [("not_retryable", "failure"), (None, "failure"), ("not_retryable", "done")]
)
def test_labels_flow_whatever_becomes_of_a_dependency(swarm: Harness, error: str | None, when: str) -> None:
    task = swarm.submit(
        [
            {"key": "read", "labels": PRIVATE},
            {"key": "after", "depends_on": [{"key": "read", "when": when}]},
            {"key": "last", "depends_on": [{"key": "after", "when": "done"}]},
        ]
    )
    swarm.report(swarm.take(swarm.bot("w")), error=error)

    assert swarm.statuses(task)["after"] == ("READY" if error else "SKIPPED")
    assert inflow(swarm, task)["last"] == (("private", "", "read"),)


def test_a_planner_labels_subtasks_and_cannot_take_away_what_the_task_has(swarm: Harness) -> None:
    keep_the_trifecta_apart(swarm)
    task = swarm.submit(None, labels=PRIVATE | UNTRUSTED)
    swarm.report(swarm.take(swarm.bot("p", "Planner")), plan=[{"key": "send", "labels": EGRESS}, {"key": "stay"}])

    assert do_all(swarm, swarm.bot("w")) == ["stay"]
    assert swarm.statuses(task)["send"] == "READY"


def test_a_plan_with_too_many_labels_is_refused(swarm: Harness) -> None:
    many = [{"key": f"k{n}", "labels": {f"l{n}": ""}} for n in range(labels.DIFFERENT_MAX + 1)]

    with pytest.raises(InvalidPlan) as refused:
        swarm.submit(many)

    assert [code for _, code, _ in refused.value.details] == ["too_many_labels"]
    assert swarm.submit(many[:-1])


def test_a_long_plan_in_slices_has_the_labels_of_a_short_one(swarm: Harness) -> None:
    nodes: list[dict[str, Any]] = [{"key": "k0", "labels": PRIVATE}]
    nodes += [{"key": f"k{n}", "depends_on": [f"k{n // 2}"]} for n in range(1, 1200)]
    task = swarm.submit(reversed(nodes[:600]))
    task = swarm.submit(reversed(nodes))
    swarm.advance(5)

    found = inflow(swarm, task)

    assert len(found) == 1200
    assert {flow for key, flow in found.items() if key != "k0"} == {(("private", "", "k0"),)}


# ---- rework and retries --------------------------------------------------------------------------------------------


def reworked(swarm: Harness, nodes: list[dict[str, Any]], verdict: dict[str, Any]) -> str:
    task = swarm.submit(nodes)
    do_all(swarm, swarm.bot("w", capacity=16))
    swarm.report(swarm.take(swarm.bot("judge", "Evaluator")), verdict={"decision": "rework", **verdict})
    swarm.advance(1)
    return task


APART: list[dict[str, Any]] = [
    {"key": "read", "labels": PRIVATE},
    {"key": "fetch", "labels": UNTRUSTED},
    {"key": "tell", "labels": EGRESS},
    {"key": "after", "depends_on": ["tell"]},
]
ALL = (("egress", "", "tell"), ("private", "", "read"), ("untrusted", "", "fetch"))


def test_feedback_carries_the_labels_of_all_that_its_author_has_seen(swarm: Harness) -> None:
    task = reworked(swarm, APART, {"targets": [{"subtask": "tell", "feedback": "tell them more"}]})

    assert inflow(swarm, task) == {
        "read": (),
        "fetch": (),
        "tell": ALL,
        "after": ALL,
        "review/1/1": ALL,
    }
    keep_the_trifecta_apart(swarm)
    assert not do_all(swarm, swarm.bot("again"))


def test_rework_without_feedback_carries_none(swarm: Harness) -> None:
    task = reworked(swarm, APART, {"targets": [{"subtask": "tell"}]})

    assert inflow(swarm, task)["tell"] == ()
    keep_the_trifecta_apart(swarm)
    assert do_all(swarm, swarm.bot("again")) == ["tell", "after"]


def test_reasons_of_a_rework_without_targets_are_feedback_to_what_is_done_again(swarm: Harness) -> None:
    task = reworked(swarm, APART, {"reasons": ["not good enough"]})

    assert inflow(swarm, task)["after"] == ALL
    assert inflow(swarm, task)["tell"] == (), "it is not done again"


def test_into_subtasks_that_a_review_adds_flows_all_that_it_has_seen(swarm: Harness) -> None:
    new = [{"key": "more", "labels": {"own": "1"}, "depends_on": ["read"]}, {"key": "end", "depends_on": ["more"]}]
    task = reworked(swarm, APART, {"subtasks": new})

    assert inflow(swarm, task)["more"] == ALL
    assert inflow(swarm, task)["end"] == (ALL[0], ("own", "1", "more"), *ALL[1:])
    assert ("own", "1", "more") in swarm.task(task).subtask_labels


def test_what_has_flowed_in_stays_when_the_task_is_tried_again(swarm: Harness) -> None:
    task = reworked(swarm, APART, {"targets": [{"subtask": "tell", "feedback": "tell them more"}]})
    swarm.report(swarm.take(swarm.bot("again")), error="not_retryable")
    swarm.advance(30)

    swarm.retry(task)
    swarm.advance(1)

    assert inflow(swarm, task)["tell"] == inflow(swarm, task)["after"] == ALL
    assert inflow(swarm, task)["read"] == ()


def test_the_review_of_one_subtask_sees_what_flowed_into_it(swarm: Harness) -> None:
    task = swarm.submit(CHAIN[1:], evaluation="each")
    swarm.report(swarm.take(swarm.bot("w")))

    assert inflow(swarm, task)["review-of/read/1"] == (("private", "", "read"),)


# ---- evidence ------------------------------------------------------------------------------------------------------


def test_the_record_of_a_lease_says_by_which_labels_it_was_decided(swarm: Harness) -> None:
    keep_the_trifecta_apart(swarm)
    task = swarm.submit([{"key": "read", "labels": PRIVATE}, {"key": "sum", "depends_on": ["read"]}], labels={"t": "1"})
    bot = swarm.bot("w")
    swarm.report(swarm.take(bot))

    swarm.take(bot)

    rows = swarm.rows("SELECT body FROM audit_leaf WHERE action = 'work.lease' ORDER BY place")
    bodies = [json.loads(bytes(row["body"])) for row in rows]
    assert [body["payload"]["labels"] for body in bodies] == [
        {swarm.work(task, "read").id: [["private", "", "read"], ["t", "1", None]]},
        {swarm.work(task, "sum").id: [["t", "1", None], ["private", "", "read"]]},
    ]


def test_the_same_history_gives_the_same_labels(swarm: Harness) -> None:
    first, second = swarm.submit(CHAIN), swarm.submit([*CHAIN[1:], CHAIN[0]])

    assert inflow(swarm, first) == inflow(swarm, second)
