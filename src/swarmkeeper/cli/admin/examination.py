"""How commands examine a store, and say what they have found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from swarmkeeper.cli.framework import running, terminal

if TYPE_CHECKING:
    from swarmkeeper.core.ports import Reader
    from swarmkeeper.offline.doctor import DoctorFinding


async def of_store(store: Reader, *, deep: bool) -> list[DoctorFinding]:
    """Examine a store as `doctor` does."""
    from swarmkeeper.clock import SystemClock
    from swarmkeeper.offline import doctor

    return await doctor.examine(store, running.shipped_rules(), deep=deep, wall=SystemClock().now())


async def of_copy(copy: Reader) -> list[DoctorFinding]:
    """Examine a copy of a store as `doctor --deep` does, but for the clock, which is this machine's."""
    from swarmkeeper.offline import doctor

    return [finding for finding in await of_store(copy, deep=True) if finding.check is not doctor.CLOCK]


def of_bodies(wrong: Sequence[str]) -> list[DoctorFinding]:
    """Return the findings about bodies that are encrypted."""
    from swarmkeeper.offline import doctor

    return [doctor.DoctorFinding(doctor.AT_REST, trouble) for trouble in wrong]


def as_json(findings: Sequence[DoctorFinding]) -> list[Mapping[str, Any]]:
    return [
        {"invariant": finding.check.invariant, "check": finding.check.says, "subject": finding.subject}
        for finding in findings
    ]


def say(findings: Sequence[DoctorFinding]) -> None:
    for finding in findings:
        subject = terminal.on_one_line(finding.subject)
        terminal.say(f"invariant {finding.check.invariant} violated ({finding.check.says}): {subject}")
