-- The audit log for people outside: roots of full tiles of its tree, and the checkpoints that were signed.
CREATE TABLE audit_hash (
    tenant TEXT NOT NULL,
    level  INTEGER NOT NULL CHECK (level > 0),
    place  INTEGER NOT NULL CHECK (place >= 0),
    hash   BLOB NOT NULL,
    PRIMARY KEY (tenant, level, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoint (
    tenant TEXT NOT NULL,
    size   INTEGER NOT NULL CHECK (size >= 0),
    root   BLOB NOT NULL,
    at     INTEGER NOT NULL,
    note   TEXT NOT NULL,
    PRIMARY KEY (tenant, size)
) STRICT, WITHOUT ROWID;
