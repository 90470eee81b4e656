-- Erases what leaves the store; see core/decide/retention.py, which gives each statement its parameters.
-- List parameters are JSON. A slice names its rows, so that each statement touches a bounded number of them.

-- name: load_task_part
-- The next items of a task, of any kind.
SELECT id FROM work WHERE task = :task AND id > :after ORDER BY id LIMIT :n;

-- name: stored_of
-- Bytes of the payloads of items and tasks that counted as stored: those that are soon replaced did not.
SELECT coalesce(sum({size payload}), 0)
  FROM {each :owners} AS wanted
 CROSS JOIN payload ON payload.id > wanted.value || '/' AND payload.id < wanted.value || '0'
 WHERE payload.id NOT LIKE '%/checkpoint%' AND payload.id NOT LIKE '%/plan/%';

-- name: load_records_of_task
-- Audit records of a task that have a body, except those of its erasure, which make one in each slice.
SELECT place
  FROM audit_leaf
 WHERE task = :task AND place > :after AND body IS NOT NULL AND action NOT IN (SELECT value FROM {each :own})
 ORDER BY place
 LIMIT :n;

-- name: load_newest_record
-- When the newest audit record of a task was written; NULL while anything that was committed about it has no number.
{own};

-- name: load_legal_hold
-- The hold on a task, or on the whole tenant.
SELECT tenant, task, reason, placed_by, placed_at FROM legal_hold WHERE tenant = :tenant AND task = :task;

-- name: load_audit_begin
-- How many records have left the tenant's log.
SELECT coalesce((SELECT size FROM audit_start WHERE tenant = :tenant), 0);

-- name: load_tenant_row
-- A tenant, with what is counted of it.
SELECT id, weight, max_backlog, open_tasks, open_subtasks, stored_bytes, budget FROM tenant WHERE id = :tenant;

-- name: load_keys_of_tenant
-- All of them.
SELECT {api_key} FROM api_key WHERE tenant = :tenant;

-- name: load_bots_of_tenant
-- All of them.
SELECT {bot} FROM bot WHERE tenant = :tenant;

-- name: load_rates_of_tenant
-- All of them.
SELECT {work_rate} FROM work_rate WHERE tenant = :tenant;

-- name: load_kills_of_tenant
-- All of them.
SELECT {kill} FROM kill WHERE tenant = :tenant;

-- name: load_persons_of_tenant
-- All of them.
SELECT {person} FROM person WHERE tenant = :tenant;

-- name: load_erased_keys_of_tenant
-- All of them.
SELECT {erased_key} FROM erased_key WHERE tenant = :tenant;

-- name: put_legal_hold
-- A hold that is in place is not changed.
INSERT INTO legal_hold (tenant, task, reason, placed_by, placed_at)
VALUES (:tenant, :task, :reason, :placed_by, :placed_at)
    ON CONFLICT DO NOTHING;

-- name: delete_legal_hold
-- Released.
DELETE FROM legal_hold WHERE tenant = :tenant AND task = :task;

-- ---- a finished task -------------------------------------------------------------------------------------------------

-- name: erase_bodies
-- An erasure removes body and salt: what is left proves that there was a record, and tells nothing about its text.
UPDATE audit_leaf SET body = NULL, salt = :nothing
 WHERE tenant = :tenant AND place IN (SELECT value FROM {numbers :places});

-- name: move_feed_start_of_records
-- Older cursors of the tenant's feed may have missed the events that leave with these records.
INSERT INTO feed_start (tenant, seq)
SELECT tenant, max(seq)
  FROM event
 WHERE task IS NULL
   AND audit IN (SELECT id FROM audit_leaf WHERE tenant = :tenant AND place IN (SELECT value FROM {numbers :places}))
 GROUP BY tenant
    ON CONFLICT (tenant) DO UPDATE SET seq = {greatest}(feed_start.seq, excluded.seq);

-- name: erase_events_of_records
-- Events of no task that these records list, such as those of a legal hold: without the bodies, nothing proves them.
DELETE FROM event
 WHERE task IS NULL
   AND audit IN (SELECT id FROM audit_leaf WHERE tenant = :tenant AND place IN (SELECT value FROM {numbers :places}));

