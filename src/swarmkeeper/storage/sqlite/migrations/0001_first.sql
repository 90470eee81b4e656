-- The first schema. Words in CHECKs repeat core/states.py, which is the one that decides; a test compares the two.
-- Times are microseconds since the epoch. TEXT that holds JSON, or the id of a payload, is marked beside it.
-- What changes with every step of a life is narrow (ready, lease, timer); the wide rows carry no index on anything
-- that changes.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,  -- pepper, alive_at, epoch
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tenant (
    id   TEXT PRIMARY KEY,
    name TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
    id              TEXT PRIMARY KEY,
    public_id       TEXT NOT NULL UNIQUE,
    tenant          TEXT NOT NULL,
    role            TEXT NOT NULL,
    digest          BLOB NOT NULL,
    created_at      INTEGER NOT NULL,
    bot             TEXT,
    owner           TEXT,
    skills          TEXT,  -- JSON
    expires_at      INTEGER,
    revoked_at      INTEGER,
    previous_digest BLOB,
    previous_until  INTEGER,
    version         INTEGER NOT NULL
) STRICT;
CREATE INDEX api_key_of_bot ON api_key (tenant, bot, id);

CREATE TABLE bot (
    id          TEXT PRIMARY KEY,
    tenant      TEXT NOT NULL,
    type        TEXT NOT NULL CHECK (type IN ('Planner', 'Executor', 'Evaluator')),
    name        TEXT NOT NULL,
    instance    TEXT NOT NULL,
    version     TEXT NOT NULL,
    owner       TEXT NOT NULL,
    key_id      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    skills      TEXT NOT NULL,  -- JSON
    capacity    INTEGER NOT NULL CHECK (capacity > 0),
    dedicated   INTEGER NOT NULL CHECK (dedicated IN (0, 1)),
    endpoint    TEXT,
    labels      TEXT NOT NULL,  -- JSON
    status      TEXT NOT NULL CHECK (status IN ('active', 'draining', 'disabled')),
    last_seen   INTEGER NOT NULL,
    row_version INTEGER NOT NULL,
    UNIQUE (tenant, name, instance)
) STRICT;
CREATE INDEX bot_of_key ON bot (key_id, id);

CREATE TABLE queue (
    id        INTEGER PRIMARY KEY,
    kind      TEXT NOT NULL CHECK (kind IN ('plan', 'execute', 'review')),
    skills    TEXT NOT NULL,  -- JSON
    assign_to TEXT
) STRICT;
CREATE UNIQUE INDEX queue_once ON queue (kind, skills, coalesce(assign_to, ''));

CREATE TABLE task (
    id               TEXT PRIMARY KEY,
    tenant           TEXT NOT NULL,
    status           TEXT NOT NULL CHECK (status IN ('CREATED', 'PLANNED', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'ARCHIVED')),
    priority         INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    spec             TEXT NOT NULL,  -- payload
    title            TEXT NOT NULL,
    submitted_by     TEXT NOT NULL,
    labels           TEXT NOT NULL,  -- JSON
    planner_skills   TEXT NOT NULL,  -- JSON
    evaluator_skills TEXT NOT NULL,  -- JSON
    evaluation       TEXT NOT NULL CHECK (evaluation IN ('final', 'each', 'none')),
    quorum_accept    INTEGER NOT NULL CHECK (quorum_accept >= 1),
    quorum_of        INTEGER NOT NULL CHECK (quorum_of BETWEEN quorum_accept AND 9),
    max_rounds       INTEGER NOT NULL,
    approval         TEXT NOT NULL CHECK (approval IN ('none', 'plan', 'final', 'rounds')),
    plan_timeout     INTEGER NOT NULL,
    review_timeout   INTEGER NOT NULL,
    defaults         TEXT NOT NULL,  -- JSON
    outcome          TEXT CHECK (outcome IN ('accepted', 'rejected', 'failed', 'cancelled', 'expired')),
    failure          TEXT,  -- JSON
    holds            TEXT NOT NULL,  -- JSON
    version          INTEGER NOT NULL,
    sequence         INTEGER NOT NULL,
    n_total          INTEGER NOT NULL,
    n_open           INTEGER NOT NULL CHECK (n_open BETWEEN 0 AND n_total),
    n_failed         INTEGER NOT NULL CHECK (n_failed BETWEEN 0 AND n_total),
    round            INTEGER NOT NULL,
    reworks          INTEGER NOT NULL,
    deadline         INTEGER,
    deadline_left    INTEGER,
    planned          INTEGER NOT NULL CHECK (planned IN (0, 1)),
    started          INTEGER NOT NULL CHECK (started IN (0, 1)),
    loading          INTEGER NOT NULL CHECK (loading IN (0, 1)),
    makers           TEXT NOT NULL,  -- JSON
    verdict          TEXT,  -- payload
    usage            TEXT NOT NULL,  -- JSON
    trace            TEXT NOT NULL
) STRICT;
CREATE INDEX task_of_tenant ON task (tenant, created_at, id);

