"""Records to rows and back, column by column: written out, because this is the hottest code of the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from swarmkeeper.core.model import (
    ApiKey,
    Approval,
    Attempt,
    AuditTree,
    Bot,
    Chore,
    Edge,
    Event,
    Idempotency,
    Json,
    Lease,
    Queue,
    Ready,
    Task,
    Work,
)
from swarmkeeper.core.states import BotType, Condition, Ending, Evaluation, Kind, Outcome, Status, TaskStatus
from swarmkeeper.storage.sqlite.statements import Table

Row = tuple[Any, ...]


def _table(name: str, fixed: str, changing: str = "", hot: str = "") -> Table:
    return Table(name, tuple(fixed.split()), tuple(changing.split()), tuple(hot.split()))


TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        _table(
            "task",
            "id tenant created_at spec title submitted_by trace",
            "status priority updated_at labels planner_skills evaluator_skills evaluation quorum_accept quorum_of"
            " max_rounds approval plan_timeout review_timeout defaults outcome failure holds version sequence n_total"
            " n_open n_failed round reworks deadline deadline_left planned started loading makers verdict usage"
            " place",
            "status updated_at outcome version sequence n_total n_open n_failed planned started makers place",
        ),
        _table(
            "work",
            "id task tenant kind key created_at subject ordinal",
            "queue status priority place attempt tries crashes deferrals unseen start_due start_left start pending"
            " round reworks timeout max_attempts continues handled wake payload result result_hash checkpoint excluded"
            " taker error since give_up put_off version",
            "status place attempt start_due start_left pending result result_hash since version",
        ),
        _table(
            "lease",
            "work task tenant lease_id attempt bot granted_at ttl",
            "claim_id expires_at ends_at seen refusals refused progress usage checkpoint cancelled version",
        ),
        _table(
            "bot",
            "id tenant created_at",
            "type name instance version owner key_id skills capacity dedicated endpoint labels status last_seen"
            " row_version",
        ),
        _table(
            "api_key",
            "id public_id tenant role created_at",
            "digest bot owner skills expires_at revoked_at previous_digest previous_until version",
        ),
        _table(
            "approval",
            "id tenant task kind opened_at work asked_by question choices schema",
            "expires_at subject_hash subject state decision decided_by decided_at version",
        ),
        _table("chore", "id task tenant kind created_at", "cursor args version"),
        _table("queue", "id kind skills assign_to"),
        _table("edge", "task parent child condition"),
        _table("ready", "work queue tenant priority place since task excluded"),
        _table("timer", "kind ref due"),
        _table("payload", "id task body"),
        _table(
            "attempt",
            "lease_id work task tenant attempt bot started ended ending round error result result_hash usage answer"
            " reason progress",
        ),
        _table("late_result", "lease_id content_hash work task tenant bot at payload"),
        _table("feedback", "work task round text at n"),
        _table("answered", "work task question answer at"),
        _table("message", "id tenant task from_bot to_bot payload at"),
        _table("idempotency", "tenant key request_hash status resource expires"),
        _table("event", "id at tenant task sequence work kind actor audit body redacted"),
        _table("audit_leaf", "tenant place id task actor action at leaf salt body hash"),
        _table("audit_tree", "tenant size frontier root"),
    )
}


def _plain(value: Any) -> Any:
    """Records hold read-only mappings too, which the encoder does not know."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} is no JSON")


_encode: Callable[[Any], bytes] = msgspec.json.Encoder(enc_hook=_plain).encode
_decode: Callable[[str], Any] = msgspec.json.Decoder().decode

# Looking a word up is four times faster than calling the enum.
_TASK_STATUS = {word.value: word for word in TaskStatus}
_OUTCOME: dict[str | None, Outcome | None] = {None: None, **{word.value: word for word in Outcome}}
_EVALUATION = {word.value: word for word in Evaluation}
_STATUS = {word.value: word for word in Status}
_KIND = {word.value: word for word in Kind}
_BOT_TYPE = {word.value: word for word in BotType}
_CONDITION = {word.value: word for word in Condition}
_ENDING = {word.value: word for word in Ending}


def to_json(value: Json) -> str:
    return _encode(value).decode()


def _list(value: tuple[str, ...]) -> str:
    return _encode(value).decode() if value else "[]"


def _object(value: Mapping[str, Any]) -> str:
    return _encode(value).decode() if value else "{}"


def _maybe(value: Any) -> str | None:
    return None if value is None else _encode(value).decode()


def _read_list(text: str) -> tuple[str, ...]:
    return () if text == "[]" else tuple(_decode(text))


def _read_object(text: str) -> dict[str, Any]:
    return {} if text == "{}" else _decode(text)


def _read_maybe(text: str | None) -> Any:
    return None if text is None else _decode(text)


