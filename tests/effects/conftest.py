"""The swarm of the tests of the API, and what tests of effects ask it besides."""

import json
from datetime import datetime
from typing import Any

from swarmkeeper.app import Orchestrator
from tests.http.conftest import Caller, Json, admin, client, fleet, nobody, store_url, swarm

__all__ = ["admin", "client", "fleet", "nobody", "store_url", "swarm"]


async def submitted(client: Caller, *keys: str, **more: Json) -> str:
    """A task of subtasks that depend on nothing, which nobody judges; its id."""
    subtasks = [{"key": key, "description": "do it"} for key in keys]
    body = {"title": "t", "evaluation": "none", **({"subtasks": subtasks} if keys else {}), **more}
    answer = await client.post("/tasks", body)
    assert answer.status == 201, answer.json
    return str(answer.json["id"])


async def ended(client: Caller, task_id: str) -> Json:
    """The task, once its outcome is there."""
    return (await client.get(f"/tasks/{task_id}?wait_seconds=5")).json


async def audited(swarm: Orchestrator, action: str) -> Json:
    """What the only audit record of an action says."""
    records = await swarm.store.read("audit_records", {"tenant": "default", "place": 0, "size": 100, "n": 100})
    (body,) = [record["body"] for record in records if record["action"] == action.encode()]
    return json.loads(body)["payload"]


def seconds_between(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def attempt_seconds(lease: dict[str, Any], lease_seconds: float) -> float:
    """How long the attempt may take, of which the lease of so many seconds is the beginning."""
    return seconds_between(lease["expires_at"], lease["ends_at"]) + lease_seconds
