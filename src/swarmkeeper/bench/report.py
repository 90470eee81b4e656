"""The report of a benchmark with all that is needed to judge it, as text and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

Figure = float | int | None  # None: not available on this system

VERSION = 1  # of the JSON format


class CannotMeasure(Exception):
    """The measurement was not started, or failed; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioOptions:
    """Options of a scenario; None means its default."""

    tasks: int | None = None
    subtasks: int | None = None
    bots: int | None = None
    batch: int | None = None
    store: str | None = None

    def chosen(self, *, tasks: int = 0, subtasks: int = 0, bots: int = 0, batch: int = 0) -> Chosen:
        """Fill in the scenario's defaults, given as arguments; 0 means that it does not use the option.

        Raises:
            CannotMeasure: an option was given that the scenario does not use.
        """
        defaults = {"tasks": tasks, "subtasks": subtasks, "bots": bots, "batch": batch}
        for name, number in defaults.items():
            if not number and getattr(self, name) is not None:
                raise CannotMeasure(f"this scenario does not use --{name}")
        return Chosen(**{name: getattr(self, name) or number for name, number in defaults.items()}, store=self.store)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The options of one measurement; 0 means that it does not use the option."""

    tasks: int
    subtasks: int
    bots: int
    batch: int
    store: str | None

    def used(self) -> dict[str, int]:
        numbers = {"tasks": self.tasks, "subtasks": self.subtasks, "bots": self.bots, "batch": self.batch}
        return {name: number for name, number in numbers.items() if number}


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchReport:
    scenario: str
    options: Chosen
    machine: Mapping[str, Any]
    durability: Mapping[str, Any]
    payload: Mapping[str, Any]  # sizes, in bytes
    figures: Mapping[str, Figure]
    meaning: Mapping[str, str] = field(default_factory=dict)  # of figures whose name does not explain them

    def as_json(self) -> dict[str, Any]:
        return {"version": VERSION, **asdict(self), "options": self.options.used()}

    def lines(self) -> list[str]:
        """Return the report as lines of text: first the conditions, then the figures."""
        conditions = [
            ("machine", self.machine),
            ("durability", self.durability),
            ("options", self.options.used()),
            ("payload", self.payload),
        ]
        lines = [self.scenario]
        lines += [
            f"  {name:<11} {', '.join(f'{fact} {shown(value)}' for fact, value in facts.items())}"
            for name, facts in conditions
        ]
        width = max((len(name) for name in self.figures), default=0)
        for name, value in self.figures.items():
            lines.append(f"  {name:<{width}}  {shown(value):>12}  {self.meaning.get(name, '')}".rstrip())
        return lines


def shown(value: Any) -> str:
    """Format a figure for the text report."""
    if value is None:
        return "unknown"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if value < 10 else f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ratio(over: float | None, under: float | None) -> float | None:
    return None if over is None or not under else over / under
