"""Eight swarms that do not go on: a person sees the cause, and what helps, in two acts from the inbox."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.browser.place import RealTown, drive, subtask
from tests.http.conftest import Caller
from tests.http.town import Person, Worker

Json = Any


@dataclass(frozen=True)
class Corner:
    """A tenant of the town, with a swarm of its own."""

    town: RealTown
    name: str

    def key(self, role: str, **more: str) -> str:
        key: str = self.town.run(self.town.swarm.make_key(role, tenant=self.name, **more))
        return key

    @property
    def admin(self) -> Person:
        return Person(self.town, Caller(self.town.swarm.app, self.key("admin")))

    def bot(self, name: str, *skills: str, capacity: int = 8) -> Worker:
        person = Person(self.town, Caller(self.town.swarm.app, self.key("bot:executor", bot=name)))
        body = {"type": "Executor", "version": "1.0", "capacity": capacity, "skills": list(skills)}
        return Worker(self.town, person, person.ok("/bots/register", body)["id"], name)

    def submit(self, title: str, *subtasks: Json, **more: Json) -> str:
        body = {"title": title, "subtasks": list(subtasks), "evaluation": "none", **more}
        made: str = self.admin.ok("/tasks", body)["id"]
        return made


def no_bot_has_the_skill(corner: Corner) -> Json:
    corner.submit("Scan the archive", *(subtask(f"p{page}", skill="ocr") for page in range(3)))
    return {
        "section": "stuck",
        "row": "No bot can ocr",
        "shows": ["3 wait", "no executor is registered with skill ocr", "swarmkeeper bot run FILE --skill ocr"],
    }


def bots_are_there_and_do_not_ask(corner: Corner) -> Json:
    bot = corner.bot("hasty", "count")
    corner.town.swarm._identity.presence._asked[bot.id] -= 300_000_000
    corner.submit("Count the words", subtask("a", skill="count"))
    return {
        "section": "stuck",
        "row": "No bot asks for work for count",
        "shows": ["hasty is alive, but has not asked for work since", "swarmkeeper bot run FILE --name hasty-2"],
    }


def the_budget_is_used_up(corner: Corner) -> Json:
    bot = corner.bot("writer", "write")
    corner.submit("Three pages", subtask("a"), subtask("b", ("a",)), budget={"attempts": 1})
    bot.report(bot.take())
    bot.leases()
    return {
        "section": "needs",
        "row": "Three pages",
        "shows": ["Raise a budget?", "attempts"],
        "press": "a",
        "then": "Choose a row",
    }


def it_is_paused(corner: Corner) -> Json:
    task = corner.submit("Translate the handbook", subtask("a"))
    corner.admin.ok(f"/tasks/{task}:pause", {})
    return {
        "section": "stuck",
        "row": "Paused: Translate the handbook",
        "shows": ["Bots get no work of it until somebody resumes it.", f"swarmkeeper task resume {task}"],
        "press": "Enter",
        "then": "Resume",
    }


def it_waits_for_an_approval(corner: Corner) -> Json:
    corner.submit("Move the ledger", subtask("a"), approval="plan")
    return {
        "section": "needs",
        "row": "Move the ledger",
        "shows": ["Carry out this plan?", "Do a", "what you sign"],
        "press": "a",
        "then": "Stuck",  # now no bot can do it
    }


def a_failed_attempt_is_tried_again_later_and_another_waits_for_it(corner: Corner) -> Json:
    bot = corner.bot("caller", "call")
    corner.submit("Call the model", subtask("a", skill="call"), subtask("b", ("a",), skill="call"))
    bot.report(
        bot.take(), error={"class": "rate_limited", "message": "HTTP 429 from the model", "retry_after_seconds": 3_600}
    )
    return {
        "section": "longest",
        "row": "Call the model",
        "shows": ["a: it is deferred until", "HTTP 429 from the model", "b: it waits for a"],
        "press": "Enter",
        "then": "HTTP 429 from the model",
    }


def the_bot_is_killed(corner: Corner) -> Json:
    bot = corner.bot("inker", "ink")
    answer = corner.town.run(
        corner.admin.caller.call("PUT", "/kills", {"kind": "bot", "name": "inker", "reason": "it blots"})
    )
    assert answer.status == 200, answer.json
    corner.submit("Print the poster", subtask("a", skill="ink"))
    assert bot.leases() == []
    return {
        "section": "stuck",
        "row": "Killed: ink",
        "shows": ["inker could take it, but is killed by", "it blots", "swarmkeeper kill lift kil_"],
    }


def the_only_bot_is_busy(corner: Corner) -> Json:
    bot = corner.bot("slow", "dig", capacity=1)
    corner.submit("Dig two holes", subtask("a", skill="dig"), subtask("b", skill="dig"))
    bot.take()
    return {
        "section": "longest",
        "row": "Dig two holes",
        "shows": ["slow could take it, but is at capacity", "attempt 1 is in progress by slow"],
        "press": "Enter",
        "then": "Dig two holes",
    }


STUCK: tuple[Callable[[Corner], Json], ...] = (
    no_bot_has_the_skill,
    bots_are_there_and_do_not_ask,
    the_budget_is_used_up,
    it_is_paused,
    it_waits_for_an_approval,
    a_failed_attempt_is_tried_again_later_and_another_waits_for_it,
    the_bot_is_killed,
    the_only_bot_is_busy,
)


def test_the_cause_of_each_of_eight_stuck_swarms_is_found_in_two_acts(town: RealTown) -> None:
    cases = []
    for number, seed in enumerate(STUCK):
        corner = Corner(town, f"corner-{number}")
        cases.append({"name": seed.__name__, "key": corner.key("admin"), **seed(corner)})

    drive("finds_each_cause_in_two_acts", town, json.dumps(cases))
