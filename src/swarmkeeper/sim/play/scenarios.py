"""Scenarios: participants, arrivals, behaviour of bots and people, and bounds of the system. All are plain values, so
that a scenario can be a file. Chances are between 0 and 1, durations in seconds.

`plan_of` and `submission_of` draw the content of one task from its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from swarmkeeper.core.model import Json, Limits
from swarmkeeper.sim.kernel.faults import KINDS
from swarmkeeper.sim.kernel.loop import SECOND
from swarmkeeper.sim.kernel.named_choice import NamedChoice

SKILLS = ("python", "web", "text")

# Chance that an item that was given back (or waited for an answer) is given back (or asks) again at the next attempt.
AGAIN, ASKS_AGAIN = 0.7, 0.5

WHENS = ("success", "success", "done", "failure")  # conditions of edges, each as likely


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of the system. Other bounds keep their defaults."""

    lease_seconds: float = 30
    timeout_seconds: float = 300
    schedule_to_start_seconds: float = 3600
    answer_seconds: float = 1200
    slice_rows: int = 500

    def limits(self) -> Limits:
        return replace(
            Limits(),
            lease_ttl=round(self.lease_seconds * SECOND),
            timeout=round(self.timeout_seconds * SECOND),
            start=round(self.schedule_to_start_seconds * SECOND),
            answer=round(self.answer_seconds * SECOND),
            slice_rows=self.slice_rows,
        )


@dataclass(frozen=True, slots=True)
class Fleet:
    """Bots of one type."""

    count: int
    capacity: int = 1
    work_seconds: float = 30  # mean of one attempt
    durations: tuple[float, ...] = ()  # of one attempt, each as likely; replaces the mean
    tokens: int = 100  # used by one attempt
    retryable: float = 0.0  # this and the following: weights relative to 1 for success
    not_retryable: float = 0.0
    rate_limited: float = 0.0
    released: float = 0.0  # given back at once
    deferred: float = 0.0  # given back for a while
    asks: float = 0.0  # asks a person
    unsound: float = 0.0  # chance of a plan or verdict that breaks rules; corrected after it is refused

    def seconds(self, choice: NamedChoice, *key: object) -> float:
        """Draw the duration of one attempt, in seconds."""
        return choice.pick(self.durations, *key) if self.durations else choice.waiting(self.work_seconds, *key)

    def outcome(self, choice: NamedChoice, *key: object) -> str:
        """Draw the outcome of one attempt."""
        outcomes = (
            ("done", 1.0),
            ("retryable", self.retryable),
            ("not_retryable", self.not_retryable),
            ("rate_limited", self.rate_limited),
            ("released", self.released),
            ("deferred", self.deferred),
            ("asks", self.asks),
        )
        return choice.weighted(outcomes, *key)


@dataclass(frozen=True, slots=True)
class People:
    cancel: float = 0.05  # share of tasks
    pause: float = 0.05
    patch: float = 0.05
    retry: float = 0.4  # share of failed tasks
    archive: float = 0.3  # share of failed tasks
    tell: float = 0.03
    drain: float = 0.02  # share of bots, every ten minutes
    bulk: float = 0  # chance of an operation on many tasks, every two minutes; only at level http
    decide_seconds: float = 60  # mean time to a decision
    approve: float = 0.85


