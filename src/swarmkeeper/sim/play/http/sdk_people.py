"""People of level http (people.py) on real SDK clients. `SdkEdge` turns each of their commands into the SDK call that a
person's program would make. `SdkCalls` takes the place of the network of level core.

`FeedFollower` follows the feed of events.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec

from swarmkeeper.core import commands, errors
from swarmkeeper.core.commands import Command
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.model import Principal
from swarmkeeper.sdk.client import Client
from swarmkeeper.sdk.errors import ApiError, Unreachable
from swarmkeeper.sim.kernel.chance import SeededChance
from swarmkeeper.sim.kernel.loop import Host
from swarmkeeper.sim.kernel.named_choice import NamedChoice
from swarmkeeper.sim.kernel.network import IncomingRequest, Network, NoAnswer
from swarmkeeper.sim.oracle.http_answers import HttpModel
from swarmkeeper.sim.oracle.seen import ApprovalSeen, TaskSeen
from swarmkeeper.sim.oracle.tenant_isolation import named, tenant_id
from swarmkeeper.sim.play.http.http_edge import REQUEST_NAME, HttpEdge, SimTransport
from swarmkeeper.sim.play.http.sdk_bots import KeyOf
from swarmkeeper.sim.play.scenarios import Scenario, submission_of

_T = TypeVar("_T")

WATCHER = "auditor"

_CODES: Mapping[str, type[SwarmkeeperError]] = {
    error.code: error for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "code")
}


async def _client(
    name: str, network: Network[HttpEdge], model: HttpModel, host: Host, choice: NamedChoice, key_of: KeyOf
) -> Client:
    """Return an SDK client of this person, over the simulated network."""
    transport = SimTransport(network, model, host, source=name, connection=name)
    chance = SeededChance(choice.seed, f"sdk/{name}")
    return Client("http://swarmkeeper", await key_of(name), transport=transport, chance=chance)


class SdkCalls:
    """Implements `OrchestratorConnection` for people: their requests go through the SDK."""

    def __init__(
        self,
        network: Network[HttpEdge],
        model: HttpModel,
        host: Host,
        scenario: Scenario,
        choice: NamedChoice,
        key_of: KeyOf,
    ) -> None:
        self._network, self._model, self._host = network, model, host
        self._scenario, self._choice, self._key_of = scenario, choice, key_of
        self._edges: dict[str, SdkEdge] = {}

    async def call(
        self,
        source: str,
        what: str,
        ask: Callable[[Any, IncomingRequest], Awaitable[_T]],
        *,
        seconds: float,
        connection: str = "",
    ) -> _T:
        """Same as `Network.call`, but the SDK's own timeouts apply instead of `seconds`."""
        edge = await self._edge(source)
        REQUEST_NAME.set(what)
        try:
            return await ask(edge, IncomingRequest(0, source, f"{source}:{what}", None))
        except Unreachable:
            raise NoAnswer(f"{source}:{what}") from None
        except ApiError as error:
            raise _CODES[error.code](error.detail, retry_after=error.retry_after) from None
        finally:
            REQUEST_NAME.set("")

    def drop(self, connection: str) -> None:
        self._network.drop(connection)

    async def _edge(self, source: str) -> SdkEdge:
        if source not in self._edges:
            client = await _client(source, self._network, self._model, self._host, self._choice, self._key_of)
            self._edges.setdefault(source, SdkEdge(client, self._scenario, self._choice))
        return self._edges[source]


