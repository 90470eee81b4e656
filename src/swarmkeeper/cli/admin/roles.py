"""Short descriptions of the roles, for people who create keys. govern/access.py has their permissions."""

from __future__ import annotations

from swarmkeeper.cli.framework.terminal import Exit, Failure

ROLES = {
    "client": "submits tasks, reads and controls its own",
    "bot:planner": "a bot that makes plans",
    "bot:executor": "a bot that executes subtasks",
    "bot:evaluator": "a bot that reviews results",
    "operator": "reads and controls all tasks and bots",
    "approver": "reads tasks and decides approvals",
    "auditor": "reads the audit log, and everything else except outputs",
    "admin": "may do everything, including keys",
}
HELP = "; ".join(f"{role}: {words}" for role, words in ROLES.items()) + "; more: swarmkeeper docs roles"


def check(role: str) -> None:
    """Check a role that was typed.

    Raises:
        Failure: there is no such role; the error lists all roles.
    """
    if role not in ROLES:
        width = max(map(len, ROLES))
        listed = [("where", f"/role: one of {', '.join(ROLES)}")]
        listed += [("role", f"{name:<{width}}  {words}") for name, words in ROLES.items()]
        raise Failure("invalid", "no such role", exit_code=Exit.USAGE, facts=listed, fix="--role ROLE")
