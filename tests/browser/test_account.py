"""People see where they are signed in, and what of the limits of their tenant is used."""

import json

from swarmkeeper.core import commands
from swarmkeeper.core.model import Principal
from tests.browser.place import RealTown, drive, real_town, subtask


def test_browsers_that_are_signed_in_with_the_same_key_are_listed_and_signed_out(town: RealTown) -> None:
    drive("signs_other_browsers_out", town)

    ended = town.admin.read("/audit?action=session.end")["items"]
    assert len(ended) == 3


def test_limits_rates_and_the_budget_are_shown_with_what_is_used() -> None:
    with real_town(open_tasks=5) as place:
        by = Principal("default", "key_1", "admin")
        place.run(place.swarm.engine.do(commands.SetRate(by=by, key="skill:ocr", most=2, per_minute=60)))
        place.run(place.swarm.engine.do(commands.SetTenant(by=by, budget={"cost_micro_usd": 7_500_000, "attempts": 9})))
        bot = place.bot("Executor", "reader", skills=["read"])
        place.submit([subtask("a", skill="read"), subtask("b", skill="read")], evaluation="none")
        for lease in bot.leases(1):
            bot.report(lease, output={}, usage={"cost_micro_usd": 1_234_567})

        use = {
            "open tasks": ["tenant", "1", "5"],
            "open subtasks": ["tenant", "1", "500,000"],
            "budget: cost": ["tenant", "$1.23", "$7.50"],
            "budget: attempts": ["tenant", "1", "9"],
        }
        drive("reads_the_limits", place, json.dumps({"use": use, "rates": [["skill ocr", "2", "60", "–"]]}))


def test_who_may_not_see_the_limits_is_told_so(town: RealTown) -> None:
    drive("may_not_see_the_limits", town, key=town.key(town.client))
