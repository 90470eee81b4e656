-- Statements for what only PostgreSQL needs: locks between replicas, timers of leases, and the outbox.

-- part: tasks_of
-- Tasks of items, leases, approvals and bots' leases. Those of the first three never change.
SELECT task FROM work WHERE id IN (SELECT value FROM {each :works})
UNION
SELECT task FROM lease WHERE lease_id IN (SELECT value FROM {each :leases})
UNION
SELECT task FROM attempt WHERE lease_id IN (SELECT value FROM {each :leases})
UNION
SELECT task FROM approval WHERE id IN (SELECT value FROM {each :approvals})
UNION
SELECT held.task  -- bot by bot
  FROM {each :bots} AS wanted
 CROSS JOIN LATERAL (SELECT task FROM lease WHERE bot = wanted.value OFFSET 0) AS held;

-- name: tasks_of
{part tasks_of};

-- part: same_snapshot
-- Whether nothing was committed since the statement began: what it reads is then what the next one would read.
CAST(pg_current_snapshot() AS text) = CAST(snapshot_now() AS text);

-- name: lock_and_wait
-- Waits for each lock in order, then reads the clock.
WITH locked AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(hashtextextended(value, 0)) FROM {each :names}
)
SELECT NULL AS names, CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) AS now,
       {part same_snapshot} AS same_snapshot, count(*)
  FROM locked;

-- name: lock_tasks_and_wait
-- The same, with the locks of tasks that are known by what belongs to them. Returns all names.
WITH task_of (task) AS ({part tasks_of}
), wanted AS MATERIALIZED (
    SELECT name
      FROM (SELECT value AS name FROM {each :names} UNION SELECT 'task/' || task FROM task_of) AS named
     ORDER BY name COLLATE "C"
), locked AS MATERIALIZED (
    SELECT name, pg_advisory_xact_lock(hashtextextended(name, 0)) FROM wanted
)
SELECT json_agg(name) AS names, CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) AS now,
       {part same_snapshot} AS same_snapshot
  FROM locked;

-- name: lock_at_once
-- The names whose locks are free, or this transaction's already.
SELECT value FROM {each :names} WHERE pg_try_advisory_xact_lock(hashtextextended(value, 0));

-- name: heads_and_items
-- As ready_heads, with the items and their tasks: whoever looks at the heads loads these next. Whether they are as they
-- were when their locks were taken is known of each row.
SELECT {ready.*}, {work.*}, {task.*}, {part same_snapshot} AS same_snapshot
  FROM (SELECT *
          FROM ready
         WHERE queue = :queue AND tenant = :tenant AND priority = :priority {free ready.task}
           AND (place, work) > (:place, :work)
         ORDER BY place, work
         LIMIT :limit{locked}) AS ready
 CROSS JOIN LATERAL (SELECT * FROM work WHERE id = ready.work OFFSET 0) AS work
 CROSS JOIN LATERAL (SELECT * FROM task WHERE id = ready.task OFFSET 0) AS task
 ORDER BY ready.place, ready.work;

-- name: clock
-- The server's time.
SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) AS now;

-- name: share_store
-- Every orchestrator has this lock together with the others, as long as its session lives.
SELECT pg_advisory_lock_shared(hashtextextended('swarmkeeper/orchestrator', 0));

-- name: have_store_alone
-- Whether no other orchestrator has the store, and none gets it before the transaction ends.
SELECT pg_try_advisory_xact_lock(hashtextextended('swarmkeeper/orchestrator', 0));

-- name: parents_of_each
-- All incoming edges of each item, with the items they come from.
SELECT {edge.*}, {work.*}
  FROM {each :keys} AS wanted
 CROSS JOIN edge ON edge.child = wanted.value
 CROSS JOIN work ON work.id = edge.parent
 ORDER BY edge.child, edge.parent;

