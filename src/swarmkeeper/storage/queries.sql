-- Loads and saves of the engine. See statements.py for {task.*}.
-- States are parameters. Every order is by a unique key.
-- `:keys` is a JSON list: one statement for all keys of a batch.

-- ---- records by key ------------------------------------------------------------------------------------------------

-- name: load_task
-- Rows for the keys that exist, as with every `load_…`.
SELECT {task.*} FROM {each :keys} AS wanted CROSS JOIN task ON task.id = wanted.value;

-- name: load_work
-- Work items by id.
SELECT {work.*} FROM {each :keys} AS wanted CROSS JOIN work ON work.id = wanted.value;

-- name: load_lease
-- Leases by work id.
SELECT {lease.*} FROM {each :keys} AS wanted CROSS JOIN lease ON lease.work = wanted.value;

-- name: load_attempt
-- Ended attempts by lease id.
SELECT {attempt.*} FROM {each :keys} AS wanted CROSS JOIN attempt ON attempt.lease_id = wanted.value;

-- name: load_bot
-- Bots by id.
SELECT {bot.*} FROM {each :keys} AS wanted CROSS JOIN bot ON bot.id = wanted.value;

-- name: load_key
-- API keys by the record's id.
SELECT {api_key.*} FROM {each :keys} AS wanted CROSS JOIN api_key ON api_key.id = wanted.value;

-- name: load_approval
-- Approvals by id.
SELECT {approval.*} FROM {each :keys} AS wanted CROSS JOIN approval ON approval.id = wanted.value;

-- name: tenants_of_tasks
-- By task.
SELECT task.id, task.tenant FROM {each :keys} AS wanted CROSS JOIN task ON task.id = wanted.value;

-- name: any_data_key
-- Whether bodies are encrypted.
SELECT EXISTS (SELECT 1 FROM data_key);

-- name: all_data_keys
-- All of them, the oldest first: of a tenant, the last one is used.
SELECT id, tenant, key_id, nonce, wrapped FROM data_key ORDER BY created_at, id;

-- name: load_payload
-- Payloads by id.
SELECT payload.id, payload.body FROM {each :keys} AS wanted CROSS JOIN payload ON payload.id = wanted.value;

-- name: load_light_payload
-- Payloads by id, up to a size in bytes.
SELECT payload.id, payload.body
  FROM {each :keys} AS wanted CROSS JOIN payload ON payload.id = wanted.value AND {size payload} <= :bytes;

-- name: load_tree
-- Heads of audit trees by tenant.
SELECT {audit_tree.*} FROM {each :keys} AS wanted CROSS JOIN audit_tree ON audit_tree.tenant = wanted.value;

-- name: load_tenant
-- Tenants' limits and usage.
{own};

-- name: load_idempotency
-- One idempotency key, expired or not: the engine checks its time.
SELECT {idempotency.*} FROM idempotency WHERE tenant = :tenant AND key = :key;

-- ---- relations -----------------------------------------------------------------------------------------------------

-- name: works_by_key
-- Work items by pairs of task and key.
SELECT work.task, work.key, work.id
  FROM {pairs :keys} AS wanted
 CROSS JOIN work ON work.task = wanted.value ->> 0 AND work.key = wanted.value ->> 1;

-- name: load_lease_id
-- Live leases by id, with their work item and task, and whether the task has open jobs: what every report needs.
SELECT {lease.*}, {work.*}, {task.*}, EXISTS (SELECT 1 FROM chore WHERE chore.task = lease.task)
  FROM {each :keys} AS wanted
 CROSS JOIN lease ON lease.lease_id = wanted.value
 CROSS JOIN work ON work.id = lease.work
 CROSS JOIN task ON task.id = lease.task;

-- name: works_of_claims
-- Items that claims (bot, claim id) got and still lease, in the order they got them.
SELECT lease.bot, lease.claim_id, lease.work
  FROM {pairs :keys} AS wanted
 CROSS JOIN lease ON lease.bot = wanted.value ->> 0 AND lease.claim_id = wanted.value ->> 1
 ORDER BY lease.{seq};

-- name: works_of_bot
-- Items that a bot leases, with their tasks.
SELECT work, task FROM lease WHERE bot = :bot ORDER BY work;

-- name: leases_held
-- Number of leases per bot, including those in their grace period: they use capacity until they end.
SELECT lease.bot, count(*) FROM {each :keys} AS wanted CROSS JOIN lease ON lease.bot = wanted.value
 GROUP BY lease.bot;

-- name: works_of_bot_on_task
-- Items of one task that a bot leases.
SELECT work FROM lease WHERE bot = :bot AND task = :task ORDER BY work;

