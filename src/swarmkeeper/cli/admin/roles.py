"""What each role of a key is for, in a few words for who makes one. What a role may do stands in govern/access.py."""

from __future__ import annotations

from swarmkeeper.cli.framework.terminal import Exit, Failure

ROLES = {
    "client": "hands in tasks, reads and steers its own",
    "bot:planner": "a bot that makes plans",
    "bot:executor": "a bot that does subtasks",
    "bot:evaluator": "a bot that judges results",
    "operator": "sees and steers all tasks and bots",
    "approver": "reads tasks and decides approvals",
    "auditor": "reads all but outputs, and the audit",
    "admin": "everything, keys included",
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
        raise Failure("invalid", "there is no such role", exit_code=Exit.USAGE, facts=listed, fix="--role ROLE")