-- name: plans_of_tasks
-- The same as works_of_plan, of several tasks and as whole rows. In a new database, whose tables have no statistics yet,
-- only OFFSET 0 keeps the planner from reading all items first; as with the next two.
SELECT {work.*}
  FROM {each :keys} AS wanted
 CROSS JOIN LATERAL (SELECT * FROM work WHERE task = wanted.value AND kind = :kind OFFSET 0) AS work
 ORDER BY work.task, work.seq;

-- name: edges_from_leases
-- The first edges from the items of live leases, with the items they lead to.
SELECT {edge.*}, {work.*}
  FROM {each :keys} AS wanted
 CROSS JOIN LATERAL (SELECT work FROM lease WHERE lease_id = wanted.value OFFSET 0) AS held
 CROSS JOIN LATERAL (SELECT * FROM edge WHERE parent = held.work ORDER BY child LIMIT :n) AS edge
 CROSS JOIN LATERAL (SELECT * FROM work WHERE id = edge.child OFFSET 0) AS work
 ORDER BY edge.parent, edge.child;

-- name: light_results
-- The results of the items that these items depend on, and of the items of tasks' plans, as far as they are short.
SELECT payload.id, payload.body
  FROM (SELECT done.result
          FROM {each :items} AS wanted
         CROSS JOIN LATERAL (SELECT parent FROM edge WHERE child = wanted.value OFFSET 0) AS edge
         CROSS JOIN LATERAL (SELECT result FROM work WHERE id = edge.parent AND status = :status OFFSET 0) AS done
         UNION
        SELECT done.result
          FROM {each :tasks} AS wanted
         CROSS JOIN LATERAL (
                   SELECT result FROM work WHERE task = wanted.value AND kind = :kind AND status = :status OFFSET 0
               ) AS done) AS results
 CROSS JOIN LATERAL (
           SELECT id, body FROM payload WHERE id = results.result AND {size payload} <= :bytes OFFSET 0
       ) AS payload;

-- name: all_due
-- Timers of all kinds due by now, with their task if they have one, earliest first.
SELECT due, kind, ref, task
  FROM (
        (SELECT timer.due, timer.kind, timer.ref,
                coalesce(work.task, approval.task, CASE WHEN timer.kind = 'deadline' THEN timer.ref END) AS task
           FROM (SELECT due, kind, ref FROM timer WHERE due <= :now ORDER BY due, kind, ref LIMIT :limit) AS timer
           LEFT JOIN work ON work.id = timer.ref
           LEFT JOIN approval ON approval.id = timer.ref)
         UNION ALL
        (SELECT start_due, 'start', work, task FROM ready WHERE start_due <= :now ORDER BY start_due, work LIMIT :limit)
         UNION ALL
        SELECT times.due, times.kind, first.work, first.task
          FROM (SELECT work, task, greatest(expires_at, expire_put_off) AS expires,
                       greatest(ends_at, end_put_off) AS ends
                  FROM lease
                 WHERE NOT cancelled
                   AND least(greatest(expires_at, expire_put_off), greatest(ends_at, end_put_off)) <= :now
                 ORDER BY least(greatest(expires_at, expire_put_off), greatest(ends_at, end_put_off))
                 LIMIT :limit) AS first
         CROSS JOIN LATERAL (VALUES (first.expires, 'lease'), (first.ends, 'ends')) AS times (due, kind)
         WHERE times.due <= :now
       ) AS timers
 ORDER BY due, kind, ref
 LIMIT :limit;

-- name: forget_put_off
-- Timers of leases follow from their leases again.
UPDATE lease
   SET expire_put_off = NULL, end_put_off = NULL
 WHERE expire_put_off IS NOT NULL OR end_put_off IS NOT NULL;

-- name: insert_outbox
-- Part of the last statement of a transaction, so that its number is later than those of all that the transaction has
-- seen, and has waited for: `written` stands for the number of rows that it writes otherwise.
INSERT INTO outbox (body, counts, sealed) SELECT :body, :counts, :sealed WHERE :written >= 0
RETURNING CAST(pg_current_xact_id() AS text) AS xid;

-- name: erased_keys
-- How many data keys were erased until now.
SELECT count(*) FROM erased_key;