CREATE TABLE work (
    seq          INTEGER PRIMARY KEY,  -- order of creation, which for subtasks is that of the plan
    id           TEXT NOT NULL UNIQUE,
    task         TEXT NOT NULL REFERENCES task (id),
    tenant       TEXT NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('plan', 'execute', 'review')),
    key          TEXT NOT NULL,
    queue        INTEGER NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('BLOCKED', 'READY', 'LEASED', 'WAITING', 'IN_REVIEW', 'SUCCEEDED', 'FAILED', 'CANCELLED', 'SKIPPED')),
    priority     INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),
    created_at   INTEGER NOT NULL,
    place        INTEGER NOT NULL,
    subject      TEXT,
    attempt      INTEGER NOT NULL CHECK (attempt >= 0),
    tries        INTEGER NOT NULL CHECK (tries >= 0),
    crashes      INTEGER NOT NULL CHECK (crashes >= 0),
    deferrals    INTEGER NOT NULL CHECK (deferrals >= 0),
    unseen       INTEGER NOT NULL CHECK (unseen >= 0),
    start_due    INTEGER,
    start_left   INTEGER NOT NULL,
    start        INTEGER NOT NULL,
    pending      INTEGER NOT NULL CHECK (pending >= 0),
    round        INTEGER NOT NULL,
    reworks      INTEGER NOT NULL,
    timeout      INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    continues    INTEGER NOT NULL CHECK (continues IN (0, 1)),
    handled      INTEGER NOT NULL CHECK (handled IN (0, 1)),
    wake         INTEGER,
    payload      TEXT,  -- payload
    result       TEXT,  -- payload
    result_hash  TEXT,
    checkpoint   TEXT,  -- payload
    excluded     TEXT NOT NULL,  -- JSON
    taker        TEXT,
    error        TEXT,  -- JSON
    since        INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    UNIQUE (task, key)
) STRICT;
CREATE INDEX work_of_task ON work (task, id);
CREATE INDEX work_in_order ON work (task, seq);

CREATE TABLE edge (
    parent    TEXT NOT NULL,
    child     TEXT NOT NULL,
    condition TEXT NOT NULL CHECK (condition IN ('success', 'done', 'failure')),
    task      TEXT NOT NULL,
    PRIMARY KEY (parent, child)
) STRICT, WITHOUT ROWID;
CREATE INDEX edge_into ON edge (child, parent);

-- In the order in which it is handed out: a claim seeks the head of each queue and priority.
CREATE TABLE ready (
    queue    INTEGER NOT NULL,
    tenant   TEXT NOT NULL,
    priority INTEGER NOT NULL,
    place    INTEGER NOT NULL,
    work     TEXT NOT NULL UNIQUE REFERENCES work (id),
    since    INTEGER NOT NULL,
    task     TEXT NOT NULL,
    excluded TEXT,  -- JSON; NULL for nobody, which is nearly always
    PRIMARY KEY (queue, tenant, priority DESC, place, work)
) STRICT, WITHOUT ROWID;

CREATE TABLE lease (
    work       TEXT PRIMARY KEY REFERENCES work (id),
    task       TEXT NOT NULL,
    tenant     TEXT NOT NULL,
    lease_id   TEXT NOT NULL UNIQUE,
    attempt    INTEGER NOT NULL,
    bot        TEXT NOT NULL,
    claim_id   TEXT,
    granted_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL,
    ttl        INTEGER NOT NULL CHECK (ttl > 0),
    seen       INTEGER NOT NULL CHECK (seen IN (0, 1)),
    refusals   INTEGER NOT NULL,
    refused    TEXT NOT NULL,  -- JSON
    progress   TEXT,  -- JSON
    usage      TEXT,  -- JSON
    checkpoint TEXT,  -- payload
    cancelled  INTEGER NOT NULL CHECK (cancelled IN (0, 1)),
    version    INTEGER NOT NULL
) STRICT;
CREATE INDEX lease_of_bot ON lease (bot, work);

CREATE TABLE timer (
    kind TEXT NOT NULL,
    ref  TEXT NOT NULL,
    due  INTEGER NOT NULL,
    PRIMARY KEY (kind, ref)
) STRICT, WITHOUT ROWID;
CREATE INDEX timer_due ON timer (due, kind, ref);

CREATE TABLE chore (
    seq        INTEGER PRIMARY KEY,  -- order of creation
    id         TEXT NOT NULL UNIQUE,
    task       TEXT NOT NULL,
    tenant     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    cursor     TEXT NOT NULL,
    args       TEXT NOT NULL,  -- JSON
    version    INTEGER NOT NULL
) STRICT;
CREATE INDEX chore_of_task ON chore (task, seq);

