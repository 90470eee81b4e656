-- The first schema in PostgreSQL: the tables of the SQLite store, with PostgreSQL's types, and the outbox.
-- Words in CHECKs repeat core/states.py, which is the one that decides; a test compares the two.
-- Times are microseconds since the epoch. JSON and ids of payloads are text, marked so, for the same bytes in both stores.
-- Ids are compared byte by byte, as in SQLite and in Python, whatever the collation of the database.
-- There are no foreign keys: each would lock a row of `work` for every lease and every queue entry.

CREATE TABLE meta (
    key text COLLATE "C" PRIMARY KEY,  -- pepper, cursor_key, numbers_until, alive_at, epoch, pos, sequenced_until
    value bigint,
    secret bytea
);

CREATE TABLE tenant (
    id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL, weight bigint NOT NULL DEFAULT 1 CHECK (weight >= 1),
    max_backlog bigint CHECK (max_backlog >= 0),
    open_tasks bigint NOT NULL DEFAULT 0 CHECK (open_tasks >= 0),
    open_subtasks bigint NOT NULL DEFAULT 0 CHECK (open_subtasks >= 0),
    stored_bytes bigint NOT NULL DEFAULT 0 CHECK (stored_bytes >= 0),
    budget text COLLATE "C",  -- JSON
    PRIMARY KEY (id)
) WITH (fillfactor = 60);

CREATE TABLE api_key (
    id text COLLATE "C" NOT NULL, public_id text COLLATE "C" NOT NULL, tenant text COLLATE "C" NOT NULL,
    role text COLLATE "C" NOT NULL, digest bytea NOT NULL, created_at bigint NOT NULL, bot text COLLATE "C",
    owner text COLLATE "C", person text COLLATE "C", scope text COLLATE "C", skills text COLLATE "C",  -- JSON
    expires_at bigint, revoked_at bigint, previous_digest bytea, previous_until bigint,
    networks text COLLATE "C",  -- JSON
    version bigint NOT NULL,
    PRIMARY KEY (id), UNIQUE (public_id)
);
CREATE INDEX api_key_of_bot ON api_key (tenant, bot, id);
CREATE INDEX api_key_of_person ON api_key (tenant, person, id) WHERE person IS NOT NULL;

-- Somebody to whom keys and sign-ins by token belong; see core/persons/. Rows are never removed.
CREATE TABLE person (
    id text COLLATE "C" PRIMARY KEY, tenant text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL, disabled_at bigint, UNIQUE (tenant, name)
);

-- Sign-ins of browsers; see core/sessions/. A row is removed when the session ends, or was not used for too long.
CREATE TABLE session (
    id text COLLATE "C" PRIMARY KEY, tenant text COLLATE "C" NOT NULL, key_id text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL, digest text COLLATE "C" NOT NULL UNIQUE, seal bytea NOT NULL, used_at bigint NOT NULL,
    ends_at bigint NOT NULL, public_id text COLLATE "C", secret_digest bytea, login text COLLATE "C"  -- JSON
);
CREATE INDEX session_of_key ON session (tenant, key_id, used_at, id);
CREATE INDEX session_by_use ON session (used_at);

CREATE TABLE key_use (key text COLLATE "C" NOT NULL, at bigint NOT NULL, PRIMARY KEY (key)) WITH (fillfactor = 70);

CREATE TABLE bot (
    id text COLLATE "C" NOT NULL, tenant text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL CHECK (type IN ('Planner', 'Executor', 'Evaluator')),
    name text COLLATE "C" NOT NULL,
    instance text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    owner text COLLATE "C" NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    skills text COLLATE "C" NOT NULL,  -- JSON
    capacity bigint NOT NULL CHECK (capacity > 0),
    dedicated boolean NOT NULL,
    endpoint text COLLATE "C",
    labels text COLLATE "C" NOT NULL,  -- JSON
    status text COLLATE "C" NOT NULL CHECK (status IN ('active', 'draining', 'disabled')),
    last_seen bigint NOT NULL,
    row_version bigint NOT NULL,
    scope text COLLATE "C" NOT NULL DEFAULT '',
    person text COLLATE "C",
    PRIMARY KEY (id),
    UNIQUE (tenant, name, instance)
);
CREATE INDEX bot_of_key ON bot (key_id, id);

