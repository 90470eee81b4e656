-- Data keys that were destroyed: no body that they encrypted can be read any more; see core/decide/erasures.py.
CREATE TABLE erased_key (
    id        TEXT NOT NULL PRIMARY KEY,
    tenant    TEXT NOT NULL,
    erased_at INTEGER NOT NULL,
    erased_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX erased_key_of_tenant ON erased_key (tenant);
