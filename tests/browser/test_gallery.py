"""Every state of a task, an item and an attempt has a look that everybody can see; a word that is new is neutral."""

import json

from swarmkeeper.core.states import AttemptOutcome, Outcome, Status, TaskStatus
from tests.browser.place import RealTown, drive

UNKNOWN = "PONDERING_DEEPLY"


def test_every_state_has_a_look_without_barriers_and_an_unknown_one_is_neutral(town: RealTown) -> None:
    words = {
        "tasks": [*TaskStatus, UNKNOWN],
        "outcomes": [*Outcome, UNKNOWN.lower()],
        "items": [*Status, UNKNOWN],
        "attempts": [*AttemptOutcome, UNKNOWN.lower()],
    }

    drive("shows_every_state", town, json.dumps(words))