def of_task(it: Task) -> Row:
    return (
        *(it.id, it.tenant, it.created_at, it.spec, it.title, it.submitted_by, it.trace),
        *(it.status, it.priority, it.updated_at, _object(it.labels), _list(it.planner_skills)),
        *(_list(it.evaluator_skills), it.evaluation, it.quorum[0], it.quorum[1], it.max_rounds, it.approval),
        *(it.plan_timeout, it.review_timeout, _object(it.defaults), it.outcome, _maybe(it.failure), _list(it.holds)),
        *(it.version, it.sequence, it.n_total, it.n_open, it.n_failed, it.round, it.reworks, it.deadline),
        *(it.deadline_left, it.planned, it.started, it.loading, _list(it.makers), it.verdict, _object(it.usage)),
        it.place,
    )


def task(row: Row) -> Task:
    return Task(
        id=row[0],
        tenant=row[1],
        created_at=row[2],
        spec=row[3],
        title=row[4],
        submitted_by=row[5],
        trace=row[6],
        status=_TASK_STATUS[row[7]],
        priority=row[8],
        updated_at=row[9],
        labels=_read_object(row[10]),
        planner_skills=_read_list(row[11]),
        evaluator_skills=_read_list(row[12]),
        evaluation=_EVALUATION[row[13]],
        quorum=(row[14], row[15]),
        max_rounds=row[16],
        approval=row[17],
        plan_timeout=row[18],
        review_timeout=row[19],
        defaults=_read_object(row[20]),
        outcome=_OUTCOME[row[21]],
        failure=_read_maybe(row[22]),
        holds=_read_list(row[23]),
        version=row[24],
        sequence=row[25],
        n_total=row[26],
        n_open=row[27],
        n_failed=row[28],
        round=row[29],
        reworks=row[30],
        deadline=row[31],
        deadline_left=row[32],
        planned=bool(row[33]),
        started=bool(row[34]),
        loading=bool(row[35]),
        makers=_read_list(row[36]),
        verdict=row[37],
        usage=_read_object(row[38]),
        place=row[39],
    )


def of_work(it: Work) -> Row:
    return (
        *(it.id, it.task, it.tenant, it.kind, it.key, it.created_at, it.subject, it.ordinal),
        *(it.queue, it.status, it.priority, it.place, it.attempt, it.tries, it.crashes, it.deferrals, it.unseen),
        *(it.start_due, it.start_left, it.start, it.pending, it.round, it.reworks, it.timeout, it.max_attempts),
        *(it.continues, it.handled, it.wake, it.payload, it.result, it.result_hash, it.checkpoint),
        *(_list(it.excluded), it.taker, _maybe(it.error), it.since, it.give_up, it.put_off, it.version),
    )


def work(row: Row) -> Work:
    return Work(
        id=row[0],
        task=row[1],
        tenant=row[2],
        kind=_KIND[row[3]],
        key=row[4],
        created_at=row[5],
        subject=row[6],
        ordinal=row[7],
        queue=row[8],
        status=_STATUS[row[9]],
        priority=row[10],
        place=row[11],
        attempt=row[12],
        tries=row[13],
        crashes=row[14],
        deferrals=row[15],
        unseen=row[16],
        start_due=row[17],
        start_left=row[18],
        start=row[19],
        pending=row[20],
        round=row[21],
        reworks=row[22],
        timeout=row[23],
        max_attempts=row[24],
        continues=bool(row[25]),
        handled=bool(row[26]),
        wake=row[27],
        payload=row[28],
        result=row[29],
        result_hash=row[30],
        checkpoint=row[31],
        excluded=_read_list(row[32]),
        taker=row[33],
        error=_read_maybe(row[34]),
        since=row[35],
        give_up=row[36],
        put_off=row[37],
        version=row[38],
    )


def of_lease(it: Lease) -> Row:
    return (
        *(it.work, it.task, it.tenant, it.lease_id, it.attempt, it.bot, it.granted_at, it.ttl),
        *(it.claim_id, it.expires_at, it.ends_at, it.seen, it.refusals, _list(it.refused), _maybe(it.progress)),
        *(_maybe(it.usage), it.checkpoint, it.cancelled, it.version),
    )


def lease(row: Row) -> Lease:
    return Lease(
        work=row[0],
        task=row[1],
        tenant=row[2],
        lease_id=row[3],
        attempt=row[4],
        bot=row[5],
        granted_at=row[6],
        ttl=row[7],
        claim_id=row[8],
        expires_at=row[9],
        ends_at=row[10],
        seen=bool(row[11]),
        refusals=row[12],
        refused=_read_list(row[13]),
        progress=_read_maybe(row[14]),
        usage=_read_maybe(row[15]),
        checkpoint=row[16],
        cancelled=bool(row[17]),
        version=row[18],
    )


def of_bot(it: Bot) -> Row:
    return (
        *(it.id, it.tenant, it.created_at),
        *(it.type, it.name, it.instance, it.version, it.owner, it.key_id, _list(it.skills), it.capacity),
        *(it.dedicated, it.endpoint, _object(it.labels), it.status, it.last_seen, it.row_version),
    )


