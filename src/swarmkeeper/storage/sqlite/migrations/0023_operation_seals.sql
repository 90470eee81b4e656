-- Operations on many tasks get a seal: whoever edits a row cannot make a server act for another caller, or on other tasks.
-- A seal needs the pepper, which a migration has not. So operations from before leave; no release has made any.
-- runs from: schema 18
DELETE FROM operation_item;
DELETE FROM operation;
ALTER TABLE operation ADD COLUMN items_hash TEXT NOT NULL DEFAULT '';  -- of the tasks, and of what came of them
ALTER TABLE operation ADD COLUMN slices INTEGER NOT NULL DEFAULT 0;  -- how many times outcomes were noted
ALTER TABLE operation ADD COLUMN done INTEGER NOT NULL DEFAULT 0;  -- tasks with this outcome
ALTER TABLE operation ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE operation ADD COLUMN seal BLOB NOT NULL DEFAULT x'';  -- HMAC of what is acted on
ALTER TABLE operation ADD COLUMN forged_at INTEGER;  -- when a server found that the seal does not fit
ALTER TABLE operation_item ADD COLUMN slice INTEGER;  -- in which of these notes the outcome was

-- Lists of them, the newest first; and of those of one party.
CREATE INDEX operation_of_tenant ON operation (tenant, created_at, id);
CREATE INDEX operation_of_party ON operation (tenant, party, created_at, id);