LIMITED_KEYS = ("repo", "account", "file")
LABELS = ("private", "untrusted", "egress")


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    tenants: int = 1  # each has its own clients, people and fleets, of the sizes given here
    tasks_per_hour: float = 20
    tasks_max: int | None = None  # no more tasks arrive then
    hours: float = 6
    heal_hours: float = 8  # in which everything must end after faults have stopped
    planned_by_client: float = 0.4
    shapes: Mapping[str, float] = field(
        default_factory=lambda: {"one": 2, "chain": 3, "fan": 2, "join": 3, "cleanup": 2, "free": 2}
    )
    size: int = 5  # approximate number of subtasks
    sizes: Mapping[str, float] = field(default_factory=dict)  # exact numbers, by weight; replaces `size`
    skilled: float = 0.6  # share of subtasks that require a skill
    evaluation: Mapping[str, float] = field(default_factory=lambda: {"final": 4, "each": 2, "none": 3})
    quorums: Mapping[str, float] = field(default_factory=lambda: {"1/1": 5, "2/3": 2, "1/2": 1, "2/2": 1})
    approvals: Mapping[str, float] = field(default_factory=lambda: {"none": 7, "plan": 1, "final": 1, "rounds": 1})
    deadline: float = 0.15  # share of tasks with a deadline
    deadline_seconds: float = 1800
    max_rounds: int = 2
    budgets: float = 0.0  # share of tasks with a budget of tokens; a part of their subtasks has one, too
    budget_tokens: int = 100_000  # about the limit of a task's budget
    verdicts: Mapping[str, float] = field(default_factory=lambda: {"accept": 7, "rework": 2, "reject": 0.6})
    continues: float = 0.15  # share of subtasks whose failure does not matter
    limited: float = 0.0  # share of subtasks with a key of which one runs at a time; then rate limits have a scope
    # Share of subtasks that have some of LABELS; then the policy no-lethal-trifecta is in force.
    labelled: float = 0.0
    skills: tuple[str, ...] = SKILLS  # all skills; the first two bots of a type have all of them
    task: Mapping[str, Any] | None = None  # further fields of every task; only over HTTP
    planners: Fleet = Fleet(2, 1, 20, retryable=0.05, rate_limited=0.02, unsound=0.08, asks=0.02)
    executors: Fleet = Fleet(
        3, 2, 120, retryable=0.06, not_retryable=0.01, rate_limited=0.03, released=0.02, deferred=0.02, asks=0.02
    )
    evaluators: Fleet = Fleet(3, 2, 30, retryable=0.04, released=0.01, unsound=0.04)
    people: People = People()
    bounds: Bounds = Bounds()
    poll_seconds: float = 60
    faults: tuple[str, ...] = tuple(KINDS)

    @property
    def fleets(self) -> Mapping[str, Fleet]:
        """The fleets by type of bot."""
        return {"Planner": self.planners, "Executor": self.executors, "Evaluator": self.evaluators}


_GOLDEN = Scenario(
    "golden",
    tasks_per_hour=60,
    tasks_max=5,
    hours=0.3,
    size=3,
    planners=Fleet(1, 2, 5, unsound=0.2, asks=0.1),
    executors=Fleet(2, 2, 15, retryable=0.1, rate_limited=0.05, released=0.05, deferred=0.05, asks=0.05),
    evaluators=Fleet(3, 2, 10),
    people=People(cancel=0.15, pause=0.2, patch=0.2, retry=0.8, archive=0.5),
)

_LIMITS = Scenario("limits", tasks_per_hour=60, hours=0.5, limited=0.6, skilled=0.3)

# Work that nobody may take ends when its time to start is over; so many a task of these fails.
_LABELS = Scenario(
    "labels", tasks_per_hour=60, hours=0.5, labelled=0.5, skilled=0.3, bounds=Bounds(schedule_to_start_seconds=900)
)

# `standard` is the default. `limits` has keys and scopes that hold work back, `labels` a policy. `golden` is short, for
# tests that try a fault at each of its commits.
SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {scenario.name: scenario for scenario in (Scenario("standard"), _GOLDEN, _LIMITS, _LABELS)}
)


def skills_of(scenario: Scenario, number: int) -> tuple[str, ...]:
    """Return the skills of the bot of this number. The first two have all, so that every item can be taken."""
    skills = scenario.skills
    return skills if number <= 2 or not skills else (skills[number % len(skills)],)


# ---- one task ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submission:
    title: str
    subtasks: Sequence[Mapping[str, Json]] | None
    evaluation: str
    quorum: tuple[int, int]
    approval: str
    deadline_seconds: float | None
    priority: int
    max_rounds: int
    budget: Mapping[str, Json] | None = None


def submission_of(scenario: Scenario, choice: NamedChoice, title: str) -> Submission:
    accept, _, of = choice.weighted(list(scenario.quorums.items()), "quorum", title).partition("/")
    given = choice.hit(scenario.planned_by_client, "planned", title)
    dated = choice.hit(scenario.deadline, "deadline", title)
    return Submission(
        title=title,
        subtasks=plan_of(scenario, choice, title) if given else None,
        evaluation=choice.weighted(list(scenario.evaluation.items()), "evaluation", title),
        quorum=(int(accept), int(of)),
        approval=choice.weighted(list(scenario.approvals.items()), "approval", title),
        deadline_seconds=scenario.deadline_seconds * choice.spread(0.3, 3, "deadline", "of", title) if dated else None,
        priority=choice.pick((5, 5, 5, 3, 7, 9), "priority", title),
        max_rounds=scenario.max_rounds,
        budget=budget_of(scenario, choice, title),
    )


