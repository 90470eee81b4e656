"""Code of a bot that goes on though its lease is gone, and holds a place for as long: what a bot says of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stuck:
    work: str  # id of the work that the code was at
    since: int  # when its lease was taken back
    where: str  # file, line and function; empty where the bot cannot tell
