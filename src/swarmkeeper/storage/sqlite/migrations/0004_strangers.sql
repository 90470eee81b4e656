-- What 0.4.0 keeps beside what there was; each part says for whom.

-- For work that is put off: how long in a row so far, and where that ends it (microseconds).
ALTER TABLE work ADD COLUMN put_off INTEGER NOT NULL DEFAULT 0 CHECK (put_off >= 0);
ALTER TABLE work ADD COLUMN give_up INTEGER NOT NULL DEFAULT 3600000000;

-- For the limits of a tenant: how many of its subtasks are open, and about how many bytes its inputs, outputs and
-- messages take. Counted in the transaction that changes them, as open_tasks is.
ALTER TABLE tenant ADD COLUMN open_subtasks INTEGER NOT NULL DEFAULT 0 CHECK (open_subtasks >= 0);
ALTER TABLE tenant ADD COLUMN stored_bytes INTEGER NOT NULL DEFAULT 0 CHECK (stored_bytes >= 0);
UPDATE tenant
   SET open_subtasks = coalesce((SELECT sum(n_open) FROM task WHERE task.tenant = tenant.id), 0),
       stored_bytes = coalesce((SELECT sum(length(payload.body)) FROM payload JOIN task ON task.id = payload.task
                                 WHERE task.tenant = tenant.id), 0);
-- For service/heads.py: what was begun first is finished first. A task has a place among all, and its items stand there;
-- how long an item has waited, which makes its priority count for more, is a second order of the same lines.
ALTER TABLE task ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
ALTER TABLE work ADD COLUMN ordinal INTEGER NOT NULL DEFAULT 0;
UPDATE task SET place = created_at;
UPDATE ready SET place = (SELECT place FROM task WHERE task.id = ready.task);
CREATE INDEX ready_by_age ON ready (queue, tenant, priority DESC, since);
-- For whoever looks at an attempt that has ended: why its bot gave it back, and how far it had come, with its last lines.
ALTER TABLE attempt ADD COLUMN reason TEXT;
ALTER TABLE attempt ADD COLUMN progress TEXT;  -- JSON
