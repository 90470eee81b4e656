"""Every state of a task, an item and an attempt has a look that everybody can see; a word that is new is neutral. A
button that is off names the roles that may use it.
"""

import json
import re
from pathlib import Path

from swarmkeeper.core.states import AttemptOutcome, Outcome, Status, TaskStatus
from swarmkeeper.govern.access import ROLES, Action
from tests.browser.place import RealTown, drive

UNKNOWN = "PONDERING_DEEPLY"
SOURCE = Path(__file__).parents[2] / "dashboard/src"


def buttons() -> dict[str, str]:
    """Return what buttons of the dashboard do, and the roles that may.

    What is only asked of `may()` is no button; and who is signed in may sign out.
    """
    text = "".join(re.sub(r'\bmay\("[^"]*"\)', "", path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.tsx"))
    in_bulk = {f"task.{verb}" for verb in ("cancel", "pause", "resume", "retry")}
    found = {Action(name) for name in {*re.findall(r'"([a-z_]+\.[a-z_]+)"', text), *in_bulk} if name in set(Action)}
    return {
        action: ", ".join(role for role, row in ROLES.items() if action in row)
        for action in sorted(found - {Action.SESSION_OPEN})
    }


def test_every_state_has_a_look_without_barriers_an_unknown_one_is_neutral_and_buttons_name_who_may(
    town: RealTown,
) -> None:
    words = {
        "tasks": [*TaskStatus, UNKNOWN],
        "outcomes": [*Outcome, UNKNOWN.lower()],
        "items": [*Status, UNKNOWN],
        "attempts": [*AttemptOutcome, UNKNOWN.lower()],
        "buttons": buttons(),
    }
    assert len(words["buttons"]) > 12

    drive("shows_every_state", town, json.dumps(words))