def budget_of(scenario: Scenario, choice: NamedChoice, title: str) -> dict[str, Json] | None:
    """Draw the budget of a task, as in the API; None without one."""
    if not choice.hit(scenario.budgets, "budget", title):
        return None
    tokens = max(1, round(scenario.budget_tokens * choice.spread(0.2, 3, "budget", "of", title)))
    return {"tokens": tokens, "at_limit": choice.pick(("ask", "stop"), "budget", "at limit", title)}


def plan_of(scenario: Scenario, choice: NamedChoice, title: str) -> list[dict[str, Json]]:
    """Draw a valid plan, as in the API."""
    shape = choice.weighted(list(scenario.shapes.items()), "shape", title)
    if scenario.sizes:
        n = int(choice.weighted(list(scenario.sizes.items()), "size", title))
    else:
        n = max(2, round(scenario.size * choice.spread(0.4, 1.6, "size", title)))
    shape = shape if n > 1 else "one"
    keys = [f"s{number}" for number in range(1, n + 1)]
    parents: list[list[Json]] = [[] for _ in keys]
    if shape == "one":
        keys, parents = keys[:1], [[]]
    elif shape == "chain":
        parents = [[], *([key] for key in keys[:-1])]
    elif shape == "fan":
        parents = [[], *([keys[0]] for _ in keys[1:])]
    elif shape == "join":
        parents = [*([] for _ in keys[:-1]), list(keys[:-1])]
    elif shape == "flat":
        pass  # no dependencies
    elif shape == "cleanup":
        parents = [[], *([key] for key in keys[:-1])]
        parents[-1] = [{"key": keys[-2], "when": choice.pick(("done", "failure"), "when", title)}]
    else:
        for number in range(1, n):
            parents[number] = [
                {"key": keys[other], "when": choice.pick(WHENS, "when", title, number, other)}
                for other in range(number)
                if choice.hit(0.35, "edge", title, number, other)
            ]
    return [_subtask(scenario, choice, title, key, before) for key, before in zip(keys, parents, strict=True)]


def rework_of(choice: NamedChoice, judged: Sequence[str], *key: object) -> tuple[dict[str, str], list[dict[str, Json]]]:
    """Draw the content of a rework verdict: targets with feedback, and subtasks to add. Each may be empty."""
    targets: list[str] = []
    if judged and choice.hit(0.7, "targets", *key):
        single = choice.hit(0.4, "alone", *key)
        targets = [choice.pick(judged, "target", *key)] if single else []
        targets = targets or [subtask for subtask in judged if choice.hit(0.5, "target", *key, subtask)]
    added: list[dict[str, Json]] = []
    for number in range(1, 3) if judged and choice.hit(0.35, "added", *key) else ():
        parent, when = choice.pick(judged, "parent", *key, number), choice.pick(WHENS, "when", *key, number)
        before = [] if choice.hit(0.3, "free", *key, number) else [{"key": parent, "when": when}]
        # Named by round, because the verdicts of a round are merged, and equal names are one subtask.
        added.append({"key": f"more-{key[-1]}-{number}", "description": "more", "depends_on": before})
    return dict.fromkeys(targets, "again"), added


def _subtask(scenario: Scenario, choice: NamedChoice, title: str, key: str, before: Sequence[Json]) -> dict[str, Json]:
    spec: dict[str, Json] = {"key": key, "description": f"{key} of {title}", "depends_on": list(before)}
    if scenario.skills and choice.hit(scenario.skilled, "skilled", title, key):
        spec["required_skills"] = [choice.pick(scenario.skills, "skill", title, key)]
    if choice.hit(scenario.continues, "continues", title, key):
        spec["on_failure"] = "continue"
    if choice.hit(scenario.limited, "limited", title, key):
        keys = [limit for limit in LIMITED_KEYS if choice.hit(0.5, "limit", title, key, limit)] or LIMITED_KEYS[:1]
        spec["concurrency"] = [{"key": limit, "max": 1} for limit in keys]
    if choice.hit(scenario.labelled, "labelled", title, key):
        names = [name for name in LABELS if choice.hit(0.5, "label", title, key, name)] or LABELS[:1]
        spec["labels"] = dict.fromkeys(names, "")
    return spec
