-- runs from: schema 18
-- Sign-ins of browsers; see core/sessions/. A row is removed when the session ends, or was not used for too long.
CREATE TABLE session (
    id            TEXT NOT NULL PRIMARY KEY,
    tenant        TEXT NOT NULL,
    key_id        TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    digest        TEXT NOT NULL UNIQUE,
    seal          BLOB NOT NULL,
    used_at       INTEGER NOT NULL,
    ends_at       INTEGER NOT NULL,
    public_id     TEXT,
    secret_digest BLOB,
    login         TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX session_of_key ON session (tenant, key_id, used_at, id);
CREATE INDEX session_by_use ON session (used_at);
