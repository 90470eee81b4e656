-- For limits that hold work back without costing it a try.

-- A scope that a provider limits: its bots get no work while it cools; see core/rules/cooldowns.py.
CREATE TABLE cooldown (
    id     TEXT NOT NULL PRIMARY KEY,  -- follows from tenant and scope
    tenant TEXT NOT NULL,
    scope  TEXT NOT NULL,
    phase  TEXT NOT NULL CHECK (phase = 'cooling' OR phase = 'due' OR phase = 'probing'),
    until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What the bot's last rate limit named; empty if there was none since it registered.
ALTER TABLE bot ADD COLUMN scope TEXT NOT NULL DEFAULT '';

-- For keys that limit how many items run at once: those of each item, and the line in which it waits for its turn.
ALTER TABLE work ADD COLUMN limits TEXT;  -- JSON; NULL for most
ALTER TABLE work ADD COLUMN line TEXT;  -- key_limit
CREATE INDEX work_in_line ON work (line, queue, priority DESC, place, id) WHERE line IS NOT NULL AND start_due IS NULL;

-- One row for each key while an item with it runs or waits: counted in the commit that grants and ends leases.
CREATE TABLE key_limit (
    id      TEXT NOT NULL PRIMARY KEY,  -- follows from tenant and key
    tenant  TEXT NOT NULL,
    key     TEXT NOT NULL,
    running INTEGER NOT NULL CHECK (running >= 0),
    lines   TEXT NOT NULL,  -- JSON: by queue, how many may be leased now and how many wait
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How many leases and tokens a minute may have for a skill, a scope or a tenant; see core/rules/work_rates.py.
CREATE TABLE work_rate (
    id                TEXT NOT NULL PRIMARY KEY,  -- follows from tenant and key
    tenant            TEXT NOT NULL,
    key               TEXT NOT NULL,
    most              INTEGER CHECK (most > 0),
    per_minute        INTEGER CHECK (per_minute > 0),
    tokens_per_minute INTEGER CHECK (tokens_per_minute > 0),
    calls_at          INTEGER NOT NULL,
    tokens_at         INTEGER NOT NULL,
    UNIQUE (tenant, key)
) STRICT, WITHOUT ROWID;

-- For approvals: what is decided if nobody decides in time.
ALTER TABLE approval ADD COLUMN at_expiry TEXT;  -- JSON
