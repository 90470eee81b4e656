"""`task list --q --view`, `task count`, `task labels`, `task costs`, `store rebuild`."""

from tests.cli.conftest import Running
from tests.cli.shell import Shell


def test_tasks_are_found_counted_and_listed_as_rows(at: Shell) -> None:
    # Other tests use the same server: these words and labels are of this one alone, and counts are compared.
    before, spent = at("task", "count", "--json").json, at("task", "costs", "--by", "bot", "--json").json["total"]
    first = at("submit", "Count the quokkas", "--label", "quokka:a").out.strip()
    second = at("submit", "Translate the quokkas", "--label", "quokka:b").out.strip()
    at("task", "cancel", second)

    assert [row["id"] for row in at("task", "list", "--q", "the quok", "--json").lines] == [second, first]
    assert [row["id"] for row in at("task", "list", "--q", "count quokkas", "--json").lines] == [first]
    row = at("task", "list", "--view", "row", "--outcome", "cancelled", "--q", "quokkas", "--json").json
    assert row["id"] == second
    assert row["ended_at"] is not None
    shown = at("task", "list", "--view", "row").out
    assert "LAST BOT" in shown.splitlines()[0]
    counted = at("task", "count", "--json").json
    assert counted["number"] == before["number"] + 2
    assert counted["outcomes"]["cancelled"] == before["outcomes"].get("cancelled", 0) + 1
    assert at("task", "count", "--q", "quokkas").out.splitlines()[0] == "2"
    teams = {each["value"]: each["tasks"] for each in at("task", "labels", "quokka", "--json").lines}
    assert teams == {"a": 1, "b": 1}
    assert len(at("task", "labels", "--limit", "1", "--json").lines) == 1
    assert at("task", "costs", "--by", "bot", "--json").json["total"] == spent
    assert "(in all)" in at("task", "costs").out
    for wrong in (("list", "--view", "column"), ("list", "--order-by", "size"), ("costs", "--by", "owner")):
        assert at("task", *wrong).code == 2


def test_what_follows_from_rows_is_made_anew_beside_a_server(at: Shell, running: Running) -> None:
    task = at("submit", "Marmalade", "--label", "team:c").out.strip()

    rebuilt = at("store", "rebuild", "--store", running.store, "--json")

    assert rebuilt.json == {"rebuilt": True}
    assert at("task", "list", "--q", "marmalade", "--json").json["id"] == task
    at.set(SWARMKEEPER_STORE=running.store)
    assert at("doctor", "--deep").code == 0