CREATE TABLE attempt (
    lease_id    TEXT PRIMARY KEY,
    work        TEXT NOT NULL,
    task        TEXT NOT NULL,
    tenant      TEXT NOT NULL,
    attempt     INTEGER NOT NULL,
    bot         TEXT NOT NULL,
    started     INTEGER NOT NULL,
    ended       INTEGER NOT NULL,
    ending      TEXT NOT NULL CHECK (ending IN ('succeeded', 'failed', 'expired', 'timed_out', 'released', 'deferred', 'asked', 'unseen', 'cancelled')),
    round       INTEGER NOT NULL,
    error       TEXT,  -- JSON
    result      TEXT,  -- payload
    result_hash TEXT,
    usage       TEXT,  -- JSON
    answer      TEXT,
    UNIQUE (work, attempt)
) STRICT;
CREATE INDEX attempt_of_bot ON attempt (task, bot);

CREATE TABLE payload (
    id   TEXT PRIMARY KEY,
    task TEXT NOT NULL,
    body BLOB NOT NULL  -- JSON
) STRICT;

CREATE TABLE late_result (
    lease_id     TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    work         TEXT NOT NULL,
    task         TEXT NOT NULL,
    tenant       TEXT NOT NULL,
    bot          TEXT NOT NULL,
    at           INTEGER NOT NULL,
    payload      TEXT NOT NULL,  -- payload
    PRIMARY KEY (lease_id, content_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX late_result_of_work ON late_result (work, at, lease_id, content_hash);

CREATE TABLE feedback (
    seq   INTEGER PRIMARY KEY,
    work  TEXT NOT NULL,
    task  TEXT NOT NULL,
    round INTEGER NOT NULL,
    text  TEXT NOT NULL,
    at    INTEGER NOT NULL,
    n     INTEGER NOT NULL
) STRICT;
CREATE INDEX feedback_of_work ON feedback (work, at, n, seq);

CREATE TABLE answered (
    seq      INTEGER PRIMARY KEY,
    work     TEXT NOT NULL,
    task     TEXT NOT NULL,
    question TEXT NOT NULL,
    answer   TEXT NOT NULL,  -- JSON
    at       INTEGER NOT NULL
) STRICT;
CREATE INDEX answered_of_work ON answered (work, at, seq);

CREATE TABLE approval (
    id           TEXT PRIMARY KEY,
    tenant       TEXT NOT NULL,
    task         TEXT NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('plan', 'final', 'rounds', 'question')),
    opened_at    INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    subject_hash TEXT NOT NULL,
    work         TEXT,
    asked_by     TEXT NOT NULL,
    question     TEXT NOT NULL,
    choices      TEXT NOT NULL,  -- JSON
    schema       TEXT,  -- JSON
    subject      TEXT,  -- JSON
    state        TEXT NOT NULL CHECK (state IN ('open', 'decided', 'expired', 'cancelled')),
    decision     TEXT,  -- JSON
    decided_by   TEXT,
    decided_at   INTEGER,
    version      INTEGER NOT NULL
) STRICT;
CREATE INDEX approval_of_task ON approval (task, id);
CREATE INDEX approval_of_tenant ON approval (tenant, id);

CREATE TABLE message (
    id       TEXT PRIMARY KEY,
    tenant   TEXT NOT NULL,
    task     TEXT NOT NULL,
    from_bot TEXT NOT NULL,
    to_bot   TEXT,
    payload  TEXT NOT NULL,  -- payload
    at       INTEGER NOT NULL
) STRICT;
CREATE INDEX message_of_task ON message (task, id);

CREATE TABLE idempotency (
    tenant       TEXT NOT NULL,
    key          TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    status       INTEGER NOT NULL,
    resource     TEXT NOT NULL,
    expires      INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT;
CREATE INDEX idempotency_expiry ON idempotency (expires, tenant, key);

-- AUTOINCREMENT, because a cursor that a reader keeps must never mean another event later.
CREATE TABLE event (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL,
    at       INTEGER NOT NULL,
    tenant   TEXT NOT NULL,
    task     TEXT,
    sequence INTEGER NOT NULL,
    work     TEXT,
    kind     TEXT NOT NULL,
    actor    TEXT NOT NULL,
    audit    TEXT NOT NULL,
    body     TEXT NOT NULL,  -- JSON
    redacted TEXT NOT NULL,  -- JSON: [[pointer, rule, action, within], …]
    UNIQUE (task, sequence)
) STRICT;
CREATE INDEX event_of_tenant ON event (tenant, seq);

CREATE TABLE audit_leaf (
    tenant TEXT NOT NULL,
    place  INTEGER NOT NULL CHECK (place >= 0),
    id     TEXT NOT NULL,
    task   TEXT,
    actor  TEXT NOT NULL,
    action TEXT NOT NULL,
    at     INTEGER NOT NULL,
    leaf   BLOB NOT NULL,
    salt   BLOB NOT NULL,
    body   BLOB,
    hash   BLOB NOT NULL,
    PRIMARY KEY (tenant, place)
) STRICT;
CREATE INDEX audit_leaf_of_task ON audit_leaf (task, place);

CREATE TABLE audit_tree (
    tenant   TEXT PRIMARY KEY,
    size     INTEGER NOT NULL,
    frontier BLOB NOT NULL,
    root     BLOB NOT NULL
) STRICT, WITHOUT ROWID;
