"""The client: submits tasks, watches them and administers the server. Typed; retries where that is safe.

It has every call of the API that is not a bot's. For a script without coroutines, see swarmkeeper.sync.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Self
from urllib.parse import quote

from pydantic import BaseModel

from swarmkeeper.sdk.attempts.sendable import sendable
from swarmkeeper.sdk.connection import chance as chances
from swarmkeeper.sdk.connection.calls import ApiResponse, Calls, Json, is_reference
from swarmkeeper.sdk.connection.chance import Chance
from swarmkeeper.sdk.connection.transport import Transport
from swarmkeeper.sdk.connection.typed import PAGE_SIZE, given, segment, task_path
from swarmkeeper.sdk.errors import ApiError, Unreachable
from swarmkeeper.sdk.insight.reads import Insight
from swarmkeeper.sdk.tables.client import TableCalls, time_of
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
    RedactionTested,
    Skill,
    SkillPage,
    SubTaskDetail,
    SubTaskPage,
    SubTaskState,
    Task,
    TaskBatchAnswer,
    TaskBatchItem,
)
from swarmkeeper.wire.events import CloudEvent, EventPage, SseReader
from swarmkeeper.wire.explain import Explanation
from swarmkeeper.wire.insight.proofs import AuditBody
from swarmkeeper.wire.people import (
    Approval,
    ApprovalPage,
    Erasure,
    Kill,
    KillPage,
    KnownSecret,
    LegalHold,
    LegalHoldPage,
    LegalHoldState,
    OwnToken,
    Person,
    PersonPage,
    SecretPage,
    SecretState,
    TenantErasure,
)
from swarmkeeper.wire.requests import TaskDefinition
from swarmkeeper.wire.shapes import read_answer

WAIT_SECONDS = 25.0  # of one long poll; most proxies cut a silent connection at 60 s, some at 30


class Client(TableCalls, Insight):
    """Calls the orchestrator at `url` with the rights of `api_key`, or of the token of an identity provider.

    By default both come from the environment (SWARMKEEPER_URL, and SWARMKEEPER_API_KEY or SWARMKEEPER_API_KEY_FILE,
    or SWARMKEEPER_TOKEN or SWARMKEEPER_TOKEN_FILE; a file is read again when its key or token is refused),
    else from .swarmkeeper/ or swarmkeeper.toml in the current folder, as for commands. A key in a file that also holds
    a URL is used for that URL only. Every call may raise `ApiError`: the subclass says how to react, and `code` says
    exactly what happened.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        api_key_file: str | os.PathLike[str] | None = None,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        transport: Transport | None = None,
        chance: Chance | None = None,
    ) -> None:
        self.calls = Calls(
            url,
            api_key=api_key,
            api_key_file=api_key_file,
            token=token,
            token_file=token_file,
            transport=transport,
            chance=chance,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self.calls.aclose()

    # ---- submitting

    async def submit(
        self, task: str | TaskDefinition | Mapping[str, Json], /, *, idempotency_key: str | None = None, **fields: Json
    ) -> Task:
        """Submit a task: a title and fields (`input=…`, `subtasks=[…]`), a `TaskDefinition`, or an equal mapping.

        If a reply is lost, the call is repeated safely: one submission never makes two tasks. To be safe across
        restarts of your process, pass your own `idempotency_key`. Python values become JSON as in a bot's outputs.
        """
        body = {**_sent(task), **{name: _sent_value(value) for name, value in fields.items()}}
        return await self._command("POST", "/tasks", sendable(body, "the task"), Task, idempotency_key)

    async def submit_many(
        self, tasks: Sequence[str | TaskDefinition | Mapping[str, Json]], *, idempotency_key: str | None = None
    ) -> list[TaskBatchItem]:
        """Submit up to 500 tasks in one call; each is accepted or refused on its own."""
        body = sendable({"tasks": [_sent(task) for task in tasks]}, "a task")
        return (await self._command("POST", "/tasks:batch", body, TaskBatchAnswer, idempotency_key)).results

    # ---- reading

    async def get(self, task_id: str, *, explain: bool = False) -> Task:
        """Return the task. With `explain`, its `explanation` says why it is not done yet, as of the same moment."""
        return await self._read(task_path(task_id), Task, {"explain": "true"} if explain else {})

    async def explain(self, task_id: str) -> Explanation:
        """Explain why the task is not done yet: for each part that waits, the reason and the command that helps."""
        return await self._read(f"{task_path(task_id)}:explain", Explanation)

    async def wait(self, task_id: str, timeout: float | None = None) -> Task:
        """Wait until the task's outcome is known, then return the task.

        Raises:
            TimeoutError: there is no outcome after `timeout` seconds. The task goes on.
        """
        async with asyncio.timeout(timeout):
            while True:
                query = {"wait_seconds": WAIT_SECONDS, "until": "final"}
                answer = await self.calls.call("GET", task_path(task_id), query=query, wait_seconds=WAIT_SECONDS)
                task = read_answer(Task, answer.body)
                if task.outcome is not None:
                    return task

    async def watch(self, task_id: str) -> AsyncIterator[Task]:
        """Yield the task now and after each change, until its outcome is known."""
        query: dict[str, object] = {}
        headers: dict[str, str] = {}
        while True:
            answer = await self.calls.call(
                "GET", task_path(task_id), query=query, headers=headers, wait_seconds=WAIT_SECONDS if query else 0
            )
            if answer.status != 304:
                task = read_answer(Task, answer.body)
                yield task
                if task.outcome is not None:
                    return
                headers["if-none-match"] = answer.headers.get("etag", "")
            query = {"wait_seconds": WAIT_SECONDS, "until": "change"}

    async def result(self, task_id: str) -> dict[str, Json] | None:
        """Return the task's outputs by subtask key, large ones included; None until the task is COMPLETED."""
        task = await self.get(task_id)
        if task.result is None:
            return None
        return {
            key: await self.output(task_id, key) if is_reference(value) else value for key, value in task.result.items()
        }

    def subtasks(self, task_id: str) -> AsyncIterator[SubTaskState]:
        return self._items(f"{task_path(task_id)}/subtasks", SubTaskPage)

    async def subtask(self, task_id: str, key_or_id: str) -> SubTaskDetail:
        """Return one subtask with its output, verdict and attempts."""
        return await self._read(f"{task_path(task_id)}/subtasks/{segment(key_or_id)}", SubTaskDetail)

    async def output(self, task_id: str, key_or_id: str) -> Json:
        """Return the whole output of a subtask, however large."""
        return (await self.calls.call("GET", f"{task_path(task_id)}/subtasks/{segment(key_or_id)}/output")).body

    async def graph(self, task_id: str) -> Graph:
        return await self._read(f"{task_path(task_id)}/graph", Graph)

    async def events(
        self,
        task_id: str | None = None,
        *,
        after: str | None = None,
        follow: bool = False,
        types: Sequence[str] = (),
        order: Literal["asc", "desc"] = "asc",
    ) -> AsyncIterator[CloudEvent]:
        """Iterate over the events of one task, or of all tasks, in order; start after the event id `after`, if given.

        Args:
            after: an event's id, or `latest`: only what comes from now on.
            types: only events of these, such as task.accepted.
            order: `desc`: the newest first; not with `follow`.

        With `follow`, continue with new events, each once, and reconnect when the connection breaks. The feed of one
        task ends with the task; the feed of all tasks never ends.

        Raises:
            CursorExpired: events after `after`, or after the last one before the connection broke, have left the feed.
        """
        path = "/events" if task_id is None else f"{task_path(task_id)}/events"
        if not follow and not types and order == "asc":
            while items := (await self._read(path, EventPage, {"after": after, "page_size": PAGE_SIZE})).items:
                for event in items:
                    yield event
                after = items[-1].id
            return
        if not follow:  # a page may be empty, although more follow
            async for event in self._items(path, EventPage, {"after": after, "type": types, "order": order}):
                yield event
            return
        attempt = 0
        query, after = (
            {"type": types, "after": after if after == "latest" else None},
            None if after == "latest" else after,
        )
        while True:
            came = False
            reader = SseReader()
            try:
                async with self.calls.stream(path, after, query) as streamed:
                    async for chunk in streamed.chunks:
                        for framed in reader.feed(chunk):
                            event = CloudEvent.model_validate_json(framed.data)
                            yield event
                            came, attempt, after = True, 0, framed.id or event.id
                    after = reader.last_id or after
            except ApiError as error:
                after = reader.last_id or after
                if not (isinstance(error, Unreachable) or error.retryable):
                    raise
            else:
                # The stream ended without an event and the task is over: no more events will come.
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
        resource: str | None = None,
        after: int | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        order: Literal["asc", "desc"] = "asc",
    ) -> AsyncIterator[AuditLog]:
        """Iterate over the audit records of one task, or of all, in order. For auditors and administrators.

        Args:
            task_id: None: the records of all tasks.
            actor: only records of this bot id or key id.
            action: only records of this action, such as task.submit.
            resource: only records about this: the id of an item of work, an approval, a task, a bot …
            after: the `index` of the last record seen.
            since, until: only records of this time or later, and before this time.
            order: `desc`: the newest first.
        """
        path = "/audit" if task_id is None else f"{task_path(task_id)}/audit"
        query = {"actor": actor, "action": action, "resource": resource, "after": after}
        query |= {"since": time_of(since), "until": time_of(until), "order": None if order == "asc" else order}
        return self._items(path, AuditPage, query)

    async def audit_file(self, path: str) -> bytes:
        """Read a file of the published audit log: `checkpoint`, `log`, `tile/0/000.p/7`, `tile/entries/000`, `7/proof`.

        For auditors and administrators. The files are those of c2sp.org/tlog-tiles; `log` is JSON.
        """
        found: bytes = (await self.calls.call("GET", f"/audit/{path}", headers={"accept": "*/*"}, raw=True)).body
        return found

    async def audit_body(self, index: int) -> AuditBody:
        """Read the body of an audit record with its salt, which prove what the record commits to. For auditors."""
        return read_answer(AuditBody, (await self.calls.call("GET", f"/audit/{index:d}/body")).body)

    # ---- controlling

    async def cancel(self, task_id: str, reason: str | None = None) -> Task:
        return await self._verb(task_id, "cancel", {"reason": reason})

    async def pause(self, task_id: str, reason: str | None = None) -> Task:
        return await self._verb(task_id, "pause", {"reason": reason})

    async def resume(self, task_id: str, reason: str | None = None) -> Task:
        return await self._verb(task_id, "resume", {"reason": reason})

    async def retry(
        self,
        task_id: str,
        reason: str | None = None,
        *,
        deadline_seconds: float | None = None,
        budget: Mapping[str, Json] | None = None,
    ) -> Task:
        """Retry a FAILED task from where it stopped; `deadline_seconds` count from now, `budget` changes limits."""
        body = {"reason": reason, "deadline_seconds": deadline_seconds, "budget": budget and dict(budget)}
        return await self._verb(task_id, "retry", body)

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
        """Send a message about a task to a bot, by name or id; without `to`, to every bot that works on the task.

        A bot receives it with a heartbeat. If a bot is the sender, `lease_id` names its lease of the task.
        """
        body = {
            "to_bot": to,
            "payload": sendable(payload, at="/payload", inside=1),
            **({} if lease_id is None else {"lease_id": lease_id}),
        }
        return await self._command("POST", f"{task_path(task_id)}/messages", body, BotMessage, idempotency_key)

    def messages(self, task_id: str, *, after: str | None = None) -> AsyncIterator[BotMessage]:
        """Iterate over the messages about a task, the oldest first; start after the message id `after`, if given."""
        return self._items(f"{task_path(task_id)}/messages", MessagePage, {"after": after})

    async def patch(
        self,
        task_id: str,
        *,
        priority: int | None = None,
        labels: Mapping[str, str] | None = None,
        deadline_seconds: float | None = None,
        budget: Mapping[str, Json] | None = None,
    ) -> Task:
        """Change the given fields. `labels` replace all former labels; `deadline_seconds` count from now.

        `budget` changes the limits that it names.
        """
        body: dict[str, Json] = {"priority": priority, "labels": labels, "deadline_seconds": deadline_seconds}
        body["budget"] = budget and dict(budget)
        return read_answer(Task, (await self.calls.call("PATCH", task_path(task_id), given(body))).body)

    # ---- approvals

    def approvals(
        self,
        *,
        state: Literal["open", "decided", "expired", "cancelled"] | None = None,
        task_id: str | None = None,
        order: Literal["opened", "expires"] | None = None,
    ) -> AsyncIterator[Approval]:
        """Iterate over approvals and questions to people, the oldest first: all of them, or those of one task.

        With the order `expires`, over the open ones: what expires first comes first.
        """
        return self._items("/approvals", ApprovalPage, {"state": state, "task_id": task_id, "order": order})

    async def approval(self, approval_id: str) -> Approval:
        """Return one approval with its whole subject."""
        return await self._read(_approval(approval_id), Approval)

    async def approve(self, approval_id: str, subject_hash: str, comment: str | None = None) -> Approval:
        """Approve the plan or result whose `subject_hash` you read in the approval.

        Raises:
            Conflict: it is decided already, or the subject has changed since you read it.
        """
        body = given({"subject_hash": subject_hash, "comment": comment})
        return await self._command("POST", f"{_approval(approval_id)}:approve", body, Approval)

    async def reject(self, approval_id: str, reason: str) -> Approval:
        """Reject: the task fails; if a bot asked a question, its work fails."""
        return await self._command("POST", f"{_approval(approval_id)}:reject", {"reason": reason}, Approval)

    async def answer(self, approval_id: str, answer: Json) -> Approval:
        """Answer a bot's question. After the last round of rework, answer `accept` or `round` (one more).

        Raises:
            Refused: the answer is not one of the choices, or does not match the question's schema.
        """
        return await self._command("POST", f"{_approval(approval_id)}:answer", {"answer": answer}, Approval)

    async def test_redaction(self, value: Json) -> RedactionTested:
        """Show how redaction would change a value, and where. The orchestrator stores nothing of it."""
        answer = await self.calls.call("POST", "/redaction:test", {"value": value})
        return read_answer(RedactionTested, answer.body)

    # ---- bots, keys, health

    def bots(self) -> AsyncIterator[Bot]:
        return self._items("/bots", BotPage)

    async def bot(self, bot_id: str) -> Bot:
        return await self._read(f"/bots/{segment(bot_id)}", Bot)

    async def drain_bot(self, bot_id: str) -> Bot:
        """Give this bot no new work. It may finish the work it holds."""
        return await self._command("POST", f"/bots/{segment(bot_id)}:drain", {}, Bot)

    async def enable_bot(self, bot_id: str) -> Bot:
        return await self._command("POST", f"/bots/{segment(bot_id)}:enable", {}, Bot)

    async def delete_bot(self, bot_id: str) -> None:
        await self.calls.call("DELETE", f"/bots/{segment(bot_id)}")

    async def skills(self) -> AsyncIterator[Skill]:
        """Iterate over the skills that a bot has or that work requires."""
        for skill in (await self._read("/skills", SkillPage)).items:  # this list has no pages
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
        networks: Sequence[str] | None = None,
        person: str | None = None,
        scope: str | None = None,
    ) -> KeyRecord:
        """Create a key. Its text is in `key` of this answer only: it cannot be read again.

        Args:
            expires_days: 0: never; None: what the server sets.
            networks: the only ones from which it may be used, such as 10.0.0.0/8.
            person: id of the person to whom it belongs.
            scope: of a client, `own` (its own tasks, which is the default) or `tenant` (all).
        """
        body = {"role": role, "bot": bot, "owner": owner, "skills": skills, "expires_days": expires_days}
        body |= {"networks": networks, "person": person, "scope": scope}
        return await self._command("POST", "/keys", given(body), KeyRecord)

    async def rotate_key(self, key_id: str, *, overlap_seconds: float = 0) -> KeyRecord:
        """Make a new secret for the key; the old one stays valid for `overlap_seconds`."""
        body = {"overlap_seconds": overlap_seconds}
        return await self._command("POST", f"/keys/{segment(key_id)}:rotate", body, KeyRecord)

    async def revoke_key(self, key_id: str) -> KeyRecord:
        return await self._command("POST", f"/keys/{segment(key_id)}:revoke", {}, KeyRecord)

    def secrets(self) -> AsyncIterator[KnownSecret]:
        """List secrets, without their values."""
        return self._items("/secrets", SecretPage)

    async def put_secret(self, name: str, value: str) -> SecretState:
        """Keep a value as the newest version of a secret; the version before it stays until it is retired."""
        return await self._command("PUT", f"/secrets/{quote(name)}", {"value": value}, SecretState)

    async def retire_secret(self, name: str) -> SecretState:
        """Remove the versions of a secret before the newest."""
        return await self._command("POST", "/secrets:retire", {"name": name}, SecretState)

    async def delete_secret(self, name: str) -> None:
        await self.calls.call("DELETE", f"/secrets/{quote(name)}")

    def legal_holds(self) -> AsyncIterator[LegalHold]:
        return self._items("/legal-holds", LegalHoldPage)

    async def place_legal_hold(self, task_id: str | None = None, *, reason: str) -> LegalHold:
        """Keep a task, or without one everything of the tenant, until the hold is released."""
        return await self._command("POST", "/legal-holds", given({"task_id": task_id, "reason": reason}), LegalHold)

    async def release_legal_hold(self, task_id: str | None = None, *, reason: str) -> LegalHoldState:
        body = given({"task_id": task_id, "reason": reason})
        return await self._command("POST", "/legal-holds:release", body, LegalHoldState)

    async def make_token(
        self,
        *,
        role: str | None = None,
        skills: Sequence[str] | None = None,
        task: str | None = None,
        expires_seconds: int = 900,
    ) -> OwnToken:
        """Exchange the API key, or a token that came of one, for a token that is good for 60 to 3,600 seconds.

        It may have a narrower role, be for some `skills`, or for one `task`.
        """
        listed = None if skills is None else list(skills)
        body = given({"role": role, "skills": listed, "task": task, "expires_seconds": expires_seconds})
        return read_answer(OwnToken, (await self.calls.call("POST", "/token", body)).body)

    async def erase_task(self, task_id: str, *, reason: str) -> Erasure:
        """Begin to erase a task that has ended. It is gone when reading it raises `NotFound`."""
        return await self._command("POST", f"{task_path(task_id)}:erase", {"reason": reason}, Erasure)

    async def erase_tenant(self, tenant: str, *, reason: str) -> TenantErasure:
        """Destroy the data keys of the key's tenant, which was killed: nothing encrypted can be read from then on."""
        return await self._command("POST", "/tenant:erase", {"tenant": tenant, "reason": reason}, TenantErasure)

    def persons(self) -> AsyncIterator[Person]:
        """List the persons of the tenant, the disabled ones, too."""
        return self._items("/persons", PersonPage)

    async def create_person(self, name: str) -> Person:
        return await self._command("POST", "/persons", {"name": name}, Person)

    async def rename_person(self, person_id: str, name: str) -> Person:
        return await self._command("POST", f"/persons/{segment(person_id)}:rename", {"name": name}, Person)

    async def disable_person(self, person_id: str) -> Person:
        """Refuse the person's keys and tokens."""
        return await self._command("POST", f"/persons/{segment(person_id)}:disable", {}, Person)

    async def enable_person(self, person_id: str) -> Person:
        """Accept the person's keys and tokens again."""
        return await self._command("POST", f"/persons/{segment(person_id)}:enable", {}, Person)

    def kills(self) -> AsyncIterator[Kill]:
        """List what is stopped in the tenant."""
        return self._items("/kills", KillPage)

    async def place_kill(self, kind: str, name: str, *, reason: str, until: datetime | None = None) -> Kill:
        """Stop a `bot`, an `owner`, a `skill` or the `tenant` at once: no more leases, and those held are revoked."""
        body = {"kind": kind, "name": name, "reason": reason, "until": None if until is None else until.isoformat()}
        return await self._command("PUT", "/kills", given(body), Kill)

    async def lift_kill(self, kill_id: str) -> None:
        """Let what was stopped work again."""
        await self.calls.call("DELETE", f"/kills/{segment(kill_id)}")

    async def health(self) -> Health:
        return await self._read("/health", Health)

    async def call(
        self, method: str, path: str, body: Json = None, *, query: Mapping[str, object] | None = None
    ) -> ApiResponse:
        """Make any call of the API and return its answer without interpreting it."""
        keyed = {"idempotency-key": chances.token(self.calls.chance)} if method == "POST" else {}
        return await self.calls.call(method, path, body, query=query, headers=keyed)

    async def _verb(self, task_id: str, verb: str, body: Mapping[str, Json]) -> Task:
        return await self._command("POST", f"{task_path(task_id)}:{verb}", given(body), Task)


def _approval(approval_id: str) -> str:
    return f"/approvals/{segment(approval_id)}"


def _sent(task: str | TaskDefinition | Mapping[str, Json]) -> dict[str, Any]:
    if isinstance(task, str):
        return {"title": task}
    if isinstance(task, TaskDefinition):
        return task.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {name: _sent_value(value) for name, value in task.items()}


def _sent_value(value: Json) -> Json:
    """Turn records into JSON, also inside lists: `subtasks=[SubTask(…)]`."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, list | tuple):
        return [_sent_value(each) for each in value]
    return value
