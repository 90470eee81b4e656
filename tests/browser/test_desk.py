"""People look up what it cost, keep keys and settings, and read what evaluators said."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.place import BIDI, LONG, SCRIPT, RealTown, drive, furnish, real_town, subtask
from tests.browser.proofs import sign, write_key
from tests.cli.shell import Shell
from tests.http.conftest import Caller

# Each page in each of its states.
PAGES = (
    "audit",
    "audit?record=3",
    "audit?action=task.nothing",
    "audit?record=999999",
    *(f"costs?by={by}" for by in ("day", "bot", "label")),
    "costs?from=2026-01-01&to=2026-01-31",
    "evaluations",
    "evaluations?review=evt_0",
    "settings",
    *(f"settings?part={part}" for part in ("keys", "persons", "limits", "stops", "redaction")),
    "simulate?faults=bot&seeds=20",
)
REASONS = {"accept": "The sources are given", "reject": "The tone is wrong"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealTown]:
    key = write_key(tmp_path_factory.mktemp("log"))
    with real_town(audit_key_file=str(key)) as place:
        furnish(place)
        sign(place)
        worker = place.bot("Executor", "scribe", skills=["draft"])
        for number in range(30):
            task = place.submit([subtask("a", skill="draft")], labels={"customer": f"c{number}"}, evaluation="none")
            for lease in worker.leases(8):
                if lease["task_id"] == task:
                    worker.report(lease, output={}, usage={"tokens": 7 * number + 1, "cost_micro_usd": 1_111 * number})
        yield place


def as_shown(sums: list[dict[str, Any]]) -> list[list[str]]:
    """Return name, cost, tokens and attempts as the page writes them."""
    return [
        [each["name"], money(each["cost_micro_usd"]), f"{each['tokens']:,}", f"{each['attempts']:,}"] for each in sums
    ]


def money(micro: int) -> str:
    """Cut into digits: whole dollars with two places, less than one with up to four."""
    whole, part = divmod(micro, 1_000_000)
    digits = f"{part:06}"
    return f"${whole:,}.{digits[:2]}" if whole else f"$0.{digits[:2]}{digits[2:4].rstrip('0')}"


def test_costs_are_those_of_the_api_by_day_bot_skill_and_label(desk: RealTown) -> None:
    by = {each: desk.admin.read(f"/costs?by={each}")["items"] for each in ("day", "bot", "skill", "label")}

    assert len(by["label"]) > 25
    drive("reads_what_it_cost", desk, json.dumps({each: as_shown(sums) for each, sums in by.items()}))


def test_amounts_are_never_rounded(desk: RealTown) -> None:
    drive("reads_amounts_that_no_float_has", desk)


def test_a_key_is_made_shown_once_rotated_and_revoked_by_keyboard_alone(desk: RealTown) -> None:
    person = desk.admin.ok("/persons", {"name": "Ada Lovelace"})

    made = json.loads(drive("makes_and_revokes_a_key", desk, person["name"]))

    (record,) = [each for each in desk.admin.read("/keys")["items"] if each["person"] == person["id"]]
    assert record["role"] == "approver"
    assert record["revoked_at"]
    for key in made:
        refused = desk.run(Caller(desk.swarm.app, key).get("/session"))
        assert (refused.status, refused.json["code"]) == (401, "unauthenticated")


def test_persons_are_added_renamed_disabled_and_enabled(desk: RealTown) -> None:
    drive("keeps_persons", desk)

    assert "Mary W. Shelley" in [
        each["name"] for each in desk.admin.read("/persons")["items"] if not each["disabled_at"]
    ]


def test_a_bot_is_stopped_with_a_reason_and_works_again(desk: RealTown) -> None:
    drive("stops_a_bot_and_lets_it_work_again", desk, "scribe")

    assert desk.admin.read("/kills")["items"] == []
    said = [each["action"] for each in desk.admin.read("/audit?order=desc")["items"]]
    assert {"kill.place", "kill.lift"} <= set(said)


def test_what_the_redaction_hides_is_shown_and_stored_nowhere(desk: RealTown) -> None:
    secret = "correct-horse-battery-staple"

    drive("tests_the_redaction", desk, secret)

    assert secret not in json.dumps(desk.admin.read("/audit?order=desc&page_size=500"))


def test_theme_zone_and_letters_are_kept(desk: RealTown) -> None:
    drive("chooses_how_it_looks", desk)


def test_what_evaluators_said_is_shown_with_its_votes_and_counted(desk: RealTown) -> None:
    judges = [desk.bot("Evaluator", f"judge-{number}", skills=["essay"]) for number in (1, 2, 3)]
    bot = desk.bot("Executor", "essayist", skills=["essay"])
    review = {"quorum": {"accept": 2, "of": 3}, "evaluator_skills": ["essay"]}
    known: tuple[dict[str, Any], ...] = (
        {},
        {"labels": {"gold": "reject"}},
    )  # of the second, somebody knows what it deserves
    for number in range(2):
        task = desk.submit([subtask("a", skill="essay")], title=f"Essay {number}", **review, **known[number])
        bot.report(bot.take(), output={"text": "words"})
        for judge, decision in zip(judges, ("accept", "reject", "accept"), strict=True):
            (lease,) = judge.leases(1)
            assert lease["task_id"] == task
            judge.judge(lease, decision, score=0.25 if decision == "reject" else 0.9, reasons=[REASONS[decision]])

    # Accept, rework and reject, all verdicts, those that were as it was decided, and those that were right.
    agrees, differs = ["2", "0", "0", "2", "2", "0 of 1"], ["0", "0", "2", "2", "0", "1 of 1"]
    as_texts = {"judge-1": agrees, "judge-2": differs, "judge-3": agrees}
    drive("reads_what_evaluators_said", desk, "Essay 1", json.dumps(as_texts))


def test_the_command_of_a_simulation_is_written_and_its_report_read(
    desk: RealTown, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, broken, other = (tmp_path / name for name in ("report.json", "broken.json", "other.json"))
    flags = ("--seeds", "2", "--start", "1", "--hours", "0.01", "--faults", "none", "--report", str(report))
    with pytest.MonkeyPatch.context() as patch:
        assert Shell(tmp_path, patch, capsys)("simulate", "standard", *flags).code == 0
    found = json.loads(report.read_text(encoding="utf-8"))
    found["runs"][1]["violation"] = {
        "invariant": "2.fence",
        "words": "a lost lease reports nothing",
        "entity": "t1/<b>",
        "why": "it did",
        "at_seconds": 12.5,
    }
    broken.write_text(json.dumps(found), encoding="utf-8")
    other.write_text("[]", encoding="utf-8")

    drive("writes_the_command_of_a_simulation", desk, *map(str, (report, broken, other)))


def test_no_page_of_the_desk_has_a_barrier_in_either_theme(desk: RealTown) -> None:
    drive("has_no_barrier", desk, *PAGES)


def test_no_dialog_of_the_desk_has_a_barrier_in_either_theme(desk: RealTown) -> None:
    drive("dialogs_have_no_barrier", desk)


def test_no_page_of_the_desk_scrolls_sideways_at_320_pixels_and_the_browser_keeps_no_data(desk: RealTown) -> None:
    drive("fits_a_narrow_screen_and_keeps_nothing", desk, *PAGES)


def test_texts_that_mean_harm_are_shown_and_not_run(desk: RealTown, tmp_path: Path) -> None:
    worker, judge = desk.bot("Executor", "mallory", skills=["evil"]), desk.bot("Evaluator", "trudy", skills=["evil"])
    task = desk.submit(
        [subtask("a", skill="evil")], title=SCRIPT, labels={"note": SCRIPT[:100]}, evaluator_skills=["evil"]
    )
    worker.report(worker.take(), output={"html": SCRIPT}, usage={"tokens": 5, "cost_micro_usd": 5})
    judge.judge(judge.take(), "reject", reasons=[SCRIPT, BIDI, LONG], findings=[{"text": BIDI, "severity": "major"}])
    desk.admin.ok("/persons", {"name": "<b>Mallory</b>" + "W" * 60})
    desk.run(desk.admin.caller.call("PUT", "/kills", {"kind": "skill", "name": "evil", "reason": SCRIPT + LONG}))
    violation = {"invariant": SCRIPT, "words": BIDI, "entity": LONG, "why": SCRIPT, "at_seconds": "x"}
    report = tmp_path / "report.json"
    odd: dict[str, Any] = {
        "version": 1,
        "level": SCRIPT,
        "scenario": {"name": BIDI, "hours": LONG},
        "virtual_hours": "x",
    }
    run = {
        "seed": 1,
        "violation": violation,
        "tasks": LONG,
        "faults": None,
        "commits": {},
        "boots": [],
        "deterministic": 1,
    }
    odd |= {
        "runs": [run],
        "figures": {LONG: {"median": "x"}},
        "faults": {SCRIPT: {"times": 1}},
        "targets": [{"name": BIDI}],
    }
    report.write_text(json.dumps(odd), encoding="utf-8")

    newest = desk.admin.read("/audit?order=desc&page_size=1")["items"][0]["index"]
    places = (
        f"audit?record={newest}",
        "costs?by=label",
        "settings?part=persons",
        "settings?part=stops",
        f"tasks/{task}",
    )
    drive("looks_at_hostile_texts_of_the_desk", desk, str(report), *places)