-- name: newest_outbox
-- The newest row that waits for the sequencer.
SELECT max(id) FROM outbox;

-- name: outbox_waits
-- Whether a row up to a number still waits.
SELECT EXISTS (SELECT 1 FROM outbox WHERE id <= :id);

-- name: outbox_rows
-- How many rows wait, or a few more: between the first and the last, some may have been rolled back.
SELECT coalesce(max(id) - min(id) + 1, 0) FROM outbox;

-- name: outbox_numbers
-- The last number that a row of the outbox got.
SELECT coalesce(pg_sequence_last_value(CAST(pg_get_serial_sequence('outbox', 'id') AS regclass)), 0);

-- name: first_outbox
-- The first rows, in order; and a time before which everything that was committed is among them or was before.
SELECT id, body, CAST(extract(epoch FROM statement_timestamp()) * 1000000 AS bigint) AS until, sealed
  FROM outbox
 ORDER BY id
 LIMIT :limit;

-- name: outcome
-- Whether a transaction has committed: committed, aborted, in progress; NULL if it was too long ago.
SELECT pg_xact_status(CAST(CAST(:xid AS text) AS xid8));

-- name: others_alive
-- How many other servers have this database open: each keeps a lock as long as its connection lives.
SELECT count(*)
  FROM pg_locks
 WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted AND pid <> :pid
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND (CAST(classid AS bigint) << 32) | CAST(objid AS bigint) = hashtextextended('swarmkeeper/server', 0);

-- name: end_frozen_sequencer
-- Ends the connection of a sequencer that has left a row of the outbox alone for too long: its process is stopped.
SELECT pg_terminate_backend(pid)
  FROM pg_locks
 WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND (CAST(classid AS bigint) << 32) | CAST(objid AS bigint) = hashtextextended('swarmkeeper/sequencer', 0)
   AND EXISTS (SELECT 1 FROM outbox
                WHERE at < CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) - :microseconds);

-- name: own_key
-- A secret of the store itself, or what follows from one that it does not keep.
SELECT secret FROM meta WHERE key = :key;

-- name: tell_presence
-- When this server has heard bots.
INSERT INTO presence (bot, seen_at, asked_at, told_at)
SELECT value ->> 0, CAST(value ->> 1 AS bigint), CAST(value ->> 2 AS bigint),
       CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)
  FROM {pairs :heard} AS heard (value)
    ON CONFLICT (bot) DO UPDATE
   SET seen_at = greatest(presence.seen_at, excluded.seen_at),
       asked_at = greatest(presence.asked_at, excluded.asked_at),
       told_at = excluded.told_at;

-- name: presence_told
-- What servers have told within so many microseconds.
SELECT bot, seen_at, asked_at
  FROM presence
 WHERE told_at > CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) - CAST(:microseconds AS bigint);

-- name: locks_and_durability
-- How many locks all transactions together may hold; and which settings are off without which a crash loses commits.
SELECT CAST(current_setting('max_locks_per_transaction') AS bigint) * CAST(current_setting('max_connections') AS bigint),
       (SELECT coalesce(string_agg(value || ' = off', ', '), '')
          FROM json_array_elements_text('["fsync", "full_page_writes"]')
         WHERE current_setting(value) = 'off');

-- name: tell_server
-- That this server lives.
INSERT INTO server (id, version, rules, known, flow, told_at)
VALUES (:id, :version, :rules, :known, :flow, CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint))
    ON CONFLICT (id) DO UPDATE
   SET version = excluded.version, rules = excluded.rules, known = excluded.known, flow = excluded.flow,
       told_at = excluded.told_at;

-- name: servers_told
-- The servers that have told within so many microseconds.
SELECT id, version, rules, known, flow
  FROM server
 WHERE told_at > CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) - CAST(:microseconds AS bigint)
 ORDER BY id;

-- name: forget_server
-- It has ended.
DELETE FROM server WHERE id = :id;

-- name: forget_servers
-- Those that have ended, or will tell again.
DELETE FROM server
 WHERE id IN (SELECT id
                FROM server
               WHERE told_at <= CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)
                                - CAST(:microseconds AS bigint)
                 FOR UPDATE SKIP LOCKED);

