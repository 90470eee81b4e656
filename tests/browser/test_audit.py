"""Auditors read the log in the dashboard, and prove its records there."""

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmkeeper.transparency import notes
from tests.browser.place import RealTown, drive, real_town
from tests.browser.proofs import sign, write_key


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealTown]:
    """A town with some records, all of which the server has signed."""
    key: Path = write_key(tmp_path_factory.mktemp("log"))
    with real_town(audit_key_file=str(key)) as place:
        for number in range(140):
            place.submit(title=f"task {number}")
        sign(place)
        yield place


def newest(place: RealTown, action: str) -> list[int]:
    page = place.admin.read(f"/audit?action={action}&order=desc")
    return [record["index"] for record in page["items"]]


def test_an_auditor_proves_a_record_by_keyboard_alone(signed: RealTown) -> None:
    second = newest(signed, "task.submit")[1]

    drive("proves_a_record", signed, "task.submit", str(second), key=signed.key(signed.person("auditor")))


def test_an_answer_that_was_forged_on_the_way_is_not_proved(signed: RealTown) -> None:
    drive("sees_that_an_answer_was_forged", signed, str(newest(signed, "task.submit")[5]))


def test_what_a_person_keeps_of_the_log_is_held_against_what_the_server_says_later(signed: RealTown) -> None:
    """A key and a checkpoint: of another log, of a log in which something earlier was changed, and the right ones."""
    index = newest(signed, "task.submit")[3]
    checkpoint = signed.admin.get("/audit/checkpoint").body.decode()
    (own_key,) = signed.admin.read("/audit/log")["keys"]
    lines = checkpoint.split("\n")
    forged = "\n".join([*lines[:2], b64encode(bytes(32)).decode(), *lines[3:]])
    another = str(notes.new_key("other.example.org", bytes(32)).verifier)

    def more() -> None:
        for number in range(300):
            signed.submit(title=f"later task {number}")
        sign(signed)

    drive(
        "proves_with_what_was_kept",
        signed,
        json.dumps([index, another, forged, own_key]),
        steps={"more records": more},
    )


def test_where_the_browser_cannot_check_the_signature_it_says_so(signed: RealTown) -> None:
    drive("says_what_is_not_checked_without_tls", signed, str(newest(signed, "task.submit")[5]))


def test_a_record_whose_body_was_erased_names_the_record_that_says_so(signed: RealTown) -> None:
    task = signed.submit(title="to be erased")
    (record,) = signed.admin.read(f"/tasks/{task}/audit")["items"]
    signed.admin.ok(f"/tasks/{task}:cancel", {})
    while signed.admin.post(f"/tasks/{task}:erase", {"reason": "on request"}).status == 409:
        pass  # it is still stopping: the feed has not all of its events
    sign(signed)
    (eraser,) = newest(signed, "task.erase")

    drive("reads_an_erased_record", signed, str(record["index"]), str(eraser))


def test_older_records_come_on_request_until_the_first(signed: RealTown) -> None:
    drive("reads_on_to_the_first_record", signed, "140")


def test_a_log_that_nobody_signs_says_how_to_sign_it(town: RealTown) -> None:
    drive("is_told_that_the_log_is_not_signed", town)
