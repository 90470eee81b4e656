-- Bodies may be encrypted: `sealed` is 1 for payloads that are, and the keys of tenants are stored wrapped under a master
-- key that is elsewhere. The columns of event and audit_leaf stay: what is in them begins with "sealed/1".
ALTER TABLE payload ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0 CHECK (sealed IN (0, 1));

CREATE TABLE data_key (
    id         TEXT NOT NULL PRIMARY KEY,
    tenant     TEXT NOT NULL,
    key_id     TEXT NOT NULL,  -- of the master key
    nonce      BLOB NOT NULL,
    wrapped    BLOB NOT NULL,
    created_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000000 AS INTEGER))
) STRICT, WITHOUT ROWID;
CREATE INDEX data_key_of_tenant ON data_key (tenant);
