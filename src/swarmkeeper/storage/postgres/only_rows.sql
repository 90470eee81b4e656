-- Statements for many rows that only PostgreSQL needs; writes.sql says how they work.

-- name: place_event
-- An event with its number.
INSERT INTO event (seq, id, at, tenant, task, sequence, work, kind, actor, audit, body, redacted)
VALUES (:seq, :id, :at, :tenant, :task, :sequence, :work, :kind, :actor, :audit, :body, :redacted);

-- name: delete_outbox
DELETE FROM outbox WHERE outbox.id = :outbox;

-- name: raise_meta
-- A number that only grows.
INSERT INTO meta (key, value) VALUES (:key, :value)
    ON CONFLICT (key) DO UPDATE SET value = greatest(meta.value, excluded.value);

-- name: put_off_expiry
-- Sets a lease's timer to another time than the lease's.
UPDATE lease SET expire_put_off = :expire_put_off WHERE lease.work = :work;

-- name: put_off_end
-- The same for its other timer.
UPDATE lease SET end_put_off = :end_put_off WHERE lease.work = :work;

-- name: remove_key_limit
-- A key that nobody needs any more, as far as this transaction knows: another one may have changed it meanwhile.
DELETE FROM key_limit WHERE key_limit.id = :id AND key_limit.version = :version - 1;

-- name: drop_task_count
-- Of no tasks, after everything was counted anew.
DELETE FROM task_count
 WHERE task_count.tenant = :tenant AND task_count.party = :party AND task_count.week = :week
   AND task_count.status = :status AND task_count.outcome = :outcome AND task_count.number = 0;