-- name: forget_presence
-- Nobody needs what was told longer ago: the bot's row has its time by then.
DELETE FROM presence
 WHERE told_at < CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) - CAST(:microseconds AS bigint);

-- name: outbox_bodies
-- All that waits.
SELECT body FROM outbox ORDER BY id;

-- ---- counts and sums that are wrong (derived/in_postgres.py) -----------------------------------------------------------
-- What is to be added to each so that it is right, in the order of their keys: what the rows say, less what is kept, less
-- what waits in the outbox. Of these weeks of these tenants: from :week of :tenant until before :past_week of :past_tenant.
-- A row that is kept with nothing is among them: it is to be removed.

-- name: rebuild_until
-- The week in which so many tasks are passed; no row if there are not so many.
SELECT tenant, created_at / 604800000000 AS week
  FROM task
 WHERE (tenant, created_at) >= (:tenant, :first)
 ORDER BY tenant, created_at, id
OFFSET CAST(:passed AS bigint)
 LIMIT 1;

-- name: rebuild_rows
-- How many tasks there are, as the planner estimates it.
SELECT greatest(0, CAST(reltuples AS bigint)) FROM pg_class WHERE oid = CAST('task' AS regclass);

-- name: rebuild_wrong_task_counts
SELECT tenant, party, week, status, outcome, CAST(sum(number) AS bigint) AS number
  FROM (SELECT tenant, coalesce(party, '') AS party, created_at / 604800000000 AS week, status,
               coalesce(outcome, '') AS outcome, count(*) AS number
          FROM task
         WHERE (tenant, created_at) >= (:tenant, :first) AND (tenant, created_at) < (:past_tenant, :past)
         GROUP BY tenant, coalesce(party, ''), created_at / 604800000000, status, coalesce(outcome, '')
         UNION ALL
        SELECT tenant, party, week, status, outcome, -number
          FROM task_count
         WHERE (tenant, week) >= (:tenant, :week) AND (tenant, week) < (:past_tenant, :past_week)
         UNION ALL
        SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS bigint), value ->> 3, value ->> 4,
               -CAST(value ->> 5 AS bigint)
          FROM {pairs :waiting} AS waits (value)
       ) AS said
 GROUP BY tenant, party, week, status, outcome
HAVING sum(number) <> 0 OR bool_or(number = 0)
 ORDER BY tenant, party, week, status, outcome;

-- name: rebuild_wrong_label_counts
SELECT tenant, key, value, party, week, CAST(sum(number) AS bigint) AS number
  FROM (SELECT task.tenant, has.key, has.value, coalesce(task.party, '') AS party,
               task.created_at / 604800000000 AS week, 1 AS number
          FROM task, {members task.labels} AS has
         WHERE (task.tenant, task.created_at) >= (:tenant, :first)
           AND (task.tenant, task.created_at) < (:past_tenant, :past)
         UNION ALL
        SELECT tenant, key, value, party, week, -number
          FROM label_count
         WHERE (tenant, week) >= (:tenant, :week) AND (tenant, week) < (:past_tenant, :past_week)
         UNION ALL
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, CAST(value ->> 4 AS bigint),
               -CAST(value ->> 5 AS bigint)
          FROM {pairs :waiting} AS waits (value)
       ) AS said
 GROUP BY tenant, key, value, party, week
HAVING sum(number) <> 0 OR bool_or(number = 0)
 ORDER BY tenant, key, value, party, week;