class FeedFollower:
    """Follows the feed of all events, and checks that it receives each once, in order, despite broken connections."""

    def __init__(
        self,
        network: Network[HttpEdge],
        model: HttpModel,
        host: Host,
        choice: NamedChoice,
        key_of: KeyOf,
        tenant: int = 1,
    ) -> None:
        self.host = host
        self.tenant = tenant_id(tenant)
        self._name = named(self.tenant, WATCHER)
        self.received = 0  # number of events
        self._network, self._model, self._choice, self._key_of = network, model, choice, key_of

    async def run(self) -> None:
        model = self._model
        client = await _client(self._name, self._network, model, self.host, self._choice, self._key_of)
        async for event in client.events(follow=True):
            seen = (event.kind, event.data["audit_id"], event.data["task_id"])
            if model.isolation is not None:
                model.isolation.sent(self.tenant, (word for word in seen if word), "the feed")
            events = model.feed_events[self.tenant]
            expected = events[self.received] if self.received < len(events) else None
            if seen != expected:
                why = f"{seen} was received as number {self.received + 1}; {expected} was committed"
                model.broken("5.feed", event.data["task_id"], why)
            self.received += 1

    def missed(self, before: int) -> bool:
        """Whether an event that was committed before this loop time has not been received."""
        feed_times = self._model.feed_times[self.tenant]
        return self.received < len(feed_times) and feed_times[self.received] < before


class SdkEdge:
    """Implements `PeopleEdge` by calls of the SDK."""

    def __init__(self, client: Client, scenario: Scenario, choice: NamedChoice) -> None:
        self._client, self._scenario, self._choice = client, scenario, choice

    async def do(self, call: IncomingRequest, command: Command[Any]) -> Any:
        client = self._client
        match command:
            case commands.Submit():
                return await self._submit(command)
            case commands.Cancel():
                await client.cancel(command.task)
            case commands.Pause():
                await client.pause(command.task)
            case commands.Resume():
                await client.resume(command.task)
            case commands.RetryFailedTask():
                await client.retry(command.task)
            case commands.Archive():
                await client.archive(command.task)
            case commands.Update():
                await client.patch(command.task, priority=command.priority, labels=command.labels)
            case commands.SendMessage():
                await client.tell(command.task, msgspec.json.decode(command.payload))
            case commands.Drain():
                await client.drain_bot(command.bot)
            case commands.Enable():
                await client.enable_bot(command.bot)
            case commands.Decide():
                await self._decide(command)
            case _:
                raise AssertionError(f"no person sends {type(command).__name__}")
        return None

    async def bulk(self, action: str, chosen: Mapping[str, Any], key: str) -> str:
        """Begin an operation on many tasks, and return its id."""
        return (await self._client.bulk(action, **chosen, idempotency_key=key)).id

    async def _submit(self, command: commands.Submit) -> str:
        wanted = submission_of(self._scenario, self._choice, command.title)
        fields: dict[str, Any] = {
            "title": wanted.title,
            "priority": wanted.priority,
            "evaluation": wanted.evaluation,
            "quorum": {"accept": wanted.quorum[0], "of": wanted.quorum[1]},
            "approval": wanted.approval,
            "max_rounds": wanted.max_rounds,
        }
        if wanted.deadline_seconds is not None:
            fields["deadline_seconds"] = wanted.deadline_seconds
        if wanted.budget is not None:
            fields["budget"] = wanted.budget
        if wanted.subtasks is not None:
            fields["subtasks"] = wanted.subtasks
        fields |= self._scenario.task or {}
        assert command.idempotency is not None, "clients always send an idempotency key"
        return (await self._client.submit(fields, idempotency_key=command.idempotency[0])).id

    async def _decide(self, command: commands.Decide) -> None:
        if command.verb == "approve":
            await self._client.approve(command.approval, command.subject_hash or "")
        elif command.verb == "reject":
            await self._client.reject(command.approval, "no")
        else:
            await self._client.answer(command.approval, command.answer)

    async def task(self, call: IncomingRequest, by: Principal, task: str) -> TaskSeen:
        seen = await self._client.get(task)
        return TaskSeen(task, seen.status, seen.outcome, ",".join(seen.holds))

    async def approvals(self, call: IncomingRequest, by: Principal) -> list[ApprovalSeen]:
        return [
            ApprovalSeen(
                id=approval.id,
                task=approval.task_id,
                kind=approval.kind,
                asked_by=approval.asked_by,
                choices=msgspec.json.encode(approval.choices).decode(),
                subject_hash=approval.subject_hash,
                expires_at=round(approval.expires_at.timestamp() * 1_000_000),
            )
            async for approval in self._client.approvals(state="open")
        ]
