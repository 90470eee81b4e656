-- What dashboards read: reviews of a task, and open approvals by the time at which they expire.
-- runs from: schema 18
CREATE INDEX work_reviews ON work (task, seq) WHERE kind = 'review';
CREATE INDEX approval_open ON approval (tenant, expires_at, id) WHERE state = 'open';

-- One command on many tasks: what is to be done, by whom, and what came of each task.
CREATE TABLE operation (
    id         TEXT NOT NULL PRIMARY KEY,
    tenant     TEXT NOT NULL,
    party      TEXT NOT NULL,
    caller     TEXT NOT NULL,  -- JSON
    action     TEXT NOT NULL,
    args       TEXT NOT NULL,  -- JSON
    dry_run    INTEGER NOT NULL CHECK (dry_run IN (0, 1)),
    total      INTEGER NOT NULL CHECK (total >= 0),
    trace      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at   INTEGER,
    owner      TEXT NOT NULL DEFAULT '',  -- the server that carries it out
    until      INTEGER NOT NULL DEFAULT 0  -- others may take it over then
) STRICT, WITHOUT ROWID;
CREATE INDEX operation_open ON operation (created_at, id) WHERE ended_at IS NULL;
CREATE INDEX operation_ended ON operation (ended_at, id) WHERE ended_at IS NOT NULL;

CREATE TABLE operation_item (
    operation TEXT NOT NULL,
    place     INTEGER NOT NULL,
    task      TEXT NOT NULL,
    outcome   TEXT CHECK (outcome IN ('done', 'refused')),
    code      TEXT,
    detail    TEXT,
    PRIMARY KEY (operation, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX operation_item_left ON operation_item (operation, place) WHERE outcome IS NULL;
