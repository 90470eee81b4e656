-- What is stopped at once: a bot, an owner, a skill, or (kind 'tenant') the tenant itself; see core/decide/kills.py.
CREATE TABLE kill (
    id        TEXT NOT NULL PRIMARY KEY,
    tenant    TEXT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('bot', 'owner', 'skill', 'tenant')),
    name      TEXT NOT NULL,
    reason    TEXT NOT NULL,
    placed_by TEXT NOT NULL,
    placed_at INTEGER NOT NULL,
    until     INTEGER,
    UNIQUE (tenant, kind, name)
) STRICT, WITHOUT ROWID;
