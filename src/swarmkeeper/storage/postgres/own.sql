-- What PostgreSQL words in its own way; the shared files say what each statement promises.

-- name: purge_idempotency
DELETE FROM idempotency
 WHERE ctid = ANY (ARRAY (SELECT ctid FROM idempotency WHERE expires < :now ORDER BY expires, tenant, key LIMIT :limit));

-- name: load_tenant
-- With what transactions have counted that the sequencer has not added yet.
SELECT tenant.id, tenant.weight, tenant.max_backlog, greatest(0, tenant.open_tasks + coming.tasks),
       greatest(0, tenant.open_subtasks + coming.subtasks), greatest(0, tenant.stored_bytes + coming.bytes),
       tenant.budget
  FROM {each :keys} AS wanted
  JOIN tenant ON tenant.id = wanted.value
 CROSS JOIN LATERAL (
           SELECT CAST(coalesce(sum(CAST({json counts} -> tenant.id ->> 0 AS bigint)), 0) AS bigint) AS tasks,
                  CAST(coalesce(sum(CAST({json counts} -> tenant.id ->> 1 AS bigint)), 0) AS bigint) AS subtasks,
                  CAST(coalesce(sum(CAST({json counts} -> tenant.id ->> 2 AS bigint)), 0) AS bigint) AS bytes
             FROM outbox
            WHERE counts IS NOT NULL
       ) AS coming;

-- name: load_newest_record
-- One statement: between two, the sequencer could move a row from the outbox to where the other has looked already.
SELECT CASE
       WHEN EXISTS (SELECT 1 FROM outbox WHERE position({bytes :task} IN body) > 0) THEN NULL
       ELSE coalesce((SELECT at FROM audit_leaf WHERE task = :task ORDER BY place DESC LIMIT 1), 0)
       END AS at;

-- name: erase_marks
-- By the places of its rows, each found by its key: the planner may take the marks of a few items for many.
DELETE FROM task_label
 WHERE ctid = ANY (ARRAY (SELECT (SELECT listed.ctid FROM task_label AS listed
                                   WHERE listed.tenant = has.tenant AND listed.label = has.label
                                     AND listed.created_at = has.created_at AND listed.task = has.task)
                            FROM mark_of_item AS has
                           WHERE has.work = ANY (ARRAY (SELECT value FROM {each :works}))));

-- name: drop_cost_span
DELETE FROM cost_span USING cost_length AS length, cost_folded AS folded
 WHERE folded.tenant = :tenant AND cost_span.tenant = :tenant AND cost_span.part = :part
   AND cost_span.days = length.days AND cost_span.first IN (:day / length.days * length.days, folded.past - length.days)
   AND cost_span.name = :name AND cost_span.attempts = 0;

-- name: audit_places_about
SELECT place
  FROM audit_leaf
 WHERE tenant = :tenant AND place IN (SELECT value FROM {numbers :places}) AND position({bytes :said} IN leaf) > 0;

-- name: update_lease
UPDATE lease SET {lease=}, expire_put_off = NULL, end_put_off = NULL WHERE lease.work = :work AND lease.lease_id = :lease_id AND lease.version = :version - 1;

-- name: put_ready
INSERT INTO ready ({ready}, start_due)
VALUES ({:ready}, coalesce(:start_due, (SELECT ready.start_due FROM ready WHERE ready.work = :work)))
    ON CONFLICT (work) DO UPDATE
   SET queue = excluded.queue, tenant = excluded.tenant, priority = excluded.priority, place = excluded.place,
       since = excluded.since, task = excluded.task, excluded = excluded.excluded, start_due = excluded.start_due;

-- name: put_idempotency
-- A key that has not expired is another writer's: the insert fails, and the batch is run again.
INSERT INTO idempotency ({idempotency}) VALUES ({:idempotency})
    ON CONFLICT (tenant, key) DO UPDATE
   SET request_hash = excluded.request_hash, status = excluded.status, resource = excluded.resource,
       expires = excluded.expires;

-- name: put_tree
INSERT INTO audit_tree ({audit_tree}) VALUES ({:audit_tree})
    ON CONFLICT (tenant) DO UPDATE SET size = excluded.size, frontier = excluded.frontier, root = excluded.root;

-- name: count_opened
-- The tenant has a row by then. Never below 0: a count that is wrong must not keep the sequencer from its other work. The
-- doctor compares counts.
UPDATE tenant
   SET open_tasks = greatest(0, open_tasks + :opened), open_subtasks = greatest(0, open_subtasks + :opened_subtasks),
       stored_bytes = greatest(0, stored_bytes + :stored)
 WHERE tenant.id = :id;