CREATE TABLE queue (
    id bigint PRIMARY KEY,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('execute', 'plan', 'review')),
    skills text COLLATE "C" NOT NULL,  -- JSON
    assign_to text COLLATE "C"
);
CREATE UNIQUE INDEX queue_once ON queue (kind, md5(skills), coalesce(assign_to, ''));

CREATE TABLE task (
    id text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL
        CHECK (status IN ('IN_PROGRESS', 'COMPLETED', 'ARCHIVED', 'PLANNED', 'CREATED', 'FAILED')),
    priority bigint NOT NULL CHECK (priority BETWEEN 0 AND 9),
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    spec text COLLATE "C" NOT NULL,  -- payload
    title text COLLATE "C" NOT NULL,
    submitted_by text COLLATE "C" NOT NULL, party text COLLATE "C",
    labels text COLLATE "C" NOT NULL,  -- JSON
    planner_skills text COLLATE "C" NOT NULL,  -- JSON
    evaluator_skills text COLLATE "C" NOT NULL,  -- JSON
    evaluation text COLLATE "C" NOT NULL CHECK (evaluation IN ('final', 'each', 'none')),
    quorum_accept bigint NOT NULL CHECK (quorum_accept >= 1),
    quorum_of bigint NOT NULL CHECK (quorum_of BETWEEN quorum_accept AND 9),
    max_rounds bigint NOT NULL,
    approval text COLLATE "C" NOT NULL CHECK (approval IN ('none', 'plan', 'final', 'rounds')),
    plan_timeout bigint NOT NULL,
    review_timeout bigint NOT NULL,
    defaults text COLLATE "C" NOT NULL,  -- JSON
    outcome text COLLATE "C" CHECK (outcome IN ('accepted', 'rejected', 'failed', 'cancelled', 'expired')),
    failure text COLLATE "C",  -- JSON
    holds text COLLATE "C" NOT NULL,  -- JSON
    version bigint NOT NULL,
    sequence bigint NOT NULL,
    n_total bigint NOT NULL,
    n_open bigint NOT NULL CHECK (n_open BETWEEN 0 AND n_total),
    n_failed bigint NOT NULL CHECK (n_failed BETWEEN 0 AND n_total),
    round bigint NOT NULL,
    reworks bigint NOT NULL,
    deadline bigint,
    deadline_left bigint,
    planned boolean NOT NULL,
    started boolean NOT NULL,
    loading boolean NOT NULL,
    makers text COLLATE "C" NOT NULL,  -- JSON
    verdict text COLLATE "C",  -- payload
    usage text COLLATE "C" NOT NULL,  -- JSON
    trace text COLLATE "C" NOT NULL,
    place bigint NOT NULL DEFAULT 0,
    budget text COLLATE "C", subtask_labels text COLLATE "C",  -- JSON
    PRIMARY KEY (id)
) WITH (fillfactor = 60);
CREATE INDEX task_of_tenant ON task (tenant, created_at, id);

