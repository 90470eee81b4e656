"""The frame of all pages, in a real browser."""

from tests.browser.place import RealTown, drive


def test_a_person_finds_and_does_everything_by_the_palette(shown: RealTown, shown_made: dict[str, str]) -> None:
    approval = shown.open_approval(shown_made["plan"])["id"]

    drive("finds_and_does_by_the_palette", shown, "Translate the handbook", shown_made["final"], approval)


def test_each_page_has_keys_and_a_title(shown: RealTown, shown_made: dict[str, str]) -> None:
    drive("goes_to_each_page_by_two_keys", shown)


def test_times_are_local_or_utc_and_always_name_their_zone(shown: RealTown, shown_made: dict[str, str]) -> None:
    drive("shows_times_in_the_zone_that_is_wanted", shown, shown.open_approval(shown_made["plan"])["id"])


def test_a_live_region_tells_changes(town: RealTown, made: dict[str, str]) -> None:
    def one_more() -> None:
        town.submit(["a"], title="More to decide", approval="plan", evaluation="none")

    drive("tells_changes_to_who_does_not_see_them", town, steps={"one more approval": one_more})
