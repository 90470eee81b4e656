"""People use the dashboard in a real browser: by keyboard, on a narrow screen, with texts that mean harm."""

import copy
import json

import pytest

from tests.browser import place as places
from tests.browser.place import RealTown, browser, drive, furnish, real_town, submit_hostile


def pages(town: RealTown, made: dict[str, str]) -> list[str]:
    """Return the address of each page in each of its states."""
    approvals = {kind: town.open_approval(made[kind])["id"] for kind in ("plan", "final", "question")}
    return [
        "inbox",
        *(f"inbox?approval={approval}" for approval in approvals.values()),
        "inbox?row=no_capable_bot+swarmkeeper+bot+run+FILE+--skill+ocr",
        "inbox?row=failed+KeyError:+'total'+(at+parse.py:…)",
        f"inbox?row={made['stuck']}",
        "inbox?row=gone",
        "tasks",
        "tasks?q=status:failed",
        "tasks?q=nonsense",
        "tasks?q=label:no=where",
        "tasks?q=invoice",
        "bots",
        f"bots?bot={town.admin.read('/bots')['items'][0]['id']}",
        "bots?q=nobody",
        "queues",
        f"tasks/{made['final']}?subtask=draft",
        f"tasks/{made['final']}?view=table&subtask=images",
        f"tasks/{made['failed']}",
        f"tasks/{made['stuck']}",
        f"tasks/{made['big']}",
        f"tasks/{made['big']}?view=table&only=READY&rank=1",
        f"tasks/{made['big']}?view=timeline",
        f"tasks/{made['final']}?view=timeline&subtask=images",
        *(f"tasks/{made['final']}?tab={tab}" for tab in ("results", "events", "audit", "messages")),
        f"tasks/{made['final']}?tab=results&subtask=draft&as=tree",
        "tasks/tsk_0",
        "nowhere",
    ]


def test_a_person_signs_in_approves_and_opens_a_task_by_keyboard_alone(town: RealTown, made: dict[str, str]) -> None:
    approval = town.open_approval(made["plan"])

    drive("signs_in_approves_and_opens_a_task", town, approval["question"], approval["subject_hash"])

    decided = town.approver.read(f"/approvals/{approval['id']}")
    assert decided["decision"]["verb"] == "approve"


def test_a_wrong_key_is_refused_and_who_signs_out_is_out(town: RealTown) -> None:
    drive("refuses_a_wrong_key", town)


def test_below_a_path_that_the_server_does_not_know_everything_works() -> None:
    with real_town("/a/b") as town:
        made = furnish(town)
        approval = town.open_approval(made["plan"])

        drive("signs_in_approves_and_opens_a_task", town, approval["question"], approval["subject_hash"])
        token = town.run(town.swarm.one_time_token(town.key(town.admin)))
        drive("follows_a_link_once", town, token)


def test_a_link_signs_in_once_and_leaves_no_token_behind(town: RealTown) -> None:
    token = town.run(town.swarm.one_time_token(town.key(town.admin)))

    drive("follows_a_link_once", town, token)


def test_a_person_rejects_with_a_reason(town: RealTown, made: dict[str, str]) -> None:
    approval = town.open_approval(made["plan"])

    drive("rejects_with_a_reason", town, approval["id"])

    decided = town.approver.read(f"/approvals/{approval['id']}")["decision"]
    assert (decided["verb"], decided["reason"]) == ("reject", "too dear")


def test_a_decision_on_what_has_changed_is_never_sent_again_by_itself(
    shown: RealTown, shown_made: dict[str, str]
) -> None:
    approval = shown.open_approval(shown_made["plan"])

    before = approval["subject"]["subtasks"][1]["description"]
    changed = copy.deepcopy(approval)
    changed["subject"]["subtasks"][1]["description"] = "something else"
    drive("sends_nothing_again_when_the_subject_has_changed", shown, approval["id"], before, json.dumps(changed))

    assert shown.approver.read(f"/approvals/{approval['id']}")["state"] == "open"


def test_what_a_role_may_not_do_is_there_and_off(shown: RealTown, shown_made: dict[str, str]) -> None:
    approval = shown.open_approval(shown_made["plan"])

    drive(
        "sees_what_a_role_allows", shown, approval["id"], shown_made["running"], key=shown.key(shown.person("viewer"))
    )


def test_texts_that_mean_harm_are_shown_and_not_run(town: RealTown) -> None:
    drive("looks_at_hostile_texts", town, *submit_hostile(town))

    assert 'path="/ui/csp-reports"' not in town.swarm._metrics.text(None)[0].decode()


def test_no_page_scrolls_sideways_at_320_pixels_and_the_browser_keeps_no_data(
    town: RealTown, made: dict[str, str]
) -> None:
    hostile = [f"tasks/{each}?subtask=b" for each in submit_hostile(town)]

    drive("fits_a_narrow_screen_and_keeps_nothing", town, *pages(town, made), *hostile)


def test_the_focus_can_be_seen(shown: RealTown, shown_made: dict[str, str]) -> None:
    drive("shows_the_focus", shown)


def test_the_list_goes_on_to_the_last_task_and_draws_only_what_is_in_view(town: RealTown) -> None:
    for begin in range(0, 450, 150):
        tasks = [{"title": f"task {number}"} for number in range(begin, begin + 150)]
        town.client.ok("/tasks:batch", {"tasks": tasks})

    *_, last = town.admin.read("/tasks?order_by=created_at&page_size=500")["items"]

    drive("scrolls_through_all_tasks", town, "450", last["title"])


def test_a_server_that_is_away_takes_nothing_from_the_screen(shown: RealTown, shown_made: dict[str, str]) -> None:
    drive("keeps_what_was_read_while_the_server_is_away", shown)


def test_no_page_has_a_barrier_in_either_theme(shown: RealTown, shown_made: dict[str, str]) -> None:
    drive("has_no_barrier", shown, *pages(shown, shown_made))


def test_where_there_is_no_browser_it_is_said_and_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "BROWSERS", ("no-such-browser",))
    monkeypatch.delenv("SWARMKEEPER_TEST_BROWSER", raising=False)

    with pytest.raises(AssertionError, match="there is no browser"):
        browser()


def test_a_journey_that_fails_fails_its_test_and_leaves_the_next_one_a_browser(town: RealTown) -> None:
    with pytest.raises(AssertionError, match="JSONDecodeError"):
        drive("shows_what_the_address_says", town, "no JSON")
    with pytest.raises(ZeroDivisionError):
        drive("is_quiet_or_says_who_may_see_it", town, steps={"a bot works": lambda: 1 // 0})

    drive("refuses_a_wrong_key", town)