-- name: rebuild_wrong_costs
-- Those of erased attempts follow from nothing any more: they stay. An attempt counts once for the day and the bot, and
-- once for each skill and each label, with at most as much as core/tallies/records.py allows.
WITH used AS MATERIALIZED (
    SELECT task.tenant, coalesce(task.party, '') AS party, task.created_at / 604800000000 AS week, task.labels,
           queue.skills, attempt.ended / 86400000000 AS day, attempt.bot,
           least(coalesce(CAST({json attempt.usage} ->> 'cost_micro_usd' AS bigint), 0), 1099511627776) AS cost_micro_usd,
           least(coalesce(CAST({json attempt.usage} ->> 'tokens' AS bigint), 0), 1099511627776) AS tokens,
           least(coalesce(CAST({json attempt.usage} ->> 'unpriced_tokens' AS bigint), 0), 1099511627776) AS unpriced_tokens
      FROM task
      JOIN attempt ON attempt.task = task.id
      JOIN work ON work.id = attempt.work
      JOIN queue ON queue.id = work.queue
     WHERE (task.tenant, task.created_at) >= (:tenant, :first)
       AND (task.tenant, task.created_at) < (:past_tenant, :past)
       AND attempt.usage IS NOT NULL
)
SELECT tenant, part, day, name, party, week, CAST(sum(cost_micro_usd) AS bigint), CAST(sum(tokens) AS bigint),
       CAST(sum(unpriced_tokens) AS bigint), CAST(sum(attempts) AS bigint)
  FROM (SELECT tenant, 'day' AS part, day, '' AS name, party, week, cost_micro_usd, tokens, unpriced_tokens,
               1 AS attempts
          FROM used
         UNION ALL
        SELECT tenant, 'bot', day, bot, party, week, cost_micro_usd, tokens, unpriced_tokens, 1 FROM used
         UNION ALL
        SELECT tenant, 'skill', day, skill.value, party, week, cost_micro_usd, tokens, unpriced_tokens, 1
          FROM used, {each used.skills} AS skill
         UNION ALL
        SELECT tenant, 'label', day, has.key || ':' || has.value, party, week, cost_micro_usd, tokens, unpriced_tokens, 1
          FROM used, {members used.labels} AS has
         UNION ALL
        SELECT tenant, part, day, name, party, week, -cost_micro_usd, -tokens, -unpriced_tokens, -attempts
          FROM cost
         WHERE (tenant, week) >= (:tenant, :week) AND (tenant, week) < (:past_tenant, :past_week) AND part <> 'erased'
         UNION ALL
        SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS bigint), value ->> 3, value ->> 4,
               CAST(value ->> 5 AS bigint), -CAST(value ->> 6 AS bigint), -CAST(value ->> 7 AS bigint),
               -CAST(value ->> 8 AS bigint), -CAST(value ->> 9 AS bigint)
          FROM {pairs :waiting} AS waits (value)
         WHERE value ->> 1 <> 'erased'
       ) AS said
 GROUP BY tenant, part, day, name, party, week
HAVING sum(cost_micro_usd) <> 0 OR sum(tokens) <> 0 OR sum(unpriced_tokens) <> 0 OR sum(attempts) <> 0
    OR bool_or(attempts = 0)
 ORDER BY tenant, part, day, name, party, week;

-- name: rebuild_wrong_listed
-- Labels and marks that their tasks do not have.
SELECT has.tenant, has.label, has.created_at, has.task
  FROM task_label AS has
 WHERE NOT EXISTS (SELECT 1
                     FROM label_of_task AS said
                    WHERE said.task = has.task AND said.label = has.label AND said.created_at = has.created_at
                      AND said.tenant = has.tenant);

-- name: rebuild_last_span
-- The last one of the next so many; no row if there is none.
SELECT tenant, part, days, first, name
  FROM (SELECT tenant, part, days, first, name
          FROM cost_span
         WHERE (tenant, part, days, first, name) > (:tenant, :part, :days, :first, :name)
         ORDER BY tenant, part, days, first, name
         LIMIT :n) AS following
 ORDER BY tenant DESC, part DESC, days DESC, first DESC, name DESC
 LIMIT 1;

-- name: rebuild_forget_spans_until
-- Those that follow one, until another.
DELETE FROM cost_span
 WHERE (tenant, part, days, first, name) > (:tenant, :part, :days, :first, :name)
   AND (tenant, part, days, first, name) <= (:last_tenant, :last_part, :last_days, :last_first, :last_name);
