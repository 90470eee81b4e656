"""Roles and permissions: one table from role to actions. Ownership of a task or lease is checked elsewhere.

A role that has `task.read_held` or `task.message_held`, but not the plain action, may do it for tasks of which it holds
a lease.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from swarmkeeper.core.model import Principal


class Action(StrEnum):
    TASK_SUBMIT = "task.submit"
    TASK_READ = "task.read"
    TASK_READ_HELD = "task.read_held"
    TASK_UPDATE = "task.update"
    TASK_CANCEL = "task.cancel"
    TASK_PAUSE = "task.pause"
    TASK_RESUME = "task.resume"
    TASK_RETRY = "task.retry"
    TASK_ARCHIVE = "task.archive"
    TASK_ERASE = "task.erase"
    TASK_MESSAGE = "task.message"
    TASK_MESSAGE_HELD = "task.message_held"
    OUTPUT_READ = "output.read"
    WORK_LEASE = "work.lease"
    WORK_REPORT = "work.report"
    WORK_BEAT = "work.beat"
    WORK_RELEASE = "work.release"
    WORK_ASK = "work.ask"
    BOT_REGISTER = "bot.register"
    BOT_READ = "bot.read"
    BOT_DRAIN = "bot.drain"
    BOT_ENABLE = "bot.enable"
    BOT_DELETE = "bot.delete"
    SKILL_READ = "skill.read"
    EVENT_READ = "event.read"  # the tenant's whole feed; a task's own events come with task.read
    LATE_READ = "late.read"
    AUDIT_READ = "audit.read"
    REDACTION_TEST = "redaction.test"
    APPROVAL_READ = "approval.read"
    APPROVAL_DECIDE = "approval.decide"
    KEY_READ = "key.read"
    KEY_MANAGE = "key.manage"
    PERSON_READ = "person.read"
    PERSON_MANAGE = "person.manage"
    TENANT_ERASE = "tenant.erase"
    SESSION_OPEN = "session.open"  # signing in with a browser
    TENANT_MANAGE = "tenant.manage"
    SECRET_RESOLVE = "secret.resolve"
    SECRET_READ = "secret.read"  # names and versions, never values
    SECRET_MANAGE = "secret.manage"
    LEGAL_HOLD_READ = "legal_hold.read"
    LEGAL_HOLD_MANAGE = "legal_hold.manage"
    KILL_READ = "kill.read"
    KILL_MANAGE = "kill.manage"  # of bots, owners and skills
    KILL_TENANT = "kill.tenant"
    OPS_METRICS = "ops.metrics"
    OPS_VERBOSE = "ops.verbose"


class Role(StrEnum):
    CLIENT = "client"
    PLANNER = "bot:planner"
    EXECUTOR = "bot:executor"
    EVALUATOR = "bot:evaluator"
    OPERATOR = "operator"
    APPROVER = "approver"
    VIEWER = "viewer"
    AUDITOR = "auditor"
    ADMIN = "admin"


_CLIENT = frozenset(
    {
        Action.TASK_SUBMIT,
        Action.TASK_READ,
        Action.TASK_UPDATE,
        Action.TASK_CANCEL,
        Action.TASK_PAUSE,
        Action.TASK_RESUME,
        Action.TASK_RETRY,
        Action.TASK_ARCHIVE,
        Action.TASK_MESSAGE,
        Action.OUTPUT_READ,
        Action.SESSION_OPEN,
    }
)
_BOT = frozenset(
    {
        Action.BOT_REGISTER,
        Action.WORK_LEASE,
        Action.WORK_REPORT,
        Action.WORK_BEAT,
        Action.WORK_RELEASE,
        Action.WORK_ASK,
        Action.SECRET_RESOLVE,
        Action.TASK_READ_HELD,
        Action.TASK_MESSAGE_HELD,
    }
)
_OPERATOR = _CLIENT | {
    Action.BOT_READ,
    Action.BOT_DRAIN,
    Action.BOT_ENABLE,
    Action.BOT_DELETE,
    Action.SKILL_READ,
    Action.EVENT_READ,
    Action.LATE_READ,
    Action.APPROVAL_READ,
    Action.LEGAL_HOLD_READ,
    Action.LEGAL_HOLD_MANAGE,
    Action.KILL_READ,
    Action.KILL_MANAGE,
    Action.OPS_METRICS,
    Action.OPS_VERBOSE,
}
# Sees what goes on, for dashboards and people who only look: no outputs, no keys, no audit log.
_VIEWER = frozenset(
    {
        *(Action.TASK_READ, Action.BOT_READ, Action.SKILL_READ, Action.EVENT_READ, Action.APPROVAL_READ),
        Action.SESSION_OPEN,
    }
)
# An approver has to see the outputs that it approves, and who made them.
_APPROVER = _VIEWER | {Action.OUTPUT_READ, Action.APPROVAL_DECIDE}
# Reads everything except outputs; late results are outputs, too.
_AUDITOR = frozenset(
    {
        Action.TASK_READ,
        Action.BOT_READ,
        Action.SKILL_READ,
        Action.EVENT_READ,
        Action.AUDIT_READ,
        Action.APPROVAL_READ,
        Action.KEY_READ,
        Action.PERSON_READ,
        Action.LEGAL_HOLD_READ,
        Action.KILL_READ,
        Action.REDACTION_TEST,
        Action.SESSION_OPEN,
    }
)

ROLES: Mapping[str, frozenset[Action]] = MappingProxyType(
    {
        Role.CLIENT: _CLIENT,
        Role.PLANNER: _BOT,
        Role.EXECUTOR: _BOT,
        Role.EVALUATOR: _BOT,
        Role.OPERATOR: _OPERATOR,
        Role.APPROVER: _APPROVER,
        Role.VIEWER: _VIEWER,
        Role.AUDITOR: _AUDITOR,
        Role.ADMIN: frozenset(Action),
    }
)

_ACTIONS = frozenset(Action)


def may(principal: Principal, action: str) -> bool:
    """Return whether the principal's role allows the action. An unknown role allows nothing."""
    assert action in _ACTIONS, "an action must be one of Action"
    return action in ROLES.get(principal.role, ())


def why_not(principal: Principal, action: str) -> str:
    """Return the text of a refusal: the role, the action, and the roles that allow it."""
    roles = ", ".join(role for role, actions in ROLES.items() if action in actions)
    role = principal.role if principal.role in ROLES else "this role"
    return f"{role} may not {action}; these may: {roles}"