-- name: ended_of_bot_on_task
-- Number of ended attempts of a bot on one task.
SELECT count(*) FROM attempt WHERE task = :task AND bot = :bot;

-- name: edges_from
-- A page of an item's outgoing edges.
SELECT {edge.*} FROM edge WHERE parent = :work AND child > :after ORDER BY child LIMIT :n;

-- name: edges_from_each
-- The first page of each item's outgoing edges, with the items they lead to.
SELECT {edge.*}, {work.*}
  FROM {each :keys} AS wanted
 CROSS JOIN edge
    ON edge.parent = wanted.value
   AND edge.child <= coalesce(
           (SELECT child FROM edge WHERE parent = wanted.value ORDER BY child LIMIT 1 OFFSET :n - 1), '~'
       )
 CROSS JOIN work ON work.id = edge.child
 ORDER BY edge.parent, edge.child;

-- name: edges_into_each
-- All incoming edges of each item.
SELECT {edge.*}
  FROM {each :keys} AS wanted
 CROSS JOIN edge ON edge.child = wanted.value
 ORDER BY edge.child, edge.parent;

-- name: edges_of_task
-- The whole graph of a task.
SELECT {edge.*}
  FROM work CROSS JOIN edge ON edge.parent = work.id
 WHERE work.task = :task
 ORDER BY edge.parent, edge.child;

-- name: works_of_task
-- A task's items of one kind.
SELECT id FROM work WHERE task = :task AND kind = :kind ORDER BY id;

-- name: works_of_plan
-- A task's items of one kind, in plan order.
SELECT id FROM work WHERE task = :task AND kind = :kind ORDER BY seq;

-- name: works_open
-- A page of a task's items whose state is not in a JSON list.
SELECT id FROM work
 WHERE task = :task AND id > :after AND status NOT IN (SELECT value FROM {each :final})
 ORDER BY id LIMIT :n;

-- name: works_in
-- A page of a task's items in one state.
SELECT id FROM work WHERE task = :task AND id > :after AND status = :status ORDER BY id LIMIT :n;

-- name: bot_by_name
-- The bot with a name and instance.
SELECT id FROM bot WHERE tenant = :tenant AND name = :name AND instance = :instance;

-- name: bots_of_key
-- Bots that registered with a key.
SELECT id FROM bot WHERE key_id = :key ORDER BY id;

-- name: bots_called
-- Whether a tenant has a bot with an id or name.
SELECT id FROM bot WHERE tenant = :tenant AND (id = :called OR name = :called) LIMIT 1;

-- name: works_of_speaker
-- Items of one task leased by the bots of a key, or by the bots of its name if it is bound to one.
SELECT lease.work
  FROM bot CROSS JOIN lease ON lease.bot = bot.id AND lease.task = :task
 WHERE bot.tenant = :tenant AND (bot.name = :name OR (:name IS NULL AND bot.key_id = :key))
 ORDER BY lease.work;

-- name: messages_of_task
-- Number of messages of a task.
SELECT count(*) FROM message WHERE task = :task;

-- name: keys_of_bot
-- Keys bound to a bot's name and not revoked.
SELECT id
  FROM api_key
 WHERE tenant = :tenant AND bot = :bot AND revoked_at IS NULL
   AND NOT EXISTS (SELECT 1 FROM person WHERE person.id = api_key.person AND person.disabled_at IS NOT NULL)
 ORDER BY id;

-- name: approvals_of_task
-- Approvals of a task in one state.
SELECT id FROM approval WHERE task = :task AND state = :state ORDER BY id;

-- name: chores_of_tasks
-- Open background jobs, in order of creation.
SELECT {chore.*} FROM {each :keys} AS wanted CROSS JOIN chore ON chore.task = wanted.value ORDER BY chore.seq;

-- name: late_of_work
-- Late results stored for an item.
SELECT lease_id, content_hash FROM late_result WHERE work = :work ORDER BY at, lease_id, content_hash;

-- ---- pending work --------------------------------------------------------------------------------------------------

