"""Checks answers of the HTTP application against the committed state. They read only what any caller could read."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swarmkeeper.core.ports import Changes
from swarmkeeper.sdk.connection.transport import Response
from swarmkeeper.sim.oracle.model import Model
from swarmkeeper.sim.oracle.seen import LeaseSeen
from swarmkeeper.sim.oracle.tenant_isolation import ID


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def bare(self) -> str:
        return self.path.partition("?")[0]

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else {}


EventSeen = tuple[str, str, str | None]  # kind of the event, its audit record, its task


class HttpModel(Model):
    """The shadow model, which also remembers leases (a simulated bot's choices need more than the SDK gives it) and
    events (to check followers of the feed)."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.leased: dict[str, LeaseSeen] = {}
        self.feed_events: dict[str, list[EventSeen]] = defaultdict(list)  # by tenant
        self.feed_times: dict[str, list[int]] = defaultdict(list)  # loop time of each of these events

    def committed(self, saved: Sequence[Changes]) -> None:
        super().committed(saved)
        for changes in saved:
            self._lease(changes)
            for event in changes.events:
                self.feed_events[event.tenant].append((event.kind, event.audit, event.task))
                self.feed_times[event.tenant].append(self._loop.now)

    def _lease(self, changes: Changes) -> None:
        for lease in changes.leases.values():
            if lease.lease_id in self.leased:
                continue
            item = self.works[lease.work]
            self.leased[lease.lease_id] = LeaseSeen.of(lease, item, self.title(item.task))

    def label_of(self, lease_id: str) -> str:
        lease = self.leased.get(lease_id)
        return lease_id if lease is None else lease.label


class AnswerChecks:
    """Checks each answer before it is given."""

    def __init__(self, model: HttpModel) -> None:
        self._model = model

    def before(self, request: HttpRequest) -> int:
        """Return the version of the task that the request reads, to compare with the answer; 0 if it reads none."""
        task = self._model.tasks.get(segment(request.bare, 2)) if request.method == "GET" else None
        by = self._by(request)
        return 0 if task is None or (by is not None and task.tenant != by) else task.version

    def _by(self, request: HttpRequest) -> str | None:
        """The tenant whose key the request has, if there is more than one tenant."""
        isolation = self._model.isolation
        return None if isolation is None else isolation.key_holders.get(request.headers.get("x-api-key", ""))

    def answered(self, request: HttpRequest, answer: Response, version_before: int) -> None:
        kind, verb = kind_of(request), request.bare.rpartition(":")[2]
        if answer.status >= 500 and answer.status != 503:
            self.broken("0.fault", request.bare, f"it was answered with {answer.status}")
        if self._model.isolation is not None:
            known = {*ID.findall(request.path), *ID.findall((request.body or b"").decode())}
            new = [id_ for id_ in ID.findall(answer.body.decode()) if id_ not in known]
            self._model.isolation.sent(self._by(request), new, request.bare)
        if answer.status not in (200, 201):
            if answer.status == 404 and kind == "look" and version_before:
                self.broken("7.acknowledged", request.bare, "a committed task is not found")
            return
        body = json.loads(answer.body)
        self._granted(request, body)
        match kind:
            case "submit":
                self._submitted(body["id"], body["title"])
            case "look":
                self._seen(body, answer.headers, version_before)
            case "report":
                self._reported(request.json["lease_id"], request.json["bot_id"])
            case "reports":
                for sent, entry in zip(request.json["results"], body["results"], strict=True):
                    if entry["accepted"]:
                        self._reported(sent["lease_id"], request.json["bot_id"])
            case "beat":
                self._beaten(segment(request.bare, 2).partition(":")[0], body)
            case "lease_ends":
                lease_id = segment(request.bare, 2).partition(":")[0]
                if lease_id not in self._model.attempts:
                    self.broken("7.acknowledged", self._model.label_of(lease_id), f"{verb}: the attempt has not ended")
            case _:
                pass

    def broken(self, invariant: str, entity: str, why: str) -> None:
        self._model.broken(invariant, entity, why)

    def _submitted(self, task_id: str, title: str) -> None:
        if task_id not in self._model.tasks:
            self.broken("7.acknowledged", title, "the task is not stored")
        elif self._model.tasks[task_id].title != title:
            self.broken("7.acknowledged", title, "it was answered with another task")
        else:
            self._model.acknowledged[title] = task_id

    def _seen(self, body: Mapping[str, Any], headers: Mapping[str, str], before: int) -> None:
        """A task must be shown in a state that it had between the request and the answer."""
        task = self._model.tasks.get(body["id"])
        version = int(headers["etag"].strip('"'))
        if task is None:
            self.broken("7.durable", body["title"], "it is shown, but was never committed")
        elif not before <= version <= task.version:
            self.broken("7.durable", task.title, f"version {version} is shown; {before} to {task.version} were stored")
        elif version == task.version and body["status"] != task.status:
            self.broken("7.durable", task.title, f"it is shown as {body['status']}; {task.status} was committed")

    def _reported(self, lease_id: str, bot: str) -> None:
        attempt = self._model.attempts.get(lease_id)
        if attempt is None:
            label = self._model.label_of(lease_id)
            self.broken("2.fence", label, "a report was accepted, and the attempt did not end with it")
        elif attempt.bot != bot:
            self.broken("2.fence", attempt.work, "a report was accepted from a bot that does not hold the lease")

    def _beaten(self, bot: str, body: Mapping[str, Any]) -> None:
        for entry in body["leases"]:
            if entry["directive"] == "continue" and self._model.holders.get(entry["lease_id"]) != bot:
                self.broken("2.fence", entry["lease_id"], "a bot may continue a lease that it was never granted")

    def _granted(self, request: HttpRequest, body: Any) -> None:
        if kind_of(request) not in ("lease", "report", "reports"):
            return
        for lease in body["leases"]:
            if self._model.holders.get(lease["lease_id"]) != request.json["bot_id"]:
                self.broken("7.acknowledged", lease["lease_id"], "a lease was handed out that is not stored")


def kind_of(request: HttpRequest) -> str:
    """Classify a request whose answer can be checked; "" for any other."""
    parts = request.bare.strip("/").split("/")
    match request.method, parts:
        case "POST", ["tasks"]:
            return "submit"
        case "GET", ["tasks", task] if ":" not in task:
            return "look"
        case "POST", ["tasks", _, "results"]:
            return "report"
        case "POST", ["results"]:
            return "reports"
        case "POST", ["leases"]:
            return "lease"
        case "POST", ["leases", _]:
            return "lease_ends"
        case "POST", ["bots", "register"]:
            return "register"
        case "POST", ["bots", bot] if bot.endswith(":heartbeat"):
            return "beat"
        case _:
            return ""


def segment(path: str, place: int) -> str:
    parts = path.split("/")
    return parts[place] if len(parts) > place else ""
