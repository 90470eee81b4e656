"""Each role sees and may exactly its row: the same table decides at the server, and what `GET /session` says."""

import json
from collections.abc import Iterator

import pytest

from swarmkeeper.govern.access import ROLES, Action, Role
from tests.browser.place import RealTown, drive, furnish, real_town

# What a page reads; None: nothing that not everybody may read who signs in.
READS: dict[str, Action | None] = {
    "inbox": None,  # it says of each part who sees it: test_inbox.py
    "tasks": Action.TASK_READ,
    "tasks/{running}": Action.TASK_READ,
    "evaluations": Action.EVENT_READ,
    "costs": Action.TASK_READ,
    "audit": Action.AUDIT_READ,
    "audit?record=0": Action.AUDIT_READ,
    "simulate": None,
    "settings": None,
    "settings?part=keys": Action.KEY_READ,
    "settings?part=persons": Action.PERSON_READ,
    "settings?part=limits": Action.SKILL_READ,
    "settings?part=stops": Action.KILL_READ,
    "settings?part=redaction": None,
}
ALLOWED_TO = {action: ", ".join(role for role, row in ROLES.items() if action in row) for action in Action}
PEOPLE = [role for role, actions in ROLES.items() if Action.SESSION_OPEN in actions]


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[RealTown, dict[str, str]]]:
    with real_town() as town:
        made = furnish(town)
        town.admin.ok("/persons", {"name": "Ada Lovelace"})
        yield town, made


def test_all_roles_but_those_of_bots_sign_in() -> None:
    assert set(PEOPLE) == {role for role in Role if not role.startswith("bot:")}


@pytest.mark.parametrize("role", PEOPLE)
def test_a_role_sees_and_may_exactly_its_row(place: tuple[RealTown, dict[str, str]], role: str) -> None:
    town, made = place
    # A client sees its own tasks.
    person = town.client if role == Role.CLIENT else town.person(role)
    may = person.read("/session")["may"]
    assert may == sorted(ROLES[role])
    forbidden = {
        page.format(**made): reads is not None and reads not in ROLES[role]
        for page, reads in READS.items()
        # Who may not read the log gets no record of it: the page says so once for both.
        if page != "audit?record=0" or Action.AUDIT_READ in ROLES[role]
    }

    given = [json.dumps(each) for each in (forbidden, may, ALLOWED_TO)]
    seen = json.loads(drive("sees_exactly_its_row", town, *given, key=town.key(person)))

    everywhere = {"task.pause", "key.manage", "person.manage", "kill.manage", "redaction.test"}
    assert everywhere <= set(seen)