def bot(row: Row) -> Bot:
    return Bot(
        id=row[0],
        tenant=row[1],
        created_at=row[2],
        type=_BOT_TYPE[row[3]],
        name=row[4],
        instance=row[5],
        version=row[6],
        owner=row[7],
        key_id=row[8],
        skills=_read_list(row[9]),
        capacity=row[10],
        dedicated=bool(row[11]),
        endpoint=row[12],
        labels=_read_object(row[13]),
        status=row[14],
        last_seen=row[15],
        row_version=row[16],
    )


def of_key(it: ApiKey) -> Row:
    return (
        *(it.id, it.public_id, it.tenant, it.role, it.created_at),
        *(it.digest, it.bot, it.owner, _maybe(it.skills), it.expires_at, it.revoked_at, it.previous_digest),
        *(it.previous_until, it.version),
    )


def key(row: Row) -> ApiKey:
    return ApiKey(
        id=row[0],
        public_id=row[1],
        tenant=row[2],
        role=row[3],
        created_at=row[4],
        digest=row[5],
        bot=row[6],
        owner=row[7],
        skills=None if row[8] is None else _read_list(row[8]),
        expires_at=row[9],
        revoked_at=row[10],
        previous_digest=row[11],
        previous_until=row[12],
        version=row[13],
    )


def of_approval(it: Approval) -> Row:
    return (
        *(it.id, it.tenant, it.task, it.kind, it.opened_at, it.work, it.asked_by, it.question, _list(it.choices)),
        *(_maybe(it.schema), it.expires_at, it.subject_hash, _maybe(it.subject), it.state, _maybe(it.decision)),
        *(it.decided_by, it.decided_at, it.version),
    )


def approval(row: Row) -> Approval:
    return Approval(
        id=row[0],
        tenant=row[1],
        task=row[2],
        kind=row[3],
        opened_at=row[4],
        work=row[5],
        asked_by=row[6],
        question=row[7],
        choices=_read_list(row[8]),
        schema=_read_maybe(row[9]),
        expires_at=row[10],
        subject_hash=row[11],
        subject=_read_maybe(row[12]),
        state=row[13],
        decision=_read_maybe(row[14]),
        decided_by=row[15],
        decided_at=row[16],
        version=row[17],
    )


def of_chore(it: Chore) -> Row:
    return (it.id, it.task, it.tenant, it.kind, it.created_at, it.cursor, _object(it.args), it.version)


def chore(row: Row) -> Chore:
    return Chore(
        id=row[0],
        task=row[1],
        tenant=row[2],
        kind=row[3],
        created_at=row[4],
        cursor=row[5],
        args=_read_object(row[6]),
        version=row[7],
    )


def of_queue(it: Queue) -> Row:
    return (it.id, it.kind, _list(it.skills), it.assign_to)


def queue(row: Row) -> Queue:
    return Queue(id=row[0], kind=_KIND[row[1]], skills=_read_list(row[2]), assign_to=row[3])


def of_edge(it: Edge) -> Row:
    return (it.task, it.parent, it.child, it.condition)


def edge(row: Row) -> Edge:
    return Edge(task=row[0], parent=row[1], child=row[2], condition=_CONDITION[row[3]])


def of_ready(it: Ready) -> Row:
    excluded = _list(it.excluded) if it.excluded else None
    return (it.work, it.queue, it.tenant, it.priority, it.place, it.since, it.task, excluded)


def ready(row: Row) -> Ready:
    excluded = () if row[7] is None else _read_list(row[7])
    return Ready(
        work=row[0],
        queue=row[1],
        tenant=row[2],
        priority=row[3],
        place=row[4],
        since=row[5],
        task=row[6],
        excluded=excluded,
    )


def of_attempt(it: Attempt) -> Row:
    return (
        *(it.lease_id, it.work, it.task, it.tenant, it.attempt, it.bot, it.started, it.ended, it.ending, it.round),
        *(_maybe(it.error), it.result, it.result_hash, _maybe(it.usage), it.answer, it.reason, _maybe(it.progress)),
    )


def attempt(row: Row) -> Attempt:
    return Attempt(
        lease_id=row[0],
        work=row[1],
        task=row[2],
        tenant=row[3],
        attempt=row[4],
        bot=row[5],
        started=row[6],
        ended=row[7],
        ending=_ENDING[row[8]],
        round=row[9],
        error=_read_maybe(row[10]),
        result=row[11],
        result_hash=row[12],
        usage=_read_maybe(row[13]),
        answer=row[14],
        reason=row[15],
        progress=_read_maybe(row[16]),
    )


def of_idempotency(it: Idempotency) -> Row:
    return (it.tenant, it.key, it.request_hash, it.status, it.resource, it.expires)


def idempotency(row: Row) -> Idempotency:
    return Idempotency(*row)


def of_event(it: Event) -> Row:
    fields = [[one.pointer, one.rule, one.action, one.within] for one in it.body.fields]
    return (
        *(it.id, it.at, it.tenant, it.task, it.sequence, it.work, it.kind, it.actor, it.audit),
        *(to_json(it.body.value), to_json(fields) if fields else "[]"),
    )


def tree(row: Row) -> AuditTree:
    return AuditTree(*row)
