"""`erase`: by task, by the subject of the data, with what is kept said plainly."""

from tests.cli.conftest import Running
from tests.cli.shell import Shell


def submitted(at: Shell, subject: str) -> str:
    return at("submit", f"about {subject}", "--label", f"subject:{subject}").out.strip()


def test_everything_of_a_subject_is_erased_and_the_log_stays_whole(at: Shell, running: Running) -> None:
    mine, other = [submitted(at, "jane") for _ in range(3)], submitted(at, "joe")

    planned = at("erase", "--subject", "jane", "--reason", "request 17", "--dry-run", "--json")
    refused = at("erase", "--subject", "jane", "--reason", "request 17", "--json")
    done = at("erase", "--subject", "jane", "--reason", "request 17", "--cancel", "--json")

    assert {row["state"] for row in planned.lines} == {"has not ended"}
    assert refused.code == 6
    assert {row["state"] for row in refused.lines} == {"a task that has not ended is not erased: cancel it first"}
    assert done.code == 0
    assert {(row["task_id"], row["state"]) for row in done.lines} == {(task, "erased") for task in mine}
    assert at("task", "get", mine[0]).code == 5
    assert at("task", "get", other).code == 0
    assert at("erase", "--subject", "jane", "--reason", "request 17").code == 0, "nothing is left to erase"
    at.set(SWARMKEEPER_STORE=running.store)
    assert at("audit", "verify", "--deep").code == 0
    assert at("doctor", "--deep").code == 0


def test_what_is_under_a_legal_hold_is_said_and_kept(at: Shell) -> None:
    task = submitted(at, "jim")
    at("task", "cancel", task)
    at("hold", "place", task, "--reason", "case 12")

    kept = at("erase", task, "--reason", "request 18", "--json")
    at("hold", "release", task, "--reason", "closed")
    done = at("erase", task, "--reason", "request 18", "--json")

    assert kept.code == 6
    assert kept.json["state"] == "a legal hold keeps this task: release the hold first"
    assert (done.code, done.json["state"]) == (0, "erased")


def test_what_to_erase_has_to_be_said(at: Shell) -> None:
    assert at("erase", "--reason", "x").code == 2
    assert at("erase", "--subject", "jane", "--label", "a:b", "--reason", "x").code == 2
