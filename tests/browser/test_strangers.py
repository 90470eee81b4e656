"""What happens to who is signed out while typing, has colours of their own, or reads a title without an end."""

from tests.browser.place import LONG, RealTown, drive, furnish, subtask


def test_what_was_typed_is_there_for_who_was_signed_out_meanwhile(town: RealTown) -> None:
    made = furnish(town)
    approval = town.open_approval(made["plan"])["id"]

    drive("goes_on_after_being_signed_out_while_typing", town, approval)

    decision = town.admin.read(f"/approvals/{approval}")["decision"]
    assert (decision["verb"], decision["reason"]) == ("reject", "the ledger is not ready")


def test_what_is_chosen_is_seen_in_forced_colours(shown: RealTown, shown_made: dict[str, str]) -> None:
    drive("shows_what_is_chosen_in_forced_colours", shown)


def test_a_title_without_an_end_takes_four_lines(shown: RealTown) -> None:
    drive("keeps_a_long_title_short", shown, shown.submit([subtask("a")], title=LONG))


def test_a_viewer_is_not_asked_to_decide(shown: RealTown, shown_made: dict[str, str]) -> None:
    drive("only_looks_at_what_waits", shown, shown_made["final"], key=shown.key(shown.person("viewer")))
