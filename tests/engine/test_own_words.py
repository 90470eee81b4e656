"""Redaction skips members made by the engine, and never skips a value from outside."""

import json
from typing import Any

import pytest

from swarmkeeper.govern import audit
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.sim.harness import Harness

# A planner chooses the keys of subtasks; these secrets have the form of a key.
SECRETS = (
    "xoxb-123456789012-1234567890123-abcdefghijklmnopqrstuvwx",
    "glpat-abcdefghij0123456789",
    "4111-1111-1111-1111",
)
RULE = 'version = 1\n[[field]]\nid = "bots"\nkeys = ["bot"]\nhit = ["bot"]\nmiss = ["robot"]\n'


def evidence(swarm: Harness) -> str:
    """Return all evidence as one text."""
    events = [dict(row) for row in swarm.rows("SELECT body, kind, actor FROM event")]
    leaves = [f"{row['leaf']!r} {row['body']!r}" for row in swarm.rows("SELECT leaf, body FROM audit_leaf")]
    return json.dumps(events) + "\n".join(leaves)


@pytest.mark.parametrize("secret", SECRETS)
def test_no_event_contains_a_secret_from_a_subtask_key(swarm: Harness, secret: str) -> None:
    task = swarm.submit([secret, "plain"], evaluation="each")
    executor, judge = swarm.bot("executor", capacity=4), swarm.bot("judge", "Evaluator", owner="other")
    for _ in range(2):
        lease = swarm.take(executor)
        swarm.beat(lease)
        swarm.report(lease, error="retryable", message="no luck")
        swarm.advance(60)
    for bot in (executor, executor, judge, judge):
        lease = swarm.take(bot)
        swarm.report(lease)

    assert {"work.leased", "work.submitted", "work.attempt_failed", "work.accepted"} <= set(swarm.kinds(task))
    assert secret not in evidence(swarm)
    assert '\\"key\\": \\"plain\\"' in evidence(swarm).replace('\\":\\"', '\\": \\"')


def test_values_made_by_the_engine_are_not_redacted(swarm: Harness) -> None:
    swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"))
    swarm.report(lease, output={"n": 1})

    (body,) = (json.loads(row["body"]) for row in swarm.rows("SELECT body FROM event WHERE kind = 'work.succeeded'"))

    assert {"key", "kind", "attempt", "round", "bot", "sha256", "bytes"} <= body.keys()
    assert body["bot"] == lease.bot
    assert len(body["sha256"]) == 64


@pytest.mark.parametrize("said", [{}, {"key": "a"}, {"key": SECRETS[0]}, {"key": 1.5}, {"more": {"key": SECRETS[1]}}])
def test_own_and_scanned_members_are_redacted_like_one_value(said: dict[str, Any]) -> None:
    redactor = Redactor.default()
    own = {"kind": "execute", "attempt": 1, "bot": "bot_06DNDML800FJ53NVLU8B87T2TI"}
    for _ in range(2):  # the second time from memory
        split, whole = redactor.redact(said, own), redactor.redact({**own, **said})

        assert (split.value, split.fields) == (whole.value, whole.fields)


def test_a_field_rule_applies_to_members_made_by_the_engine() -> None:
    redactor = Redactor.default(RULE)

    assert redactor.redact({"key": "a"}, {"bot": "bot_1"}).value == {"key": "a", "bot": "[redacted:bots]"}


CONTENTS: tuple[dict[str, Any], ...] = (
    {"a": 1.5},
    {"b": [1e22, {"c": -0.0}]},
    {"ü": "é", "a": 2**53 - 1},
    {"\ufffd": 1, "\U0001f600": 2},  # in UTF-16 order the second comes first
    {"deep": {"list": [True, None, "x"]}},
)


@pytest.mark.parametrize("said", CONTENTS)
def test_evidence_is_canonical_json_for_any_input(said: dict[str, Any]) -> None:
    value = Redactor.default().redact(said).value
    content = {"payload": value, "n": [1]}

    assert audit._of_evidence(content, (value,)) == audit.canonical(content)
