"""Short descriptions of the roles, for people who create keys, and for the page on roles. govern/access.py has their
permissions.
"""

from __future__ import annotations

from swarmkeeper.cli.framework.terminal import CliError, Exit

ROLES = {
    "client": "submits tasks and controls them: its own, or all of the tenant (--scope)",
    "bot:planner": "a bot that turns tasks into plans",
    "bot:executor": "a bot that executes subtasks",
    "bot:evaluator": "a bot that reviews results",
    "operator": "a client that also manages bots, and reads metrics and the whole feed",
    "approver": "a person who decides approvals and questions, and sees tasks, bots and the feed",
    "viewer": "sees tasks, bots, approvals and the feed, without outputs, and changes nothing",
    "auditor": "reads everything except outputs, and changes nothing",
    "admin": "may do everything; the only role that creates keys and tenants",
}
HELP = "; ".join(f"{role}: {words}" for role, words in ROLES.items()) + "; more: swarmkeeper docs roles"


def check(role: str) -> None:
    """Check a role that was typed.

    Raises:
        CliError: there is no such role; the error lists all roles.
    """
    if role not in ROLES:
        width = max(map(len, ROLES))
        listed = [("where", f"/role: one of {', '.join(ROLES)}")]
        listed += [("role", f"{name:<{width}}  {words}") for name, words in ROLES.items()]
        raise CliError("invalid", "no such role", exit_code=Exit.USAGE, facts=listed, fix="--role ROLE")
