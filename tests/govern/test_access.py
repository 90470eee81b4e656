"""The role table, cell by cell, against a second copy of the table in the documentation."""

from __future__ import annotations

import pytest

from swarmkeeper.core.model import Principal
from swarmkeeper.govern.access import ROLES, Action, Role, may, why_not

CLIENT = {
    *("task.submit", "task.read", "task.update", "task.cancel", "task.pause", "task.resume", "task.retry"),
    *("task.archive", "task.message", "output.read", "session.open"),
}
BOT = {
    *("bot.register", "work.lease", "work.report", "work.beat", "work.release", "work.ask", "secret.resolve"),
    *("task.read_held", "task.message_held"),
}
VIEWER = {"task.read", "bot.read", "skill.read", "event.read", "approval.read", "session.open"}
TABLE: dict[str, set[str]] = {
    "client": CLIENT,
    "bot:planner": BOT,
    "bot:executor": BOT,
    "bot:evaluator": BOT,
    "operator": CLIENT
    | {"bot.read", "bot.drain", "bot.enable", "bot.delete", "skill.read", "event.read", "late.read"}
    | {"approval.read", "ops.metrics", "ops.verbose", "legal_hold.read", "legal_hold.manage"}
    | {"kill.read", "kill.manage"},
    "approver": VIEWER | {"output.read", "approval.decide"},
    "viewer": VIEWER,
    "auditor": {
        *("task.read", "bot.read", "skill.read", "event.read", "audit.read", "approval.read", "key.read"),
        *("legal_hold.read", "person.read", "session.open"),
        "kill.read",
        "redaction.test",
    },
    "admin": {str(action) for action in Action},
}


def who(role: str) -> Principal:
    return Principal("acme", "key_1", role)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("action", Action)
def test_each_role_may_what_the_table_says_and_nothing_else(role: Role, action: Action) -> None:
    assert may(who(role), action) is (action in TABLE[role])


def test_the_table_names_every_role() -> None:
    assert set(ROLES) == set(Role) == set(TABLE)


def test_an_auditor_never_reads_outputs_and_a_bot_only_tasks_it_holds() -> None:
    assert not may(who("auditor"), "output.read")
    assert not may(who("auditor"), "late.read")
    assert not may(who("bot:executor"), "task.read")


@pytest.mark.parametrize("role", ["", "root", "Admin", "bot", "bot:"])
def test_a_role_that_nobody_knows_may_nothing(role: str) -> None:
    assert not any(may(who(role), action) for action in Action)


def test_an_action_that_is_not_in_the_table_is_a_mistake_of_ours() -> None:
    with pytest.raises(AssertionError, match="one of Action"):
        may(who("admin"), "task.destroy")


def test_a_refusal_says_who_may_and_does_not_repeat_a_strange_role() -> None:
    assert why_not(who("client"), "bot.drain") == "client may not bot.drain; these may: operator, admin"
    assert "<script>" not in why_not(who("<script>"), "bot.drain")
