"""How `audit verify` says what it has found, and reads what an earlier run said."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.framework.terminal import CliError, Exit

if TYPE_CHECKING:
    from swarmkeeper.govern.audit import AuditVerification, KeptRoot
    from swarmkeeper.offline.doctor import DoctorFinding
    from swarmkeeper.offline.replay import Replay

STATUSES = ("whole", "tampered", "incomplete")  # by exit code


@dataclass(frozen=True, slots=True)
class Verified:
    """What `audit verify` has found. Args: `rows` and `findings` are of --deep."""

    verdicts: Mapping[str, AuditVerification]  # by tenant
    rows: Replay | None = None
    findings: Sequence[DoctorFinding] = ()

    @property
    def records(self) -> int:
        return sum(verdict.records for verdict in self.verdicts.values())


def read(file: Path) -> dict[str, KeptRoot]:
    """Read the roots from a file with what `audit verify --json` printed.

    Raises:
        CliError: the file is not that.
    """
    from swarmkeeper.govern.audit import KeptRoot

    try:
        said = json.loads(file.read_text("utf-8"))
        return {
            log["tenant"]: KeptRoot(int(log["size"]), bytes.fromhex(log["root"]))
            for log in said["logs"]
            if log["root"] is not None
        }
    except OSError as error:
        raise CliError("not_read", f"{file}: {error.strerror}", exit_code=Exit.USAGE) from None
    except (ValueError, LookupError, TypeError) as error:
        detail = f"{file} is not what `audit verify --json` prints: {type(error).__name__}: {error}"
        raise CliError("not_read", detail, exit_code=Exit.USAGE) from None


def say(status: int, found: Verified, *, as_json: bool) -> None:
    if as_json:
        terminal.say_json(
            {
                "status": STATUSES[status],
                "records": found.records,
                "logs": _logs(found.verdicts),
                **_deep_as_json(found),
            }
        )
        return
    say_verdicts(found.verdicts, found.records)
    for finding in found.findings:
        terminal.say(f"{finding.check.says}: not so for {terminal.on_one_line(finding.subject)}")
    if found.rows is not None:
        for mismatch in found.rows.mismatches:
            terminal.say(f"row tampered: {terminal.on_one_line(str(mismatch))}")
        terminal.say(f"rows that are as the log says: {found.rows.anchored}")
        if found.rows.unanchored:
            kinds = ", ".join(f"{number} of {table}" for table, number in sorted(found.rows.unanchored.items()))
            terminal.say(f"rows not anchored, because they are older than what the log tells: {kinds}")


def _logs(verdicts: Mapping[str, AuditVerification]) -> list[dict[str, Any]]:
    return [
        {
            "tenant": tenant,
            "status": verdict.status,
            "records": verdict.records,
            "begin": verdict.begin,
            "erased": verdict.erased,
            "erasures": verdict.erasures,
            "erased_by": list(verdict.erased_by),
            "first_bad_index": verdict.index,
            "reason": verdict.reason,
            "size": None if verdict.kept is None else verdict.kept.size,
            "root": None if verdict.kept is None else verdict.kept.root.hex(),
        }
        for tenant, verdict in verdicts.items()
    ]


def _deep_as_json(found: Verified) -> dict[str, Any]:
    if found.rows is None:
        return {}
    rows = [
        {"tenant": bad.tenant, "table": bad.table, "key": bad.key, "index": bad.index, "reason": bad.reason}
        for bad in found.rows.mismatches
    ]
    events = [{"check": finding.check.says, "subject": finding.subject} for finding in found.findings]
    return {
        "rows": {"anchored": found.rows.anchored, "not_anchored": found.rows.unanchored, "tampered": rows},
        "events": events,
    }


def say_verdicts(verdicts: Mapping[str, AuditVerification], records: int) -> None:
    """Print one line if all logs are whole, else one for each log that is not, with its first bad index."""
    bad = {tenant: verdict for tenant, verdict in verdicts.items() if verdict.status != "whole"}
    if not bad:
        terminal.say(f"audit log verified: {records} records")
        for tenant, verdict in verdicts.items():
            if verdict.erased or verdict.begin:
                terminal.say(f"  tenant {terminal.on_one_line(tenant)}: {_what_left(verdict)}")
    for tenant, verdict in bad.items():
        place = "" if verdict.index is None else f", first bad index {verdict.index}"
        terminal.say(f"audit log {verdict.status}: tenant {terminal.on_one_line(tenant)}{place}: {verdict.reason}")


def _what_left(verdict: AuditVerification) -> str:
    parts = []
    if verdict.begin:
        parts.append(f"the first {verdict.begin} records have left, as a record says")
    if verdict.erased:
        named = ", ".join(map(str, verdict.erased_by)) + (", …" if verdict.erasures > len(verdict.erased_by) else "")
        parts.append(f"{verdict.erased} bodies were erased, as these {verdict.erasures} records say: {named}")
    return "; ".join(parts)
