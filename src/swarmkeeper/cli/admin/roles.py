"""What each role of a key is for, in a few words for who makes one. What a role may do stands in govern/access.py."""

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
    """Look at a role as it was typed.

    Raises:
        Failure: there is no such role; it lists those that there are.
    """
    if role not in ROLES:
        width = max(map(len, ROLES))
        listed = [("where", f"/role: one of {', '.join(ROLES)}")]
        listed += [("role", f"{one:<{width}}  {words}") for one, words in ROLES.items()]
        raise Failure("invalid", "no such role", exit_code=Exit.USAGE, facts=listed, fix="--role ROLE")
