-- Secrets: values that the server keeps, values that were released, how often, and credentials to be revoked. A value is
-- in `sealed` only, encrypted under the master key that `key_id` names; see secrets/sealing.py.
CREATE TABLE secret (
    tenant     TEXT NOT NULL,
    name       TEXT NOT NULL,
    version    INTEGER NOT NULL CHECK (version > 0),
    key_id     TEXT NOT NULL,
    nonce      BLOB NOT NULL,
    sealed     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (tenant, name, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE secret_released (
    tenant   TEXT NOT NULL,
    name     TEXT NOT NULL,
    tag      TEXT NOT NULL,
    version  TEXT NOT NULL,
    source   TEXT NOT NULL,
    key_id   TEXT NOT NULL,
    nonce    BLOB NOT NULL,
    sealed   BLOB NOT NULL,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    count    INTEGER NOT NULL CHECK (count > 0),
    PRIMARY KEY (tenant, name, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX secret_released_tag ON secret_released (tenant, tag);

CREATE TABLE secret_use (
    tenant TEXT NOT NULL,
    name   TEXT NOT NULL,
    minute INTEGER NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE secret_lease (
    lease_id TEXT NOT NULL PRIMARY KEY,
    tenant   TEXT NOT NULL,
    count    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE secret_loan (
    id         TEXT NOT NULL PRIMARY KEY,
    tenant     TEXT NOT NULL,
    lease_id   TEXT NOT NULL,
    source     TEXT NOT NULL,
    key_id     TEXT NOT NULL,
    nonce      BLOB NOT NULL,
    sealed     BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