-- name: keep_use
-- Adds up what the attempts and late results of these items used of their tenant's budget.
INSERT INTO erased_use (tenant, amount, total)
SELECT ended.tenant, amount.key, sum(CAST(amount.value AS bigint))
  FROM (SELECT attempt.tenant, attempt.settled
          FROM {each :works} AS wanted CROSS JOIN attempt ON attempt.work = wanted.value
         UNION ALL
        SELECT late_result.tenant, late_result.settled
          FROM {each :works} AS wanted CROSS JOIN late_result ON late_result.work = wanted.value) AS ended,
       {each {json ended.settled} -> 'levels'} AS level, {members {json ended.settled} -> 'amounts'} AS amount
 WHERE ended.settled IS NOT NULL AND level.value = 'tenant'
 GROUP BY ended.tenant, amount.key
    ON CONFLICT (tenant, amount) DO UPDATE SET total = erased_use.total + excluded.total;

-- name: erase_edges
-- Both ends of an edge are items of one task.
DELETE FROM edge WHERE parent IN (SELECT value FROM {each :works});

-- name: erase_late_results
-- With the items that they belong to.
DELETE FROM late_result WHERE work IN (SELECT value FROM {each :works});

-- name: erase_attempts
-- With the items that they belong to.
DELETE FROM attempt WHERE work IN (SELECT value FROM {each :works});

-- name: erase_feedback
-- With the items that it was for.
DELETE FROM feedback WHERE work IN (SELECT value FROM {each :works});

-- name: erase_answers
-- With the items that they were for.
DELETE FROM answered WHERE work IN (SELECT value FROM {each :works});

-- name: erase_payloads
-- The id of a payload begins with that of its item, and a slash.
{own};

-- name: erase_items
-- They are final, so they have no queue entry, lease or timer.
DELETE FROM work WHERE id IN (SELECT value FROM {each :works});

-- name: cut_records
-- Notes which records of others list these events, so that verifying does not miss them.
INSERT INTO audit_cut (audit, task, events)
SELECT audit, task, count(*)
  FROM event
 WHERE task = :task AND sequence > :after AND sequence <= :last
   AND audit NOT IN (SELECT id FROM audit_leaf WHERE task = :task)
 GROUP BY audit, task
    ON CONFLICT (audit, task) DO UPDATE SET events = audit_cut.events + excluded.events;

-- name: move_feed_start
-- Older cursors of the tenant's feed may have missed these events.
INSERT INTO feed_start (tenant, seq)
SELECT tenant, max(seq) FROM event WHERE task = :task AND sequence > :after AND sequence <= :last GROUP BY tenant
    ON CONFLICT (tenant) DO UPDATE SET seq = {greatest}(feed_start.seq, excluded.seq);

-- name: erase_events
-- A range of the task's events.
DELETE FROM event WHERE task = :task AND sequence > :after AND sequence <= :last;

-- name: erase_approvals
-- All of them are decided, expired or cancelled.
DELETE FROM approval WHERE task = :task;

-- name: erase_messages
-- Their payloads go with the task's.
DELETE FROM message WHERE task = :task;

-- name: erase_payloads_of_task
-- Those of its own, not of its items.
DELETE FROM payload WHERE id > {text :task} || '/' AND id < {text :task} || '0' RETURNING id;

-- name: erase_task
-- The last row.
DELETE FROM task WHERE id = :task;

-- ---- the oldest audit records ----------------------------------------------------------------------------------------

-- name: trim_feed_start
-- Older cursors may have missed the events that leave next.
INSERT INTO feed_start (tenant, seq)
SELECT tenant, max(seq)
  FROM (SELECT tenant, seq, audit FROM event WHERE tenant = :tenant AND task IS NULL ORDER BY seq LIMIT :n) AS old
 WHERE audit IN (SELECT id FROM audit_leaf WHERE tenant = :tenant AND place < :end)
 GROUP BY tenant
    ON CONFLICT (tenant) DO UPDATE SET seq = {greatest}(feed_start.seq, excluded.seq);

-- name: trim_events
-- The events of no task that the records which leave have listed: they are among the oldest ones.
DELETE FROM event
 WHERE seq IN (SELECT seq FROM event WHERE tenant = :tenant AND task IS NULL ORDER BY seq LIMIT :n)
   AND audit IN (SELECT id FROM audit_leaf WHERE tenant = :tenant AND place < :end);

-- name: trim_cut_records
-- Of records that leave.
DELETE FROM audit_cut WHERE audit IN (SELECT id FROM audit_leaf WHERE tenant = :tenant AND place < :end);

-- name: trim_records
-- The caller bounds their number.
DELETE FROM audit_leaf WHERE tenant = :tenant AND place < :end;

-- name: put_audit_start
-- Verifying begins here.
INSERT INTO audit_start (tenant, size, frontier, at) VALUES (:tenant, :size, :frontier, :at)
    ON CONFLICT (tenant) DO UPDATE SET size = excluded.size, frontier = excluded.frontier, at = excluded.at;