-- name: ready_levels
-- For each queue: since when the tenant's oldest item waits at priority 0, 1, … 9, or NULL. One seek for each, however
-- many wait; written out, this takes a quarter of the time of a join.
SELECT wanted.value,
       (SELECT min(since) FROM ready WHERE queue = wanted.value AND tenant = :tenant AND priority = 0),
       (SELECT min(since) FROM ready WHERE queue = wanted.value AND tenant = :tenant AND priority = 1),
       (SELECT min(since) FROM ready WHERE queue = wanted.value AND tenant = :tenant AND priority = 2),
       (SELECT min(since) FROM ready WHERE queue = wanted.value AND tenant = :tenant AND priority = 3),
       (SELECT min(since) FROM ready WHERE queue = wanted.value AND tenant = :tenant AND priority = 4),
       (SELECT min(since) FROM ready WHERE queue = wanted.value AND tenant = :tenant AND priority = 5),
       (SELECT min(since) FROM ready WHERE queue = wanted.value AND tenant = :tenant AND priority = 6),
       (SELECT min(since) FROM ready WHERE queue = wanted.value AND tenant = :tenant AND priority = 7),
       (SELECT min(since) FROM ready WHERE queue = wanted.value AND tenant = :tenant AND priority = 8),
       (SELECT min(since) FROM ready WHERE queue = wanted.value AND tenant = :tenant AND priority = 9)
  FROM {numbers :queues} AS wanted;

-- name: ready_heads
-- Items of a queue and priority after a position, in order.
SELECT {ready.*}
  FROM ready
 WHERE queue = :queue AND tenant = :tenant AND priority = :priority {free ready.task}
   AND (place, work) > (:place, :work)
 ORDER BY place, work
 LIMIT :limit{locked};

-- name: ready_by_age
-- Items of a queue and priority, longest waiting first.
SELECT {ready.*}
  FROM ready
 WHERE queue = :queue AND tenant = :tenant AND priority = :priority {free ready.task}
   AND (since, work) > (:place, :work)
 ORDER BY since, work
 LIMIT :limit{locked};

-- name: ready_heads_for
-- As ready_heads, without items that exclude an owner.
SELECT {ready.*}
  FROM ready
 WHERE queue = :queue AND tenant = :tenant AND priority = :priority {free ready.task}
   AND (place, work) > (:place, :work)
   AND (excluded IS NULL OR NOT EXISTS (SELECT 1 FROM {each ready.excluded} WHERE value = :owner))
 ORDER BY place, work
 LIMIT :limit{locked};

-- name: timers_due
-- Timers due by now, earliest first; without those of leases and queue entries, which have no rows here.
SELECT due, kind, ref FROM timer WHERE due <= :now ORDER BY due, kind, ref LIMIT :limit;

-- name: starts_due
-- Items in their queues whose time to start is over, earliest first, as timers.
SELECT start_due, CAST(:kind AS text), work FROM ready WHERE start_due <= :now ORDER BY start_due, work LIMIT :limit;

-- name: lease_times
-- When each lease expires and ends; a cancelled one has a timer instead.
SELECT work, expires_at, ends_at FROM lease WHERE NOT cancelled;

-- name: chore_tenants
-- Tenants with a background job; one seek for each.
WITH RECURSIVE owner (tenant) AS (
    SELECT min(tenant) FROM chore
     UNION ALL
    SELECT (SELECT min(chore.tenant) FROM chore WHERE chore.tenant > owner.tenant) FROM owner
     WHERE owner.tenant IS NOT NULL
)
SELECT tenant FROM owner WHERE tenant IS NOT NULL ORDER BY tenant;

-- name: chores_next
-- The oldest job of each of a tenant's tasks after a given task, in task order.
SELECT {chore.*}
  FROM chore
 WHERE tenant = :tenant AND task > :after
   AND seq = (SELECT min(older.seq) FROM chore AS older WHERE older.task = chore.task)
 ORDER BY task
 LIMIT :limit;

-- name: chores_first
-- The oldest job of each of a tenant's tasks up to a given task: the start of the next round.
SELECT {chore.*}
  FROM chore
 WHERE tenant = :tenant AND task <= :after
   AND seq = (SELECT min(older.seq) FROM chore AS older WHERE older.task = chore.task)
 ORDER BY task
 LIMIT :limit;

-- name: queue_by_id
-- What an id means.
SELECT {queue.*} FROM queue WHERE id = :id;

-- name: purge_idempotency
-- Up to a number of expired keys, oldest first.
{own};

-- ---- starting ---------------------------------------------------------------------------------------------------------

-- name: meta
-- A fact about the store itself.
SELECT value FROM meta WHERE key = :key;

-- name: all_queues
-- All queues ever created.
SELECT {queue.*} FROM queue ORDER BY id;

-- name: queues_waiting
-- Queues that have items. One seek for each queue.
SELECT id FROM queue WHERE EXISTS (SELECT 1 FROM ready WHERE ready.queue = queue.id) ORDER BY id;

-- name: next_due
-- Time of the next timer, of whatever kind.
SELECT min(due)
  FROM (SELECT min(due) AS due FROM timer
         UNION ALL
        SELECT min(start_due) FROM ready
         UNION ALL
        SELECT min({least}(expires_at, ends_at)) FROM lease WHERE NOT cancelled) AS times;

