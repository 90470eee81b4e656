"""What a measurement came to, with all that is needed to judge it, for a reader and for a program."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

Figure = float | int | None  # None: this system does not tell

VERSION = 1  # of the JSON


class CannotMeasure(Exception):
    """The measurement was not begun, or went wrong; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What may be chosen of a scenario; None is the scenario's own choice."""

    tasks: int | None = None
    subtasks: int | None = None
    bots: int | None = None
    batch: int | None = None
    store: str | None = None

    def chosen(self, *, tasks: int = 0, subtasks: int = 0, bots: int = 0, batch: int = 0) -> Chosen:
        """With the scenario's own numbers where none were given; 0 is for what it has no use for.

        Raises:
            CannotMeasure: a number was given that this scenario has no use for.
        """
        own = {"tasks": tasks, "subtasks": subtasks, "bots": bots, "batch": batch}
        for name, number in own.items():
            if not number and getattr(self, name) is not None:
                raise CannotMeasure(f"this scenario has no use for --{name}")
        return Chosen(**{name: getattr(self, name) or number for name, number in own.items()}, store=self.store)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The numbers of one measurement; 0 is for what it has no use for."""

    tasks: int
    subtasks: int
    bots: int
    batch: int
    store: str | None

    def told(self) -> dict[str, int]:
        numbers = {"tasks": self.tasks, "subtasks": self.subtasks, "bots": self.bots, "batch": self.batch}
        return {name: number for name, number in numbers.items() if number}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    scenario: str
    options: Chosen
    machine: Mapping[str, Any]
    durability: Mapping[str, Any]
    payload: Mapping[str, Any]  # sizes, in bytes
    figures: Mapping[str, Figure]
    meaning: Mapping[str, str] = field(default_factory=dict)  # of figures whose name does not say it

    def as_json(self) -> dict[str, Any]:
        return {"version": VERSION, **asdict(self), "options": self.options.told()}

    def lines(self) -> list[str]:
        """The same as text: what it was measured on, then the figures."""
        told = [
            ("machine", self.machine),
            ("durability", self.durability),
            ("options", self.options.told()),
            ("payload", self.payload),
        ]
        lines = [self.scenario]
        lines += [
            f"  {name:<11} {', '.join(f'{one} {shown(value)}' for one, value in facts.items())}" for name, facts in told
        ]
        width = max((len(name) for name in self.figures), default=0)
        for name, value in self.figures.items():
            lines.append(f"  {name:<{width}}  {shown(value):>12}  {self.meaning.get(name, '')}".rstrip())
        return lines


def shown(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if value < 10 else f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ratio(over: float | None, under: float | None) -> float | None:
    return None if over is None or not under else over / under
