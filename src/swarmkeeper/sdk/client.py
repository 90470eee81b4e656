"""For whoever hands in work and watches it: every call of the API that is not a bot's, typed, retried where it is safe.

For a script without coroutines, see swarmkeeper.sync.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from swarmkeeper.sdk.attempts.sendable import sendable
from swarmkeeper.sdk.connection import chance as chances
from swarmkeeper.sdk.connection.calls import Answered, Calls, Json
from swarmkeeper.sdk.connection.chance import Chance
from swarmkeeper.sdk.connection.transport import Transport
from swarmkeeper.sdk.errors import ApiError, Unreachable
from swarmkeeper.wire.answers import (
    AuditLog,
    AuditPage,
    Bot,
    BotMessage,
    BotPage,
    Graph,
    Health,
    KeyPage,
    KeyRecord,
    MessagePage,
    Page,
    Skill,
    SkillPage,
    SubTaskDetail,
    SubTaskPage,
    SubTaskState,
    Task,
    TaskBatchAnswer,
    TaskBatchItem,
    TaskPage,
)
from swarmkeeper.wire.events import CloudEvent, EventPage, SseReader
from swarmkeeper.wire.explain import Explanation
from swarmkeeper.wire.people import Approval, ApprovalPage
from swarmkeeper.wire.redaction import RedactionTested
from swarmkeeper.wire.requests import TaskDefinition
from swarmkeeper.wire.shapes import read_answer

WAIT_SECONDS = 25.0  # one long poll: most proxies cut at 60, some at 30
PAGE_SIZE = 200

Item = TypeVar("Item")
Record = TypeVar("Record", bound=BaseModel)


class Client:
    """The orchestrator at `url`, with the rights of `api_key`.

    What is left out comes from SWARMKEEPER_URL, and SWARMKEEPER_API_KEY or SWARMKEEPER_API_KEY_FILE; else, as commands
    find it, from .swarmkeeper/ or swarmkeeper.toml in the current folder (a key that stands beside an address is used
    for that address alone). Every call raises `ApiError`; its subclasses say what can be done about it, and `code` says
    exactly what happened.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        api_key_file: str | os.PathLike[str] | None = None,
        transport: Transport | None = None,
        chance: Chance | None = None,
    ) -> None:
        self.calls = Calls(url, api_key=api_key, api_key_file=api_key_file, transport=transport, chance=chance)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self.calls.aclose()

    # ---- handing in

    async def submit(
        self, task: str | TaskDefinition | Mapping[str, Json], /, *, idempotency_key: str | None = None, **fields: Json
    ) -> Task:
        """Hand in a task: a title and fields (`input=…`, `subtasks=[…]`), a `TaskDefinition`, or the same as a mapping.

        Lost replies are made up for: the same submission never makes two tasks. Pass an `idempotency_key` of your own
        to have that over restarts of your process too. Python values become JSON as a bot's outputs do.
        """
        body = {**_sent(task), **{name: _sent_value(value) for name, value in fields.items()}}
        return await self._command("POST", "/tasks", sendable(body, "the task"), Task, idempotency_key)

    async def submit_many(
        self, tasks: Sequence[str | TaskDefinition | Mapping[str, Json]], *, idempotency_key: str | None = None
    ) -> list[TaskBatchItem]:
        """Up to 500 tasks in one call, each taken or refused by itself."""
        body = sendable({"tasks": [_sent(task) for task in tasks]}, "a task")
        return (await self._command("POST", "/tasks:batch", body, TaskBatchAnswer, idempotency_key)).results

    # ---- looking

    async def get(self, task_id: str, *, explain: bool = False) -> Task:
        """The task as it stands; with `explain` its `explanation` says why it is not done yet, of the same moment."""
        return await self._read(_task(task_id), Task, {"explain": "true"} if explain else {})

    async def explain(self, task_id: str) -> Explanation:
        """Why the task is not done yet: the one reason for each thing that waits, and the command that helps."""
        return await self._read(f"{_task(task_id)}:explain", Explanation)

    async def wait(self, task_id: str, timeout: float | None = None) -> Task:
        """The task once its outcome is known.

        Raises:
            TimeoutError: it was not, within `timeout` seconds. The task goes on.
        """
        async with asyncio.timeout(timeout):
            while True:
                query = {"wait_seconds": WAIT_SECONDS, "until": "final"}
                answer = await self.calls.call("GET", _task(task_id), query=query, wait_seconds=WAIT_SECONDS)
                task = read_answer(Task, answer.body)
                if task.outcome is not None:
                    return task

    async def watch(self, task_id: str) -> AsyncIterator[Task]:
        """The task as it is now, and again after each change, until its outcome is known."""
        query: dict[str, object] = {}
        headers: dict[str, str] = {}
        while True:
            answer = await self.calls.call(
                "GET", _task(task_id), query=query, headers=headers, wait_seconds=WAIT_SECONDS if query else 0
            )
            if answer.status != 304:
                task = read_answer(Task, answer.body)
                yield task
                if task.outcome is not None:
                    return
                headers["if-none-match"] = answer.headers.get("etag", "")
            query = {"wait_seconds": WAIT_SECONDS, "until": "change"}

    async def result(self, task_id: str) -> dict[str, Json] | None:
        """The task's outputs by subtask key, whole, however large; None until it is COMPLETED."""
        task = await self.get(task_id)
        if task.result is None:
            return None
        return {
            key: await self.output(task_id, key) if _is_reference(value) else value
            for key, value in task.result.items()
        }

    def tasks(
        self,
        *,
        status: str | Sequence[str] = (),
        outcome: str | Sequence[str] = (),
        label: str | Sequence[str] = (),
        created_after: datetime | str | None = None,
        created_before: datetime | str | None = None,
        order_by: Literal["created_at", "-created_at", "priority"] | None = None,
    ) -> AsyncIterator[Task]:
        """All tasks with any of the statuses, any of the outcomes and all of the labels (`key:value`), page by page."""
        query = {
            "status": status,
            "outcome": outcome,
            "label": label,
            "created_after": _time(created_after),
            "created_before": _time(created_before),
            "order_by": order_by,
        }
        return self._items("/tasks", TaskPage, query)

    def subtasks(self, task_id: str) -> AsyncIterator[SubTaskState]:
        return self._items(f"{_task(task_id)}/subtasks", SubTaskPage)

    async def subtask(self, task_id: str, key_or_id: str) -> SubTaskDetail:
        """One subtask with its output, verdict and attempts."""
        return await self._read(f"{_task(task_id)}/subtasks/{_segment(key_or_id)}", SubTaskDetail)

    async def output(self, task_id: str, key_or_id: str) -> Json:
        """What a subtask made, whole."""
        return (await self.calls.call("GET", f"{_task(task_id)}/subtasks/{_segment(key_or_id)}/output")).body

    async def graph(self, task_id: str) -> Graph:
        return await self._read(f"{_task(task_id)}/graph", Graph)

    async def events(
        self, task_id: str | None = None, *, after: str | None = None, follow: bool = False
    ) -> AsyncIterator[CloudEvent]:
        """The feed of one task, or of all, in order, from the start or after a cursor (an event's id).

        `follow` goes on with what happens from then on, over broken connections, each event once; the feed of a task
        ends with the task, the feed of all never.
        """
        path = "/events" if task_id is None else f"{_task(task_id)}/events"
        if not follow:
            while items := (await self._read(path, EventPage, {"after": after, "page_size": PAGE_SIZE})).items:
                for event in items:
                    yield event
                after = items[-1].id
            return
        attempt = 0
        while True:
            came = False
            try:
                async with self.calls.stream(path, {}, after) as streamed:
                    reader = SseReader()
                    async for chunk in streamed.chunks:
                        for framed in reader.feed(chunk):
                            event = CloudEvent.model_validate_json(framed.data)
                            yield event
                            came, attempt, after = True, 0, framed.id or event.id
            except ApiError as error:
                if not (isinstance(error, Unreachable) or error.retryable):
                    raise
            else:
                # A whole stream without an event, of a task that is over: there is nothing more to come.
                if not came and task_id is not None and (await self.get(task_id)).outcome is not None:
                    return
            if not came:
                attempt += 1
                await asyncio.sleep(chances.pause(self.calls.chance, attempt))

    def audit(
        self,
        task_id: str | None = None,
        *,
        actor: str | None = None,
        action: str | None = None,
        after: int | None = None,
    ) -> AsyncIterator[AuditLog]:
        """Audit records of one task, or of all, in order; `after` is the `index` of the last one seen.

        `actor` is an id (of a bot or a key), `action` such as task.submit. For auditors and administrators.
        """
        path = "/audit" if task_id is None else f"{_task(task_id)}/audit"
        return self._items(path, AuditPage, {"actor": actor, "action": action, "after": after})

    # ---- steering

    async def cancel(self, task_id: str, reason: str | None = None) -> Task:
        return await self._verb(task_id, "cancel", {"reason": reason})

    async def pause(self, task_id: str, reason: str | None = None) -> Task:
        return await self._verb(task_id, "pause", {"reason": reason})

    async def resume(self, task_id: str, reason: str | None = None) -> Task:
        return await self._verb(task_id, "resume", {"reason": reason})

    async def retry(self, task_id: str, reason: str | None = None, *, deadline_seconds: float | None = None) -> Task:
        """Try a FAILED task again, from where it stopped."""
        return await self._verb(task_id, "retry", {"reason": reason, "deadline_seconds": deadline_seconds})

    async def archive(self, task_id: str, reason: str | None = None) -> Task:
        return await self._verb(task_id, "archive", {"reason": reason})

    async def tell(
        self,
        task_id: str,
        payload: Mapping[str, Json],
        *,
        to: str | None = None,
        lease_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> BotMessage:
        """Tell a bot, by name or id, something about a task; without `to`, whoever works on it.

        It comes with a heartbeat. `lease_id` is for a bot that speaks: which of its leases of the task it has in mind.
        """
        body = {
            "to_bot": to,
            "payload": sendable(payload, at="/payload", inside=1),
            **({} if lease_id is None else {"lease_id": lease_id}),
        }
        return await self._command("POST", f"{_task(task_id)}/messages", body, BotMessage, idempotency_key)

    def messages(self, task_id: str, *, after: str | None = None) -> AsyncIterator[BotMessage]:
        """What was said about a task, the oldest first; from the one after the id `after` on."""
        return self._items(f"{_task(task_id)}/messages", MessagePage, {"after": after})

    async def patch(
        self,
        task_id: str,
        *,
        priority: int | None = None,
        labels: Mapping[str, str] | None = None,
        deadline_seconds: float | None = None,
    ) -> Task:
        """Change what is given; `labels` replace all those before, `deadline_seconds` count from now."""
        body = {"priority": priority, "labels": labels, "deadline_seconds": deadline_seconds}
        return read_answer(Task, (await self.calls.call("PATCH", _task(task_id), _given(body))).body)

    # ---- what people decide

    def approvals(
        self,
        *,
        state: Literal["open", "decided", "expired", "cancelled"] | None = None,
        task_id: str | None = None,
    ) -> AsyncIterator[Approval]:
        """What people are asked, the oldest first: everything, or what is asked about one task."""
        return self._items("/approvals", ApprovalPage, {"state": state, "task_id": task_id})

    async def approval(self, approval_id: str) -> Approval:
        """One approval, with its whole subject."""
        return await self._read(_approval(approval_id), Approval)

    async def approve(self, approval_id: str, subject_hash: str, comment: str | None = None) -> Approval:
        """Agree to a plan or a result, the one with this hash: the `subject_hash` of the approval as it was read.

        Raises:
            Conflict: it is decided already, or is not what was read.
        """
        body = _given({"subject_hash": subject_hash, "comment": comment})
        return await self._command("POST", f"{_approval(approval_id)}:approve", body, Approval)

    async def reject(self, approval_id: str, reason: str) -> Approval:
        """Say no: the task fails, or the work whose bot asked."""
        return await self._command("POST", f"{_approval(approval_id)}:reject", {"reason": reason}, Approval)

    async def answer(self, approval_id: str, answer: Json) -> Approval:
        """Answer a bot's question, or say `accept` or `round` after the last round of rework.

        Raises:
            Refused: the answer is not one of the choices, or not what the question's schema asks for.
        """
        return await self._command("POST", f"{_approval(approval_id)}:answer", {"answer": answer}, Approval)

    async def test_redaction(self, value: Json) -> RedactionTested:
        """What the evidence would show of a value, and what would be hidden where. Nothing of it is kept."""
        answer = await self.calls.call("POST", "/redaction:test", {"value": value})
        return read_answer(RedactionTested, answer.body)

    # ---- bots, keys, health

    def bots(self) -> AsyncIterator[Bot]:
        return self._items("/bots", BotPage)

    async def bot(self, bot_id: str) -> Bot:
        return await self._read(f"/bots/{_segment(bot_id)}", Bot)

    async def drain_bot(self, bot_id: str) -> Bot:
        """No new work for this bot; what it holds it may finish."""
        return await self._command("POST", f"/bots/{_segment(bot_id)}:drain", {}, Bot)

    async def enable_bot(self, bot_id: str) -> Bot:
        return await self._command("POST", f"/bots/{_segment(bot_id)}:enable", {}, Bot)

    async def delete_bot(self, bot_id: str) -> None:
        await self.calls.call("DELETE", f"/bots/{_segment(bot_id)}")

    async def skills(self) -> AsyncIterator[Skill]:
        """Every skill that a bot has or work waits for."""
        for skill in (await self._read("/skills", SkillPage)).items:  # as many as there are: this list has no pages
            yield skill

    def keys(self) -> AsyncIterator[KeyRecord]:
        return self._items("/keys", KeyPage)

    async def create_key(
        self,
        role: str,
        *,
        bot: str | None = None,
        owner: str | None = None,
        skills: Sequence[str] | None = None,
        expires_days: int | None = None,
    ) -> KeyRecord:
        """A new key; its text is in `key` of this answer, and nowhere else ever."""
        body = {"role": role, "bot": bot, "owner": owner, "skills": skills, "expires_days": expires_days}
        return await self._command("POST", "/keys", _given(body), KeyRecord)

    async def rotate_key(self, key_id: str, *, overlap_seconds: float = 0) -> KeyRecord:
        """A new secret for the key; the old one stays good for `overlap_seconds`."""
        body = {"overlap_seconds": overlap_seconds}
        return await self._command("POST", f"/keys/{_segment(key_id)}:rotate", body, KeyRecord)

    async def revoke_key(self, key_id: str) -> KeyRecord:
        return await self._command("POST", f"/keys/{_segment(key_id)}:revoke", {}, KeyRecord)

    async def health(self) -> Health:
        return await self._read("/health", Health)

    async def call(
        self, method: str, path: str, body: Json = None, *, query: Mapping[str, object] | None = None
    ) -> Answered:
        """Any call of the API, as it stands."""
        keyed = {"idempotency-key": chances.token(self.calls.chance)} if method == "POST" else {}
        return await self.calls.call(method, path, body, query=query, headers=keyed)

    # ---- how

    async def _read(self, path: str, model: type[Record], query: Mapping[str, object] | None = None) -> Record:
        return read_answer(model, (await self.calls.call("GET", path, query=query)).body)

    async def _command(
        self, method: str, path: str, body: Json, model: type[Record], idempotency_key: str | None = None
    ) -> Record:
        key = idempotency_key or chances.token(self.calls.chance)
        answer = await self.calls.call(method, path, body, headers={"idempotency-key": key})
        return read_answer(model, answer.body)

    async def _verb(self, task_id: str, verb: str, body: Mapping[str, Json]) -> Task:
        return await self._command("POST", f"{_task(task_id)}:{verb}", _given(body), Task)

    async def _items(
        self, path: str, model: type[Page[Item]], query: Mapping[str, object] | None = None
    ) -> AsyncIterator[Item]:
        token: str | None = None
        while token != "":
            page = await self._read(path, model, {**(query or {}), "page_size": PAGE_SIZE, "page_token": token})
            for item in page.items:
                yield item
            token = page.next_page_token


def _approval(approval_id: str) -> str:
    return f"/approvals/{_segment(approval_id)}"


def _task(task_id: str) -> str:
    return f"/tasks/{_segment(task_id)}"


def _segment(text: str) -> str:
    if text in {"", ".", ".."}:
        raise ValueError("an id or key is expected here")
    return quote(text, safe="")


def _given(body: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in body.items() if value is not None}


def _sent(task: str | TaskDefinition | Mapping[str, Json]) -> dict[str, Any]:
    if isinstance(task, str):
        return {"title": task}
    if isinstance(task, TaskDefinition):
        return task.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {name: _sent_value(value) for name, value in task.items()}


def _sent_value(value: Json) -> Json:
    """Records may stand where their JSON would: `subtasks=[SubTask(…)]`."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, list | tuple):
        return [_sent_value(each) for each in value]
    return value


def _is_reference(value: Json) -> bool:
    return isinstance(value, dict) and set(value) == {"$ref", "sha256", "bytes"}


def _time(moment: datetime | str | None) -> str | None:
    return moment.isoformat() if isinstance(moment, datetime) else moment