-- name: put_meta
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- name: doctor_record_events
SELECT id AS subject FROM audit_leaf GROUP BY id HAVING count(*) > 1
UNION
SELECT leaf.id
  FROM (SELECT id, convert_from(body, 'UTF8') AS body FROM audit_leaf WHERE body IS NOT NULL) AS leaf
  LEFT JOIN (SELECT audit, count(*) AS named FROM event GROUP BY audit) AS counted ON counted.audit = leaf.id
  LEFT JOIN (SELECT audit, sum(events) AS events
               FROM audit_cut
              WHERE EXISTS (SELECT 1 FROM audit_leaf AS told
                             WHERE told.task = audit_cut.task AND told.action = :task_erase)
              GROUP BY audit) AS cut ON cut.audit = leaf.id
 WHERE CASE WHEN leaf.body IS JSON THEN coalesce(json_array_length(CAST(leaf.body AS json) -> 'events'), 0) ELSE -1 END
       <> coalesce(counted.named, 0) + coalesce(cut.events, 0)
 LIMIT :n;

-- name: doctor_clock
SELECT to_char(to_timestamp(value / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS subject
  FROM meta
 WHERE key = 'alive_at' AND value > :latest;

-- name: doctor_damage
SELECT 'pages with a wrong checksum: ' || checksum_failures AS subject
  FROM pg_stat_database
 WHERE datname = current_database() AND checksum_failures > 0
 LIMIT :n;

-- name: doctor_records
SELECT seq AS place, id AS subject, leaf AS head, body FROM audit_leaf WHERE seq > :place ORDER BY seq LIMIT :n;

-- name: open_upstream
SELECT wanted.value AS child,
       (SELECT coalesce(json_agg(before.key), '[]')
          FROM (SELECT parent.key
                  FROM edge JOIN work AS parent ON parent.id = edge.parent
                 WHERE edge.child = wanted.value AND parent.status IN (SELECT value FROM {each :statuses})
                 ORDER BY edge.parent
                 LIMIT :limit) AS before) AS keys
  FROM {each :works} AS wanted;

-- name: size_of_tables
-- The number of rows is the planner's estimate.
SELECT relname AS "table", pg_total_relation_size(oid) AS bytes, CAST(0 AS bigint) AS spare,
       greatest(0, CAST(reltuples AS bigint)) AS "rows"
  FROM pg_class
 WHERE relnamespace = CAST(current_schema() AS regnamespace) AND relkind = 'r'
 ORDER BY bytes DESC, "table";

-- name: size_of_free
SELECT CAST(0 AS bigint) AS bytes;

-- name: events_wait
SELECT greatest(0, coalesce(CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) - min(at), 0)) AS microseconds
  FROM outbox;

-- name: erase_payloads
DELETE FROM payload
 WHERE ctid = ANY (ARRAY (
           SELECT found.ctid
             FROM {each :works} AS wanted
            CROSS JOIN LATERAL (SELECT ctid FROM payload WHERE id > wanted.value || '/' AND id < wanted.value || '0' OFFSET 0) AS found
       ))
RETURNING id;

-- name: keep_sink
INSERT INTO sink (name, seq, owner, until)
VALUES (:name, :seq, :owner, CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) + CAST(:lasts AS bigint))
    ON CONFLICT (name) DO UPDATE
   SET seq = greatest(sink.seq, excluded.seq), owner = excluded.owner, until = excluded.until
 WHERE sink.owner = excluded.owner
    OR sink.until <= CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)
RETURNING seq;

-- part: found_words
-- Tasks of all tenants with these words, from the index of words. The database cannot tell how many have a word that
-- begins so, and would rather look at all tasks; nothing else in this query lets it. With a word that begins so, the index
-- puts together all titles that have one: so it is asked for rare words alone, and the few that it finds are looked at.
SELECT few.id, few.tenant, few.created_at
  FROM (SELECT task.id, task.tenant, task.created_at, task.title
          FROM task
         WHERE title_words(task.title) @@ to_tsquery('simple', :rare)
        OFFSET 0) AS few
 WHERE CAST(:rare AS text) = :query OR title_words(few.title) @@ to_tsquery('simple', :query)

-- name: rare_words
SELECT wanted.value AS word
  FROM {each :words} AS wanted
 WHERE NOT EXISTS (SELECT 1
                     FROM (SELECT task.title FROM task WHERE task.tenant = :tenant
                            ORDER BY task.created_at DESC, task.id DESC
                            LIMIT 200) AS near
                    WHERE strpos(lower(near.title COLLATE "default"), lower(wanted.value COLLATE "default")) > 0);

-- part: has_words
-- Whether a title has these words. Most have not: what costs less is asked first.
strpos(lower(task.title COLLATE "default"), lower(CAST(:hint AS text) COLLATE "default")) > 0
         AND strpos(lower(task.title COLLATE "default"), lower(CAST(:other AS text) COLLATE "default")) > 0
         AND title_words(task.title) @@ to_tsquery('simple', :query)

-- part: near_newest
SELECT task.*
      FROM task
     WHERE task.tenant = :tenant
       AND (task.created_at, task.id) < (:high_at, :high_id) AND (task.created_at, task.id) >= (:low_at, :low_id)
     ORDER BY task.created_at DESC, task.id DESC
     LIMIT CAST(:near AS bigint)