CREATE TABLE work (
    seq bigint GENERATED BY DEFAULT AS IDENTITY,  -- order of creation, which for subtasks is that of the plan
    id text COLLATE "C" NOT NULL,
    task text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('execute', 'plan', 'review')),
    key text COLLATE "C" NOT NULL,
    queue bigint NOT NULL,
    status text COLLATE "C" NOT NULL
        CHECK (status IN ('LEASED', 'SUCCEEDED', 'READY', 'BLOCKED', 'WAITING', 'IN_REVIEW', 'FAILED',
            'CANCELLED', 'SKIPPED')),
    priority bigint NOT NULL CHECK (priority BETWEEN 0 AND 9),
    created_at bigint NOT NULL,
    place bigint NOT NULL,
    subject text COLLATE "C",
    attempt bigint NOT NULL CHECK (attempt >= 0),
    tries bigint NOT NULL CHECK (tries >= 0),
    crashes bigint NOT NULL CHECK (crashes >= 0),
    deferrals bigint NOT NULL CHECK (deferrals >= 0),
    unseen bigint NOT NULL CHECK (unseen >= 0),
    start_due bigint,
    start_left bigint NOT NULL,
    start bigint NOT NULL,
    pending bigint NOT NULL CHECK (pending >= 0),
    round bigint NOT NULL,
    reworks bigint NOT NULL,
    timeout bigint NOT NULL,
    max_attempts bigint NOT NULL,
    continues boolean NOT NULL,
    handled boolean NOT NULL,
    wake bigint,
    payload text COLLATE "C",  -- payload
    result text COLLATE "C",  -- payload
    result_hash text COLLATE "C",
    checkpoint text COLLATE "C",  -- payload
    excluded text COLLATE "C" NOT NULL,  -- JSON
    taker text COLLATE "C",
    error text COLLATE "C",  -- JSON
    since bigint NOT NULL,
    version bigint NOT NULL,
    put_off bigint NOT NULL DEFAULT 0 CHECK (put_off >= 0),
    give_up bigint NOT NULL DEFAULT 3600000000,
    ordinal bigint NOT NULL DEFAULT 0,
    budget text COLLATE "C",  -- JSON
    limits text COLLATE "C",  -- JSON
    line text COLLATE "C", labels text COLLATE "C",
    PRIMARY KEY (id),
    UNIQUE (task, key)
) WITH (fillfactor = 60);
CREATE INDEX work_of_task ON work (task, id);
CREATE INDEX work_in_order ON work (task, seq); CREATE INDEX work_reviews ON work (task, seq) WHERE kind = 'review';
CREATE INDEX work_in_line ON work (line, queue, priority DESC, place, id) WHERE line IS NOT NULL AND start_due IS NULL;

CREATE TABLE edge (
    parent text COLLATE "C" NOT NULL, child text COLLATE "C" NOT NULL,
    condition text COLLATE "C" NOT NULL CHECK (condition IN ('success', 'done', 'failure')),
    task text COLLATE "C" NOT NULL,
    PRIMARY KEY (parent, child)
);
CREATE INDEX edge_into ON edge (child, parent);

