"""Looks whether a store still holds what must always hold: the audit log as written, and the invariants of the rows.

Each check of rows is one statement, so it sees one moment even of a store that a server is writing to.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from swarmkeeper.core.model import AuditLeaf, AuditTree
from swarmkeeper.core.ports import Store
from swarmkeeper.core.states import FINAL, TASK_CLOSED, Condition, Ending, Kind, Status, TaskStatus
from swarmkeeper.govern import audit
from swarmkeeper.govern.audit import Verdict

PAGE = 500
SHOWN = 20  # findings of one check; the rest is counted by looking again after mending


# ---- the audit log -------------------------------------------------------------------------------------------------


async def verify_audit(store: Store) -> dict[str, Verdict]:
    """What verifying each tenant's log came to. A server may be writing meanwhile: what it adds is not looked at."""
    tenants = [row["tenant"] for row in await store.read("audit_tenants", {})]
    verdicts = {tenant: await _verify_one(store, tenant) for tenant in tenants}
    lost = await store.read("doctor_event_without_record", {"n": 1})
    for row in lost:
        # Records that are gone together with the head of their log leave no other trace.
        verdict = verdicts.get(row["tenant"], Verdict("whole", 0))
        if verdict.status == "whole":
            reason = "an event names a record that is not there"
            verdicts[row["tenant"]] = replace(verdict, status="incomplete", reason=reason)
    return verdicts


async def _verify_one(store: Store, tenant: str) -> Verdict:
    head = (await store.read("audit_head", {"tenant": tenant}) or [None])[0]
    tree = None if head is None else AuditTree(head["tenant"], head["size"], head["frontier"], head["root"])
    size = 1 << 62 if tree is None else tree.size
    loop = asyncio.get_running_loop()

    def records() -> Iterator[AuditLeaf]:
        # In a thread of its own, because the verifier asks for one record after the other; the store is asked where
        # it lives, a page at a time, so that no log is too large.
        place = 0
        while True:
            asked = {"tenant": tenant, "place": place, "size": size, "n": PAGE}
            rows = asyncio.run_coroutine_threadsafe(store.read("audit_records", asked), loop).result()
            for row in rows:
                yield _leaf(row)
            if len(rows) < PAGE:
                return
            place = rows[-1]["place"] + 1

    verdict = await asyncio.to_thread(lambda: audit.verify(records(), tree))
    if verdict.status == "whole" and tree is not None:
        # The head and what lies beyond it, seen at one moment.
        now = (await store.read("audit_head", {"tenant": tenant}) or [None])[0]
        if now is None or now["size"] < tree.size:
            return replace(verdict, status="incomplete", reason="the head of the log went back while it was read")
        if now["beyond"]:
            reason = f"there are more records than the {now['size']} that the tree was made of"
            return replace(verdict, status="tampered", index=now["size"], reason=reason)
    return verdict


def _leaf(row: Mapping[str, Any]) -> AuditLeaf:
    return AuditLeaf(
        tenant=row["tenant"],
        index=row["place"],
        id=row["id"],
        task=row["task"],
        actor=row["actor"],
        action=row["action"],
        at=row["at"],
        leaf=row["leaf"],
        salt=row["salt"],
        body=row["body"],
        hash=row["hash"],
    )