-- name: worded_tasks_newest
-- Either the few that the index of words finds, or those among so many near ones, one after the other.
WITH found AS MATERIALIZED ({part found_words}), near AS MATERIALIZED (
    {part near_newest}
)
SELECT *
  FROM ((
{part shown}
          FROM found CROSS JOIN task ON task.id = found.id
         WHERE CAST(:near AS bigint) = 0 AND found.tenant = :tenant
           AND (found.created_at, found.id) < (:high_at, :high_id) AND (found.created_at, found.id) >= (:low_at, :low_id)
{part wanted}
         ORDER BY task.created_at DESC, task.id DESC
         LIMIT :limit
       ) UNION ALL (
{part shown}
          FROM near AS task
         WHERE {part has_words}
{part wanted}
         LIMIT :limit
       )) AS page
 ORDER BY created_at DESC, id DESC;

-- name: worded_tasks_newest_until
-- Words that some of the near tasks have, or many of all, are looked for in the near ones alone.
WITH near AS MATERIALIZED (
    SELECT task.id, task.title, task.created_at
      FROM task
     WHERE task.tenant = :tenant
       AND (task.created_at, task.id) < (:high_at, :high_id) AND (task.created_at, task.id) >= (:low_at, :low_id)
     ORDER BY task.created_at DESC, task.id DESC
     LIMIT CAST(:passed AS bigint) + 1
)
SELECT last.created_at AS at, last.id
  FROM (SELECT near.created_at, near.id FROM near OFFSET :passed) AS last
 WHERE (SELECT count(*) FROM near
         WHERE strpos(lower(near.title COLLATE "default"), lower(CAST(:hint AS text) COLLATE "default")) > 0
           AND strpos(lower(near.title COLLATE "default"), lower(CAST(:other AS text) COLLATE "default")) > 0) >= 25
    OR (SELECT count(*) FROM ({part found_words} LIMIT 1500) AS first) = 1500;

-- part: near_oldest
SELECT task.*
      FROM task
     WHERE task.tenant = :tenant
       AND (task.created_at, task.id) > (:low_at, :low_id) AND (task.created_at, task.id) <= (:high_at, :high_id)
     ORDER BY task.created_at, task.id
     LIMIT CAST(:near AS bigint)

-- name: worded_tasks_oldest
WITH found AS MATERIALIZED ({part found_words}), near AS MATERIALIZED (
    {part near_oldest}
)
SELECT *
  FROM ((
{part shown}
          FROM found CROSS JOIN task ON task.id = found.id
         WHERE CAST(:near AS bigint) = 0 AND found.tenant = :tenant
           AND (found.created_at, found.id) > (:low_at, :low_id) AND (found.created_at, found.id) <= (:high_at, :high_id)
{part wanted}
         ORDER BY task.created_at, task.id
         LIMIT :limit
       ) UNION ALL (
{part shown}
          FROM near AS task
         WHERE {part has_words}
{part wanted}
         LIMIT :limit
       )) AS page
 ORDER BY created_at, id;

-- name: worded_tasks_oldest_until
WITH near AS MATERIALIZED (
    SELECT task.id, task.title, task.created_at
      FROM task
     WHERE task.tenant = :tenant
       AND (task.created_at, task.id) > (:low_at, :low_id) AND (task.created_at, task.id) <= (:high_at, :high_id)
     ORDER BY task.created_at, task.id
     LIMIT CAST(:passed AS bigint) + 1
)
SELECT last.created_at AS at, last.id
  FROM (SELECT near.created_at, near.id FROM near OFFSET :passed) AS last
 WHERE (SELECT count(*) FROM near
         WHERE strpos(lower(near.title COLLATE "default"), lower(CAST(:hint AS text) COLLATE "default")) > 0
           AND strpos(lower(near.title COLLATE "default"), lower(CAST(:other AS text) COLLATE "default")) > 0) >= 25
    OR (SELECT count(*) FROM ({part found_words} LIMIT 1500) AS first) = 1500;

-- name: worded_tasks_counted
WITH found AS MATERIALIZED ({part found_words}), near AS MATERIALIZED (
    {part near_newest}
)
SELECT CAST(sum(number) AS bigint) AS number
  FROM (SELECT count(*) AS number
          FROM found CROSS JOIN task ON task.id = found.id
         WHERE CAST(:near AS bigint) = 0 AND found.tenant = :tenant
           AND (found.created_at, found.id) < (:high_at, :high_id) AND (found.created_at, found.id) >= (:low_at, :low_id)
{part wanted}
         UNION ALL
        SELECT count(*)
          FROM near AS task
         WHERE {part has_words}
{part wanted}
       ) AS counted;

-- name: doctor_words
-- The database keeps this index itself.
SELECT '' AS subject WHERE CAST(:n AS bigint) < 0;

-- name: rebuild_labels
-- By an array: a set of tasks would be looked for in the labels of all tasks.
INSERT INTO task_label (tenant, label, created_at, task)
SELECT tenant, label, created_at, task FROM label_of_task WHERE task = ANY (ARRAY (SELECT value FROM {each :ids}))
    ON CONFLICT DO NOTHING;
