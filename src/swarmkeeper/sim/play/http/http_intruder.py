"""The calls of an intruder at level http: every call that takes an id. Direct HTTP, as the SDK would not make them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template
from typing import Any

from swarmkeeper.sdk.errors import Unreachable
from swarmkeeper.sim.kernel.loop import Host
from swarmkeeper.sim.kernel.network import Network
from swarmkeeper.sim.oracle.http_answers import HttpModel
from swarmkeeper.sim.oracle.tenant_isolation import named, tenant_id
from swarmkeeper.sim.play.host import Environment
from swarmkeeper.sim.play.http.http_edge import REQUEST_NAME, HttpEdge, SimTransport
from swarmkeeper.sim.play.http.sdk_bots import KeyOf, SdkBot
from swarmkeeper.sim.play.intruder import Ids, intruder_name

SECONDS = 10.0  # timeout of a call


@dataclass(frozen=True, slots=True)
class Try:
    role: str  # the role whose key is used
    method: str
    path: str
    body: Any = None


_RESULT = {"lease_id": "$lease", "status": "succeeded", "output": {"said": "mine"}}
_ONE = "/tasks/$task"
TRIES: Mapping[str, Try] = {
    **{part: Try("client", "GET", f"{_ONE}/{part}") for part in ("subtasks", "graph", "events", "messages")},
    **{part: Try("client", "GET", f"{_ONE}/{part}") for part in ("timeline", "verdicts")},
    "bot leases": Try("operator", "GET", "/bots/$bot/leases"),
    **{verb: Try("client", "POST", f"{_ONE}:{verb}", {}) for verb in ("cancel", "pause", "resume", "retry", "archive")},
    "look": Try("client", "GET", _ONE),
    "look and wait": Try("client", "GET", f"{_ONE}?wait_seconds=1"),
    "explain": Try("client", "GET", f"{_ONE}:explain"),
    "subtask": Try("client", "GET", f"{_ONE}/subtasks/$work"),
    "output": Try("client", "GET", f"{_ONE}/subtasks/$work/output"),
    "update": Try("client", "PATCH", _ONE, {"priority": 0}),
    "tell": Try("client", "POST", f"{_ONE}/messages", {"payload": {"said": "hello"}}),
    "audit of task": Try("auditor", "GET", f"{_ONE}/audit"),
    "audit": Try("auditor", "GET", "/audit?task_id=$task"),
    "bot": Try("operator", "GET", "/bots/$bot"),
    "drain": Try("operator", "POST", "/bots/$bot:drain", {}),
    "enable": Try("operator", "POST", "/bots/$bot:enable", {}),
    "approval": Try("approver", "GET", "/approvals/$approval"),
    "approve": Try("approver", "POST", "/approvals/$approval:approve", {"subject_hash": "0" * 64}),
    "reject": Try("approver", "POST", "/approvals/$approval:reject", {"reason": "no"}),
    "answer": Try("approver", "POST", "/approvals/$approval:answer", {"answer": "a"}),
    "approvals": Try("approver", "GET", "/approvals?task_id=$task"),
    "beat": Try("bot", "POST", "/bots/$bot:heartbeat", {"leases": []}),
    "beat lease": Try("bot", "POST", "/bots/$own:heartbeat", {"leases": [{"lease_id": "$lease"}]}),
    "claim": Try("bot", "POST", "/leases", {"bot_id": "$bot", "wait_seconds": 0}),
    "report": Try("bot", "POST", f"{_ONE}/results", {**_RESULT, "bot_id": "$own"}),
    "report as": Try("bot", "POST", f"{_ONE}/results", {**_RESULT, "bot_id": "$bot"}),
    "report many": Try("bot", "POST", "/results", {"bot_id": "$own", "results": [{**_RESULT, "task_id": "$task"}]}),
    "release": Try("bot", "POST", "/leases/$lease:release", {}),
    "ask": Try("bot", "POST", "/leases/$lease:ask", {"question": "what?"}),
}


class HttpIntruderEdge:
    """Calls with keys of the intruder's own tenant, and as its bot."""

    def __init__(
        self, env: Environment, network: Network[HttpEdge], model: HttpModel, key_of: KeyOf, tenant: int, bot: SdkBot
    ) -> None:
        self._key_of, self._bot, self._tenant = key_of, bot, tenant_id(tenant)
        name = intruder_name(tenant)
        self.host = Host(env.loop, name)
        self.tries: Sequence[str] = sorted(TRIES)
        self._transport = SimTransport(network, model, self.host, source=name, connection=name)

    async def answer(self, try_: str, what: str, ids: Ids) -> str | None:
        wanted = TRIES[try_]
        if not self._bot.id:
            return None
        holder = self._bot.name if wanted.role == "bot" else named(self._tenant, wanted.role)
        headers = {"x-api-key": await self._key_of(holder), "content-type": "application/json"}
        names = {**ids, "own": self._bot.id}
        path = Template(wanted.path).substitute(names)
        body = None if wanted.body is None else Template(json.dumps(wanted.body)).substitute(names).encode()
        REQUEST_NAME.set(what)
        try:
            response = await self._transport.request(wanted.method, path, headers, body, SECONDS)
        except Unreachable:
            return None
        finally:
            REQUEST_NAME.set("")
        if response.status in (429, 503):
            return None
        if response.status < 400:
            return f"{response.status} {response.body.decode()}"
        refusal = json.loads(response.body)
        if response.status == 422:  # an invalid call proves nothing about isolation
            raise ValueError(f"{try_}: {refusal}")
        return f"{response.status} {refusal['code']}: {refusal.get('detail')} {refusal.get('errors')}"
