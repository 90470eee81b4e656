-- For retention: what must stay, and where what is left begins. For restoring a backup: which cursors are of a lost store.

-- Nothing of this task, or (task '*') of this whole tenant, leaves before the hold is released.
CREATE TABLE legal_hold (
    tenant    TEXT NOT NULL,
    task      TEXT NOT NULL,
    reason    TEXT NOT NULL,
    placed_by TEXT NOT NULL,
    placed_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, task)
) STRICT, WITHOUT ROWID;

-- Events up to this one have left the tenant's feed, if not all of them: an older cursor may have missed some.
CREATE TABLE feed_start (
    tenant TEXT NOT NULL PRIMARY KEY,
    seq    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The first records of the tenant's audit log have left: how many, the frontier of their tree, the time of the last one.
CREATE TABLE audit_start (
    tenant   TEXT NOT NULL PRIMARY KEY,
    size     INTEGER NOT NULL,
    frontier BLOB NOT NULL,
    at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Audit records that list events of a task that is erased, but are not records of that task: how many events they lost.
CREATE TABLE audit_cut (
    audit  TEXT NOT NULL,
    task   TEXT NOT NULL,
    events INTEGER NOT NULL,
    PRIMARY KEY (audit, task)
) STRICT, WITHOUT ROWID;

-- What erased attempts had used of the tenant's budget.
CREATE TABLE erased_use (
    tenant TEXT NOT NULL,
    amount TEXT NOT NULL,
    total  INTEGER NOT NULL,
    PRIMARY KEY (tenant, amount)
) STRICT, WITHOUT ROWID;

-- The store was restored from a backup: cursors greater than `after` and less than `upto` are of the store that was lost.
CREATE TABLE feed_gap (
    after INTEGER NOT NULL PRIMARY KEY,
    upto  INTEGER NOT NULL
) STRICT;
