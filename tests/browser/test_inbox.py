"""The inbox, in a real browser."""

from tests.browser.place import RealTown, drive


def test_a_person_decides_with_all_facts_and_four_reads_open_the_inbox(town: RealTown, made: dict[str, str]) -> None:
    final, question = (town.open_approval(made[kind])["id"] for kind in ("final", "question"))

    drive("decides_with_all_facts", town, final, question)

    decided = [town.approver.read(f"/approvals/{each}")["decision"] for each in (final, question)]
    assert [each["verb"] for each in decided] == ["approve", "answer"]
    assert decided[1]["answer"] == "harbour"


def test_when_nothing_needs_anybody_the_inbox_says_so_and_to_others_who_may_see_it(town: RealTown) -> None:
    def work() -> None:
        bot = town.bot("Executor", "writer")
        town.submit(["a"], title="Quiet work", evaluation="none")
        bot.take()

    steps = {"a bot works": work, "the key of a client": lambda: town.key(town.client)}
    drive("is_quiet_or_says_who_may_see_it", town, steps=steps)