-- name: any_chore
-- Whether there is any background job.
SELECT EXISTS (SELECT 1 FROM chore);

-- name: grace_leases
-- Raises each lease's expiry to at least half its TTL from now. Idempotent.
UPDATE lease
   SET expires_at = {greatest}(expires_at, :now + ttl / 2), ends_at = {greatest}(ends_at, :now + ttl / 2), version = version + 1
 WHERE expires_at < :now + ttl / 2 OR ends_at < :now + ttl / 2;

-- name: move_leases
-- The clock was set forward: each lease keeps its remaining time.
UPDATE lease SET expires_at = expires_at + :by, ends_at = ends_at + :by, version = version + 1;

-- name: grace_start_items
-- No item's start timeout ends before the floor.
UPDATE work
   SET start_due = :floor, version = version + 1
 WHERE id IN (SELECT work FROM ready WHERE start_due < :floor) AND start_due < :floor;

-- name: grace_ready
-- The same for their queue entries.
UPDATE ready SET start_due = :floor WHERE start_due < :floor;

-- ---- setting the store's time back ---------------------------------------------------------------------------------

-- name: set_back_tasks
-- Positions keep their order, deadlines their remaining time.
UPDATE task SET place = place - :by, deadline = deadline - :by, version = version + 1;

-- name: set_back_task_times
-- A creation time after now came from the wrong clock.
UPDATE task SET created_at = created_at - :by, updated_at = updated_at - :by WHERE created_at > :wall;

-- name: set_back_works
-- Positions keep their order, and timed waits their remaining time.
UPDATE work
   SET place = place - :by, start_due = start_due - :by, wake = wake - :by, version = version + 1;

-- name: set_back_work_times
-- Times of creation and of the current status that came from the wrong clock.
UPDATE work
   SET created_at = CASE WHEN created_at > :wall THEN created_at - :by ELSE created_at END,
       since = CASE WHEN since > :wall THEN since - :by ELSE since END
 WHERE created_at > :wall OR since > :wall;

-- name: set_back_ready
-- Both orders are kept, and the remaining time to start.
UPDATE ready SET place = place - :by, since = since - :by, start_due = start_due - :by;

-- name: set_back_leases
-- Leases keep their remaining time.
UPDATE lease
   SET granted_at = granted_at - :by, expires_at = expires_at - :by, ends_at = ends_at - :by, version = version + 1;

-- name: set_back_timers
-- Future timers come earlier by the same amount.
UPDATE timer SET due = due - :by;

-- name: set_back_approvals
-- Open approvals.
UPDATE approval
   SET expires_at = expires_at - :by, version = version + 1,
       opened_at = CASE WHEN opened_at > :wall THEN opened_at - :by ELSE opened_at END
 WHERE state = 'open';

-- name: set_back_bots
-- Times of bots that came from the wrong clock.
UPDATE bot SET created_at = created_at - :by, last_seen = {least}(last_seen, created_at - :by) WHERE created_at > :wall;

-- name: set_back_feedback
-- Feedback is sent in order of its time.
UPDATE feedback SET at = at - :by WHERE at > :wall;

-- name: set_back_answers
-- Answers, too.
UPDATE answered SET at = at - :by WHERE at > :wall;

-- name: set_back_idempotency
-- Keys keep their remaining time.
UPDATE idempotency SET expires = expires - :by;

-- name: set_back_alive
-- The store's time.
UPDATE meta SET value = value - :by WHERE key = 'alive_at';

-- name: keep_sink
-- Owns a sink and moves its cursor, never back; returns the cursor, or no row if another owner has the sink.
{own};

-- name: move_sink
-- Moves a cursor of a sink forward, never back. Which server owns the sink is no matter: what was sent was sent.
INSERT INTO sink (name, seq, owner, until) VALUES (:name, :seq, '', 0)
    ON CONFLICT (name) DO UPDATE SET seq = {greatest}(sink.seq, excluded.seq);

-- name: insert_audit_hash
-- The root of a full tile. Another server may have stored it already: it is the same.
INSERT INTO audit_hash (tenant, level, place, hash) VALUES (:tenant, :level, :place, :hash) ON CONFLICT DO NOTHING;

-- name: insert_checkpoint
-- A signed checkpoint. Another server may have signed the same one.
INSERT INTO checkpoint (tenant, size, root, at, note) VALUES (:tenant, :size, :root, :at, :note) ON CONFLICT DO NOTHING;

-- name: thin_checkpoints
-- Of each hour, the last one stays.
DELETE FROM checkpoint
 WHERE tenant = :tenant AND size < :size AND at / 3600000000 = CAST(:at AS bigint) / 3600000000;
