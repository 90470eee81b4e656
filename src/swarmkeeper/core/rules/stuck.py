"""A bot's report of its code that still runs after its lease ended, and takes up capacity."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stuck:
    work: str  # id of the work item
    since: int  # when its lease ended
    where: str  # file, line and function; empty if unknown