CREATE TABLE ready (
    queue bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    priority bigint NOT NULL,
    place bigint NOT NULL,
    work text COLLATE "C" NOT NULL,
    since bigint NOT NULL,
    task text COLLATE "C" NOT NULL,
    excluded text COLLATE "C",  -- JSON; NULL for nobody, which is nearly always
    start_due bigint,
    PRIMARY KEY (work)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX ready_by_age ON ready (queue, tenant, priority DESC, since);
CREATE INDEX ready_start ON ready (start_due, work);
CREATE UNIQUE INDEX ready_in_order ON ready (queue, tenant, priority DESC, place, work);

CREATE TABLE lease (
    work text COLLATE "C" NOT NULL,
    task text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    lease_id text COLLATE "C" NOT NULL,
    attempt bigint NOT NULL,
    bot text COLLATE "C" NOT NULL,
    claim_id text COLLATE "C",
    granted_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    ends_at bigint NOT NULL,
    ttl bigint NOT NULL CHECK (ttl > 0),
    seen boolean NOT NULL,
    refusals bigint NOT NULL,
    refused text COLLATE "C" NOT NULL,  -- JSON
    progress text COLLATE "C",  -- JSON
    usage text COLLATE "C",  -- JSON
    checkpoint text COLLATE "C",  -- payload
    cancelled boolean NOT NULL,
    version bigint NOT NULL,
    reserved text COLLATE "C",  -- JSON
    seq bigint GENERATED BY DEFAULT AS IDENTITY,  -- order of insertion
    expire_put_off bigint,  -- timers `lease` and `ends`, where they are later than the lease's own times
    end_put_off bigint,
    PRIMARY KEY (work),
    UNIQUE (lease_id)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX lease_of_bot ON lease (bot, work);
CREATE INDEX lease_due ON lease (least(greatest(expires_at, expire_put_off), greatest(ends_at, end_put_off)))
 WHERE NOT cancelled;

CREATE TABLE timer (
    kind text COLLATE "C" NOT NULL,
    ref text COLLATE "C" NOT NULL,
    due bigint NOT NULL,
    PRIMARY KEY (kind, ref)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX timer_due ON timer (due, kind, ref);

CREATE TABLE chore (
    seq bigint GENERATED BY DEFAULT AS IDENTITY,  -- order of creation
    id text COLLATE "C" NOT NULL,
    task text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    cursor text COLLATE "C" NOT NULL,
    args text COLLATE "C" NOT NULL,  -- JSON
    version bigint NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX chore_of_task ON chore (task, seq);
CREATE INDEX chore_of_tenant ON chore (tenant, task, seq);

CREATE TABLE attempt (
    lease_id text COLLATE "C" NOT NULL,
    work text COLLATE "C" NOT NULL,
    task text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    attempt bigint NOT NULL,
    bot text COLLATE "C" NOT NULL,
    started bigint NOT NULL,
    ended bigint NOT NULL,
    ending text COLLATE "C" NOT NULL
        CHECK (ending IN ('succeeded', 'failed', 'expired', 'timed_out', 'released', 'deferred', 'asked',
            'unseen', 'cancelled')),
    round bigint NOT NULL,
    error text COLLATE "C",  -- JSON
    result text COLLATE "C",  -- payload
    result_hash text COLLATE "C",
    usage text COLLATE "C",  -- JSON
    answer text COLLATE "C",
    reason text COLLATE "C",
    progress text COLLATE "C",
    settled text COLLATE "C",  -- JSON
    PRIMARY KEY (lease_id),
    UNIQUE (work, attempt)
);
CREATE INDEX attempt_of_bot ON attempt (task, bot);

CREATE TABLE payload (
    id text COLLATE "C" NOT NULL,
    task text COLLATE "C" NOT NULL,
    body bytea NOT NULL,  -- JSON, or encrypted
    sealed bigint NOT NULL DEFAULT 0 CHECK (sealed IN (0, 1)),
    PRIMARY KEY (id)
);

CREATE TABLE data_key (  -- `key_id`: of the master key
    id text COLLATE "C" NOT NULL, tenant text COLLATE "C" NOT NULL, key_id text COLLATE "C" NOT NULL,
    nonce bytea NOT NULL, wrapped bytea NOT NULL, PRIMARY KEY (id),
    created_at bigint NOT NULL DEFAULT CAST(extract(epoch FROM statement_timestamp()) * 1000000 AS bigint)
);
CREATE INDEX data_key_of_tenant ON data_key (tenant);
CREATE TABLE erased_key (  -- data keys that were destroyed
    id text COLLATE "C" PRIMARY KEY, tenant text COLLATE "C" NOT NULL,
    erased_at bigint NOT NULL, erased_by text COLLATE "C" NOT NULL);
CREATE INDEX erased_key_of_tenant ON erased_key (tenant);

CREATE TABLE late_result (
    lease_id text COLLATE "C" NOT NULL,
    content_hash text COLLATE "C" NOT NULL,
    work text COLLATE "C" NOT NULL,
    task text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    bot text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    payload text COLLATE "C" NOT NULL,  -- payload
    settled text COLLATE "C",  -- JSON
    PRIMARY KEY (lease_id, content_hash)
);
CREATE INDEX late_result_of_work ON late_result (work, at, lease_id, content_hash);

CREATE TABLE feedback (
    seq bigint GENERATED BY DEFAULT AS IDENTITY,
    work text COLLATE "C" NOT NULL,
    task text COLLATE "C" NOT NULL,
    round bigint NOT NULL,
    text text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (seq)
);
CREATE INDEX feedback_of_work ON feedback (work, at, n, seq);

CREATE TABLE answered (
    seq bigint GENERATED BY DEFAULT AS IDENTITY,
    work text COLLATE "C" NOT NULL,
    task text COLLATE "C" NOT NULL,
    question text COLLATE "C" NOT NULL,
    answer text COLLATE "C" NOT NULL,  -- JSON
    at bigint NOT NULL,
    PRIMARY KEY (seq)
);
CREATE INDEX answered_of_work ON answered (work, at, seq);

CREATE TABLE approval (
    id text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    task text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('plan', 'final', 'rounds', 'question', 'budget')),
    opened_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    subject_hash text COLLATE "C" NOT NULL,
    work text COLLATE "C",
    asked_by text COLLATE "C" NOT NULL,
    question text COLLATE "C" NOT NULL,
    choices text COLLATE "C" NOT NULL,  -- JSON
    schema text COLLATE "C",  -- JSON
    subject text COLLATE "C",  -- JSON
    state text COLLATE "C" NOT NULL CHECK (state IN ('open', 'decided', 'expired', 'cancelled')),
    decision text COLLATE "C",  -- JSON
    decided_by text COLLATE "C",
    decided_person text COLLATE "C",
    step_up bigint,  -- microseconds
    decided_at bigint,
    version bigint NOT NULL,
    at_expiry text COLLATE "C",
    PRIMARY KEY (id)
);
CREATE INDEX approval_of_task ON approval (task, id); CREATE INDEX approval_of_tenant ON approval (tenant, id);
CREATE INDEX approval_open ON approval (tenant, expires_at, id) WHERE state = 'open';

CREATE TABLE message (
    id text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    task text COLLATE "C" NOT NULL,
    from_bot text COLLATE "C" NOT NULL,
    to_bot text COLLATE "C",
    payload text COLLATE "C" NOT NULL,  -- payload
    at bigint NOT NULL,
    seq bigint GENERATED BY DEFAULT AS IDENTITY,  -- order of insertion
    PRIMARY KEY (id)
);
CREATE INDEX message_of_task ON message (task, id);
CREATE INDEX message_in_order ON message (task, seq);

CREATE TABLE idempotency (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    request_hash text COLLATE "C" NOT NULL,
    status bigint NOT NULL,
    resource text COLLATE "C" NOT NULL,
    expires bigint NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX idempotency_expiry ON idempotency (expires, tenant, key);

CREATE TABLE event (
    seq bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    task text COLLATE "C",
    sequence bigint NOT NULL,
    work text COLLATE "C",
    kind text COLLATE "C" NOT NULL,
    actor text COLLATE "C" NOT NULL,
    audit text COLLATE "C" NOT NULL,
    body text COLLATE "C" NOT NULL,  -- JSON
    redacted text COLLATE "C" NOT NULL,  -- JSON: [[pointer, rule, action, within], …]
    PRIMARY KEY (seq),
    UNIQUE (task, sequence)
);
CREATE INDEX event_of_tenant ON event (tenant, seq);
CREATE INDEX event_of_record ON event (audit) WHERE task IS NULL;

CREATE TABLE audit_leaf (
    tenant text COLLATE "C" NOT NULL,
    place bigint NOT NULL CHECK (place >= 0),
    id text COLLATE "C" NOT NULL,
    task text COLLATE "C",
    actor text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    leaf bytea NOT NULL,
    salt bytea NOT NULL,
    body bytea,
    hash bytea NOT NULL,
    seq bigint GENERATED BY DEFAULT AS IDENTITY,  -- order of insertion
    PRIMARY KEY (tenant, place)
);
CREATE INDEX audit_leaf_of_task ON audit_leaf (task, place);
CREATE INDEX audit_leaf_of_actor ON audit_leaf (tenant, actor, place);
CREATE INDEX audit_leaf_of_action ON audit_leaf (tenant, action, place);
CREATE UNIQUE INDEX audit_leaf_in_order ON audit_leaf (seq);

CREATE TABLE audit_tree (
    tenant text COLLATE "C" NOT NULL,
    size bigint NOT NULL,
    frontier bytea NOT NULL,
    root bytea NOT NULL,
    PRIMARY KEY (tenant)
);

CREATE TABLE cooldown (
    id text COLLATE "C" NOT NULL,  -- follows from tenant and scope
    tenant text COLLATE "C" NOT NULL,
    scope text COLLATE "C" NOT NULL,
    phase text COLLATE "C" NOT NULL CHECK (phase IN ('cooling', 'due', 'probing')),
    until bigint NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE key_limit (
    id text COLLATE "C" NOT NULL,  -- follows from tenant and key
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    running bigint NOT NULL CHECK (running >= 0),
    lines text COLLATE "C" NOT NULL,  -- JSON: by queue, how many may be leased now and how many wait
    version bigint NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE work_rate (
    id text COLLATE "C" NOT NULL,  -- follows from tenant and key
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    most bigint CHECK (most > 0),
    per_minute bigint CHECK (per_minute > 0),
    tokens_per_minute bigint CHECK (tokens_per_minute > 0),
    calls_at bigint NOT NULL,
    tokens_at bigint NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (tenant, key)
);

-- Nothing of this task, or (task '*') of this whole tenant, leaves before the hold is released.
CREATE TABLE legal_hold (
    tenant text COLLATE "C" NOT NULL, task text COLLATE "C" NOT NULL, reason text COLLATE "C" NOT NULL,
    placed_by text COLLATE "C" NOT NULL, placed_at bigint NOT NULL, PRIMARY KEY (tenant, task)
);

-- Events up to this one have left the tenant's feed, if not all of them: an older cursor may have missed some.
CREATE TABLE feed_start (tenant text COLLATE "C" PRIMARY KEY, seq bigint NOT NULL);

-- The first records of the tenant's audit log have left: how many, the frontier of their tree, the time of the last one.
CREATE TABLE audit_start (
    tenant text COLLATE "C" PRIMARY KEY, size bigint NOT NULL, frontier bytea NOT NULL, at bigint NOT NULL
);

-- Audit records that list events of a task that is erased, but are not records of that task: how many events they lost.
CREATE TABLE audit_cut (
    audit text COLLATE "C" NOT NULL, task text COLLATE "C" NOT NULL, events bigint NOT NULL, PRIMARY KEY (audit, task)
);

-- What erased attempts had used of the tenant's budget.
CREATE TABLE erased_use (
    tenant text COLLATE "C" NOT NULL, amount text COLLATE "C" NOT NULL, total bigint NOT NULL, PRIMARY KEY (tenant, amount)
);

-- The store was restored from a backup: cursors greater than `after` and less than `upto` are of the store that was lost.
CREATE TABLE feed_gap (after bigint PRIMARY KEY, upto bigint NOT NULL);

-- For the outgoing stream: up to which event another program's stream has got them, and which server publishes.
CREATE TABLE sink (  -- others may take it over at `until`
    name text COLLATE "C" PRIMARY KEY, seq bigint NOT NULL, owner text COLLATE "C" NOT NULL, until bigint NOT NULL
);

-- The audit log for people outside: roots of full tiles of its tree, and the checkpoints that were signed.
CREATE TABLE audit_hash (
    tenant text COLLATE "C" NOT NULL, level  bigint NOT NULL CHECK (level > 0),
    place  bigint NOT NULL CHECK (place >= 0), hash   bytea NOT NULL,
    PRIMARY KEY (tenant, level, place)
);

CREATE TABLE checkpoint (
    tenant text COLLATE "C" NOT NULL, size   bigint NOT NULL CHECK (size >= 0),
    root   bytea NOT NULL, at     bigint NOT NULL,
    note   text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, size)
);

-- Secrets: values that the server keeps, values that were released, how often, and credentials to be revoked. A value is
-- in `sealed` only, encrypted under the master key that `key_id` names; see secrets/sealing.py.
CREATE TABLE secret (
    tenant text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL,
    version    bigint NOT NULL CHECK (version > 0),
    key_id text COLLATE "C" NOT NULL, nonce bytea NOT NULL, sealed bytea NOT NULL,
    created_at bigint NOT NULL, created_by text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, name, version)
);

CREATE TABLE secret_released (
    tenant text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, tag text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL, source text COLLATE "C" NOT NULL,
    key_id text COLLATE "C" NOT NULL, nonce bytea NOT NULL, sealed bytea NOT NULL, first_at bigint NOT NULL,
    last_at bigint NOT NULL, count bigint NOT NULL CHECK (count > 0), PRIMARY KEY (tenant, name, tag)
);
CREATE INDEX secret_released_tag ON secret_released (tenant, tag);

CREATE TABLE secret_use (
    tenant text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, minute bigint NOT NULL, count bigint NOT NULL,
    PRIMARY KEY (tenant, name)
);

CREATE TABLE secret_lease (
    lease_id text COLLATE "C" PRIMARY KEY, tenant text COLLATE "C" NOT NULL, count bigint NOT NULL
);

CREATE TABLE secret_loan (
    id text COLLATE "C" PRIMARY KEY, tenant text COLLATE "C" NOT NULL, lease_id text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL, expires_at bigint NOT NULL, key_id text COLLATE "C" NOT NULL,
    nonce bytea NOT NULL, sealed bytea NOT NULL
);

-- What is stopped at once: a bot, an owner, a skill, or (kind 'tenant') the tenant itself; see core/decide/kills.py.
CREATE TABLE kill (
    id text COLLATE "C" PRIMARY KEY, tenant text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('bot', 'owner', 'skill', 'tenant')),
    name text COLLATE "C" NOT NULL, reason text COLLATE "C" NOT NULL, placed_by text COLLATE "C" NOT NULL,
    placed_at bigint NOT NULL, until bigint, UNIQUE (tenant, kind, name)
);

-- What a transaction tells: its events and audit records, complete but for their numbers, and what it counts. The
-- sequencer numbers them in this order and takes the row away (storage/postgres/sequencer.py).
CREATE TABLE outbox (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     bigint NOT NULL DEFAULT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint),
    body   bytea NOT NULL,  -- MessagePack
    counts text COLLATE "C",  -- JSON: by tenant, what to add to open_tasks, open_subtasks and stored_bytes
    sealed bigint NOT NULL DEFAULT 0  -- whether the one who wrote it encrypts
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE outbox ALTER COLUMN body SET STORAGE EXTERNAL;  -- it is read and deleted within moments: not worth compressing

-- When bots were last heard, as every server tells the others now and then. Not logged: after a crash it begins empty.
CREATE UNLOGGED TABLE presence (
    bot text COLLATE "C" PRIMARY KEY, seen_at bigint NOT NULL,
    asked_at bigint NOT NULL,  -- for work; 0: not yet
    told_at bigint NOT NULL  -- the server's time
) WITH (fillfactor = 60);
CREATE INDEX presence_told ON presence (told_at);

-- The servers that have this store open, as each tells the others now and then. Not logged either.
CREATE UNLOGGED TABLE server (
    id      text COLLATE "C" PRIMARY KEY,  -- drawn at its start
    version text COLLATE "C" NOT NULL,
    rules   text COLLATE "C" NOT NULL,  -- hash of its redaction rules
    known   bigint NOT NULL, flow text COLLATE "C" NOT NULL,  -- up to which event it knows the released secrets; JSON
    told_at bigint NOT NULL  -- the database server's time
) WITH (fillfactor = 60);

INSERT INTO meta (key, value) VALUES ('pos', 0), ('sequenced_until', 0), ('numbers_until', 0);

-- What is committed by now, also within a statement: its own snapshot is older. See locks.py. Only a function in PL/pgSQL
-- that is volatile gets a new one.
CREATE FUNCTION snapshot_now() RETURNS pg_snapshot LANGUAGE plpgsql VOLATILE AS $$ BEGIN
    RETURN pg_current_snapshot();
END $$;
