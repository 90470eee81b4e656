"""Checks in the store whether a report would be refused, before its content is read.

The engine checks again when it decides, because a lease may end in between. This check only saves reading results that
would certainly be refused. It passes possible late results and repeated reports on to the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from swarmkeeper.core import named_reads
from swarmkeeper.core.decide.effects.owners import why_not_own
from swarmkeeper.core.errors import (
    LeaseLost,
    LeaseRequired,
    PermissionDenied,
    ResourceNotFound,
    SwarmkeeperError,
    TaskClosed,
)
from swarmkeeper.core.model import Limits, Principal
from swarmkeeper.core.named_reads import ReportStateRow, fetch
from swarmkeeper.core.ports import ReadsOnly, Rules
from swarmkeeper.core.states import TASK_CLOSED, BotType, TaskStatus

ResultRef = tuple[str | None, str | None]  # (task, lease id) of a result; None if not named


class _Bot(NamedTuple):
    name: str
    key_id: str
    type: BotType


class Admission:
    def __init__(self, store: ReadsOnly, rules: Rules, limits: Limits) -> None:
        self._store, self._rules, self._limits = store, rules, limits

    async def refusals(
        self, by: Principal, bot: str, references: Sequence[ResultRef]
    ) -> Mapping[int, SwarmkeeperError]:
        """Return the errors of the results that would be refused, by the result's index.

        Raises:
            PermissionDenied: the caller may not report, or not for this bot.
            ResourceNotFound: there is no such bot.
        """
        if not self._rules.may(by, "work.report"):
            raise PermissionDenied(self._rules.why_not(by, "work.report"))
        rows = await fetch(self._store, named_reads.BOT_OWNER, tenant=by.tenant, bot=bot)
        if not rows:
            raise ResourceNotFound("no such bot")
        (owner,) = rows
        if (why_not := why_not_own(by, _Bot(owner.name, owner.key_id, BotType(owner.type)))) is not None:
            raise PermissionDenied(why_not)
        asked = msgspec.json.encode([(index, *reference) for index, reference in enumerate(references)]).decode()
        found = await fetch(self._store, named_reads.REPORT_STATES, tenant=by.tenant, bot=bot, asked=asked)
        refused: dict[int, SwarmkeeperError] = {}
        for row in found:
            if (error := self._refusal(row)) is not None:
                refused[row.place] = error
        return refused

    async def of_each(self, by: Principal, bot: str, references: Sequence[ResultRef]) -> Mapping[int, SwarmkeeperError]:
        """Return the errors as `refusals` does; an error for the whole report is returned for each result."""
        try:
            return await self.refusals(by, bot, references)
        except SwarmkeeperError as error:
            return dict.fromkeys(range(len(references)), error)

    def _refusal(self, row: ReportStateRow) -> SwarmkeeperError | None:
        if row.named_task is not None and row.task_status is None:
            return ResourceNotFound("no such task")
        if row.lease_id is None:
            if row.named_task is None:
                return None  # it names neither task nor lease: reading it will report that
            if row.live != 1:
                return LeaseRequired("name the lease: this bot has no lease on the task, or has or had several")
            return None
        if row.live or row.again or (row.ended and row.late < self._limits.late_results_max):
            return None
        if row.task_status is not None and TaskStatus(row.task_status) in TASK_CLOSED:
            return TaskClosed("the task is closed, and this bot holds no lease of it to report")
        if row.ended:
            return LeaseLost("result not accepted: this lease has ended, and the limit of late results is reached")
        return LeaseLost("no live lease of this bot has that id")
