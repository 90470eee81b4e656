-- What the engine loads and saves. One name and one comment about the promise each; see statements.py for {task.*}.
-- Words of life cycles arrive as parameters. Every order is by a unique key.
-- `:keys` is a JSON list: one statement for all that a batch names.

-- ---- one kind of record by its key ---------------------------------------------------------------------------------

-- name: load_task
-- Those of the keys that there are; so in all the `load_…`.
SELECT {task.*} FROM json_each(:keys) AS wanted CROSS JOIN task ON task.id = wanted.value;

-- name: load_work
-- Work items by id.
SELECT {work.*} FROM json_each(:keys) AS wanted CROSS JOIN work ON work.id = wanted.value;

-- name: load_lease
-- Leases by work id.
SELECT {lease.*} FROM json_each(:keys) AS wanted CROSS JOIN lease ON lease.work = wanted.value;

-- name: load_attempt
-- Ended attempts by lease id.
SELECT {attempt.*} FROM json_each(:keys) AS wanted CROSS JOIN attempt ON attempt.lease_id = wanted.value;

-- name: load_bot
-- Bots by id.
SELECT {bot.*} FROM json_each(:keys) AS wanted CROSS JOIN bot ON bot.id = wanted.value;

-- name: load_key
-- API keys by the record's id.
SELECT {api_key.*} FROM json_each(:keys) AS wanted CROSS JOIN api_key ON api_key.id = wanted.value;

-- name: load_approval
-- Approvals by id.
SELECT {approval.*} FROM json_each(:keys) AS wanted CROSS JOIN approval ON approval.id = wanted.value;

-- name: load_payload
-- Payloads by id.
SELECT {payload.*} FROM json_each(:keys) AS wanted CROSS JOIN payload ON payload.id = wanted.value;

-- name: load_tree
-- Heads of audit trees by tenant.
SELECT {audit_tree.*} FROM json_each(:keys) AS wanted CROSS JOIN audit_tree ON audit_tree.tenant = wanted.value;

-- name: load_tenant
-- What tenants may have, and how much of it they do.
SELECT tenant.id, tenant.weight, tenant.max_backlog, tenant.open_tasks, tenant.open_subtasks, tenant.stored_bytes
  FROM json_each(:keys) AS wanted CROSS JOIN tenant ON tenant.id = wanted.value;

-- name: load_idempotency
-- One idempotency key, expired or not: the rules look at its time.
SELECT {idempotency.*} FROM idempotency WHERE tenant = :tenant AND key = :key;

-- ---- what belongs to what ------------------------------------------------------------------------------------------

-- name: works_by_key
-- The items that pairs of task and key name.
SELECT work.task, work.key, work.id
  FROM json_each(:keys) AS wanted
 CROSS JOIN work ON work.task = wanted.value ->> 0 AND work.key = wanted.value ->> 1;

-- name: load_lease_id
-- Live leases by their ids, what they are on, and whether that task has open chores: what every report looks at.
SELECT {lease.*}, {work.*}, {task.*}, EXISTS (SELECT 1 FROM chore WHERE chore.task = lease.task)
  FROM json_each(:keys) AS wanted
 CROSS JOIN lease ON lease.lease_id = wanted.value
 CROSS JOIN work ON work.id = lease.work
 CROSS JOIN task ON task.id = lease.task;

-- name: works_of_claims
-- Items that claims (bot, claim id) got and that are still under their leases, in the order in which they got them.
SELECT lease.bot, lease.claim_id, lease.work
  FROM json_each(:keys) AS wanted
 CROSS JOIN lease ON lease.bot = wanted.value ->> 0 AND lease.claim_id = wanted.value ->> 1
 ORDER BY lease.rowid;

-- name: works_of_bot
-- Items that a bot has leases on, with their tasks.
SELECT work, task FROM lease WHERE bot = :bot ORDER BY work;

-- name: works_of_bot_on_task
-- Items of one task that a bot has leases on.
SELECT work FROM lease WHERE bot = :bot AND task = :task ORDER BY work;

-- name: ended_of_bot_on_task
-- How many attempts of a bot on one task have ended.
SELECT count(*) FROM attempt WHERE task = :task AND bot = :bot;

-- name: edges_from
-- A page of the edges that leave an item.
SELECT {edge.*} FROM edge WHERE parent = :work AND child > :after ORDER BY child LIMIT :n;

-- name: edges_from_each
-- The first page of the edges that leave each of these items, with the items that they lead to.
SELECT {edge.*}, {work.*}
  FROM json_each(:keys) AS wanted
 CROSS JOIN edge
    ON edge.parent = wanted.value
   AND edge.child <= coalesce(
           (SELECT child FROM edge WHERE parent = wanted.value ORDER BY child LIMIT 1 OFFSET :n - 1), '~'
       )
 CROSS JOIN work ON work.id = edge.child
 ORDER BY edge.parent, edge.child;

-- name: edges_into
-- All edges that enter an item.
SELECT {edge.*} FROM edge WHERE child = :work ORDER BY parent;

-- name: edges_of_task
-- The whole graph of a task.
SELECT {edge.*}
  FROM work CROSS JOIN edge ON edge.parent = work.id
 WHERE work.task = :task
 ORDER BY edge.parent, edge.child;

-- name: works_of_task
-- Items of one kind.
SELECT id FROM work WHERE task = :task AND kind = :kind ORDER BY id;

-- name: works_open
-- A page of the items that are in none of the states of a JSON list.
SELECT id FROM work
 WHERE task = :task AND id > :after AND status NOT IN (SELECT value FROM json_each(:final))
 ORDER BY id LIMIT :n;

-- name: works_in
-- A page of the items in one state.
SELECT id FROM work WHERE task = :task AND id > :after AND status = :status ORDER BY id LIMIT :n;

-- name: bot_by_name
-- The one bot of that name and instance.
SELECT id FROM bot WHERE tenant = :tenant AND name = :name AND instance = :instance;

-- name: bots_of_key
-- Bots that registered with a key.
SELECT id FROM bot WHERE key_id = :key ORDER BY id;

-- name: bots_called
-- Whether a tenant has a bot of that id or name.
SELECT id FROM bot WHERE tenant = :tenant AND (id = :called OR name = :called) LIMIT 1;

-- name: works_of_speaker
-- Items of one task that the bots of a key (by name, where it is bound to one) have leases on.
SELECT lease.work
  FROM bot CROSS JOIN lease ON lease.bot = bot.id AND lease.task = :task
 WHERE bot.tenant = :tenant AND (bot.name = :name OR (:name IS NULL AND bot.key_id = :key))
 ORDER BY lease.work;

-- name: messages_of_task
-- How many messages a task has.
SELECT count(*) FROM message WHERE task = :task;

-- name: keys_of_bot
-- Keys bound to a bot's name that were not revoked.
SELECT id FROM api_key WHERE tenant = :tenant AND bot = :bot AND revoked_at IS NULL ORDER BY id;

-- name: approvals_of_task
-- Approvals of a task in one state.
SELECT id FROM approval WHERE task = :task AND state = :state ORDER BY id;

-- name: chores_of_tasks
-- Open chores, in order of creation.
SELECT {chore.*} FROM json_each(:keys) AS wanted CROSS JOIN chore ON chore.task = wanted.value ORDER BY chore.seq;

-- name: late_of_work
-- Which late results are kept of an item.
SELECT lease_id, content_hash FROM late_result WHERE work = :work ORDER BY at, lease_id, content_hash;

-- ---- what is to be done --------------------------------------------------------------------------------------------

-- name: ready_levels
-- Of each queue, since when the oldest item for the tenant waits at priority 0, 1, … 9; NULL where nothing does. One seek
-- for each, however much waits; written out, it takes a quarter of the time of a join.
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
  FROM json_each(:queues) AS wanted;

-- name: ready_heads
-- The items of a queue and priority, from the first one behind a place.
SELECT {ready.*}
  FROM ready
 WHERE queue = :queue AND tenant = :tenant AND priority = :priority AND (place, work) > (:place, :work)
 ORDER BY place, work
 LIMIT :limit;

-- name: ready_by_age
-- The items of a queue and priority in the order in which they joined it.
SELECT {ready.*}
  FROM ready
 WHERE queue = :queue AND tenant = :tenant AND priority = :priority AND (since, work) > (:place, :work)
 ORDER BY since, work
 LIMIT :limit;

-- name: ready_heads_for
-- The same without those that are closed to an owner.
SELECT {ready.*}
  FROM ready
 WHERE queue = :queue AND tenant = :tenant AND priority = :priority AND (place, work) > (:place, :work)
   AND (excluded IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(ready.excluded) WHERE value = :owner))
 ORDER BY place, work
 LIMIT :limit;

-- name: timers_due
-- Those due by now, the earliest first.
SELECT {timer.*} FROM timer WHERE due <= :now ORDER BY due, kind, ref LIMIT :limit;

-- name: chore_tenants
-- Who has any, one seek for each.
WITH RECURSIVE owner (tenant) AS (
    SELECT min(tenant) FROM chore
     UNION ALL
    SELECT (SELECT min(chore.tenant) FROM chore WHERE chore.tenant > owner.tenant) FROM owner
     WHERE owner.tenant IS NOT NULL
)
SELECT tenant FROM owner WHERE tenant IS NOT NULL ORDER BY tenant;

-- name: chores_next
-- The oldest chore of each of a tenant's tasks after one, in the order of tasks.
SELECT {chore.*}
  FROM chore
 WHERE tenant = :tenant AND task > :after
   AND seq = (SELECT min(older.seq) FROM chore AS older WHERE older.task = chore.task)
 ORDER BY task
 LIMIT :limit;

-- name: chores_first
-- The oldest chore of each of a tenant's tasks up to one: where going round begins again.
SELECT {chore.*}
  FROM chore
 WHERE tenant = :tenant AND task <= :after
   AND seq = (SELECT min(older.seq) FROM chore AS older WHERE older.task = chore.task)
 ORDER BY task
 LIMIT :limit;

-- ---- saving: records with a version ---------------------------------------------------------------------------------

-- name: insert_task
-- Version 1.
INSERT INTO task ({task}) VALUES ({:task});

-- name: update_task
-- Over the version before it, or not at all; so in all the `update_…`.
UPDATE task SET {task=} WHERE id = :id AND version = :version - 1;

-- name: update_task_hot
-- The same where nothing else has changed, which is nearly always.
UPDATE task SET {task~} WHERE id = :id AND version = :version - 1;

-- name: insert_work
-- Version 1.
INSERT INTO work ({work}) VALUES ({:work});

-- name: update_work
-- Over the version before it.
UPDATE work SET {work=} WHERE id = :id AND version = :version - 1;

-- name: update_work_hot
-- The same where nothing else has changed.
UPDATE work SET {work~} WHERE id = :id AND version = :version - 1;

-- name: insert_lease
-- Version 1.
INSERT INTO lease ({lease}) VALUES ({:lease});

-- name: update_lease
-- Over the version before it.
UPDATE lease SET {lease=} WHERE work = :work AND lease_id = :lease_id AND version = :version - 1;

-- name: insert_bot
-- Version 1.
INSERT INTO bot ({bot}) VALUES ({:bot});

-- name: update_bot
-- Over the version before it.
UPDATE bot SET {bot=} WHERE id = :id AND row_version = :row_version - 1;

-- name: insert_api_key
-- Version 1.
INSERT INTO api_key ({api_key}) VALUES ({:api_key});

-- name: update_api_key
-- Over the version before it.
UPDATE api_key SET {api_key=} WHERE id = :id AND version = :version - 1;

-- name: insert_approval
-- Version 1.
INSERT INTO approval ({approval}) VALUES ({:approval});

-- name: update_approval
-- Over the version before it.
UPDATE approval SET {approval=} WHERE id = :id AND version = :version - 1;

-- name: insert_chore
-- Version 1.
INSERT INTO chore ({chore}) VALUES ({:chore});

-- name: update_chore
-- Over the version before it.
UPDATE chore SET {chore=} WHERE id = :id AND version = :version - 1;

-- ---- saving: the rest -----------------------------------------------------------------------------------------------

-- name: delete_lease
-- Also where it was granted and taken back within one batch, and so never stood here.
DELETE FROM lease WHERE work = :work;

-- name: delete_bot
-- Its attempts keep its id.
DELETE FROM bot WHERE id = :id;

-- name: delete_chore
-- It is done.
DELETE FROM chore WHERE id = :id;

-- name: insert_queue
-- Queues are never changed or removed.
INSERT INTO queue ({queue}) VALUES ({:queue});

-- name: insert_edge
-- Edges are never changed or removed.
INSERT INTO edge ({edge}) VALUES ({:edge});

-- name: put_ready
-- In its place, which another priority may have changed.
INSERT OR REPLACE INTO ready ({ready}) VALUES ({:ready});

-- name: delete_ready
-- No longer to be handed out.
DELETE FROM ready WHERE work = :work;

-- name: put_timer
-- Set, or set anew.
INSERT INTO timer ({timer}) VALUES ({:timer}) ON CONFLICT (kind, ref) DO UPDATE SET due = excluded.due;

-- name: delete_timer
-- Cleared, whether it was set or not.
DELETE FROM timer WHERE kind = :kind AND ref = :ref;

-- name: put_payload
-- A checkpoint is written over the one before it under the same id.
INSERT INTO payload ({payload}) VALUES ({:payload}) ON CONFLICT (id) DO UPDATE SET body = excluded.body;

-- name: delete_payload
-- Gone for good.
DELETE FROM payload WHERE id = :id;

-- name: insert_attempt
-- Written once, when it ends.
INSERT INTO attempt ({attempt}) VALUES ({:attempt});

-- name: insert_late_result
-- One for each lease and content; a repetition tells nothing new.
INSERT INTO late_result ({late_result}) VALUES ({:late_result}) ON CONFLICT DO NOTHING;

-- name: insert_feedback
-- For the item's next leases.
INSERT INTO feedback ({feedback}) VALUES ({:feedback});

-- name: insert_answered
-- For the item's next lease.
INSERT INTO answered ({answered}) VALUES ({:answered});

-- name: insert_message
-- What one bot tells another.
INSERT INTO message ({message}) VALUES ({:message});

-- name: put_idempotency
-- Over one that has ended, and was not purged yet.
INSERT OR REPLACE INTO idempotency ({idempotency}) VALUES ({:idempotency});

-- name: insert_event
-- The cursor is the row's number: readers see events in the order in which they were saved.
INSERT INTO event ({event}) VALUES ({:event});

-- name: insert_audit_leaf
-- The place is taken once: two writers cannot both append there.
INSERT INTO audit_leaf ({audit_leaf}) VALUES ({:audit_leaf});

-- name: put_tree
-- The new head.
INSERT OR REPLACE INTO audit_tree ({audit_tree}) VALUES ({:audit_tree});

-- name: insert_tenant
-- A tenant comes into being with its first key.
INSERT INTO tenant (id, name) VALUES (:id, :id) ON CONFLICT DO NOTHING;

-- name: set_tenant
-- What it may have. How much it has is counted apart, so that the two never overwrite each other.
UPDATE tenant SET weight = :weight, max_backlog = :max_backlog WHERE id = :id;

-- name: count_opened
-- Of a tenant without a key too: whoever lives in this process needs none.
INSERT INTO tenant (id, name, open_tasks, open_subtasks, stored_bytes)
VALUES (:id, :id, max(0, :opened), max(0, :opened_subtasks), :stored)
    ON CONFLICT (id) DO UPDATE SET open_tasks = open_tasks + :opened, stored_bytes = stored_bytes + :stored,
                                   open_subtasks = max(0, open_subtasks + :opened_subtasks);

-- name: put_meta
-- A fact about the store itself.
INSERT OR REPLACE INTO meta (key, value) VALUES (:key, :value);

-- name: purge_idempotency
-- Those that ended first, up to a number.
DELETE FROM idempotency
 WHERE rowid IN (SELECT rowid FROM idempotency WHERE expires < :now ORDER BY expires, tenant, key LIMIT :limit);

-- ---- starting ---------------------------------------------------------------------------------------------------------

-- name: meta
-- A fact about the store itself.
SELECT value FROM meta WHERE key = :key;

-- name: last_event
-- The cursor of the last event ever saved.
SELECT coalesce(max(seq), 0) FROM event;

-- name: all_queues
-- All that were ever interned.
SELECT {queue.*} FROM queue ORDER BY id;

-- name: all_bots
-- All that are registered.
SELECT {bot.*} FROM bot ORDER BY id;

-- name: held
-- How many leases each bot has, those in their grace too: they take up its room until they end.
SELECT bot, count(*) FROM lease GROUP BY bot ORDER BY bot;

-- name: next_due
-- When the next timer is due.
SELECT min(due) FROM timer;

-- name: any_chore
-- Whether something long is under way.
SELECT EXISTS (SELECT 1 FROM chore);

-- name: grace_leases
-- No lease ends before half its TTL from now. Raised to that, never added to: a second call changes nothing.
UPDATE lease
   SET expires_at = max(expires_at, :now + ttl / 2), ends_at = max(ends_at, :now + ttl / 2), version = version + 1
 WHERE expires_at < :now + ttl / 2 OR ends_at < :now + ttl / 2;

-- name: grace_lease_timers
-- The same for their timers.
UPDATE timer
   SET due = :now + lease.ttl / 2
  FROM lease
 WHERE timer.kind IN (SELECT value FROM json_each(:kinds)) AND timer.ref = lease.work AND timer.due < :now + lease.ttl / 2;

-- name: move_leases
-- Time was set forward: as much is left of each lease as before.
UPDATE lease SET expires_at = expires_at + :by, ends_at = ends_at + :by, version = version + 1;

-- name: move_lease_timers
-- The same for their timers.
UPDATE timer SET due = due + :by WHERE kind IN (SELECT value FROM json_each(:kinds));

-- name: grace_start_items
-- No item ends for want of a taker before the floor.
UPDATE work
   SET start_due = :floor, version = version + 1
 WHERE id IN (SELECT ref FROM timer WHERE kind = :kind AND due < :floor) AND start_due < :floor;

-- name: grace_start_timers
-- The same for their timers.
UPDATE timer SET due = :floor WHERE kind = :kind AND due < :floor;

-- ---- setting the store's time back ---------------------------------------------------------------------------------

-- name: set_back_tasks
-- Places keep their order, deadlines what is left of them.
UPDATE task SET place = place - :by, deadline = deadline - :by, version = version + 1;

-- name: set_back_task_times
-- A task that came in later than now came in by the clock that was wrong.
UPDATE task SET created_at = created_at - :by, updated_at = updated_at - :by WHERE created_at > :wall;

-- name: set_back_works
-- Places keep their order, and what waits for a moment waits as long.
UPDATE work
   SET place = place - :by, start_due = start_due - :by, wake = wake - :by, version = version + 1;

-- name: set_back_work_times
-- When items came into being, and into their present status, by the clock that was wrong.
UPDATE work
   SET created_at = CASE WHEN created_at > :wall THEN created_at - :by ELSE created_at END,
       since = CASE WHEN since > :wall THEN since - :by ELSE since END
 WHERE created_at > :wall OR since > :wall;

-- name: set_back_ready
-- Both orders stay.
UPDATE ready SET place = place - :by, since = since - :by;

-- name: set_back_leases
-- As much is left of them.
UPDATE lease
   SET granted_at = granted_at - :by, expires_at = expires_at - :by, ends_at = ends_at - :by, version = version + 1;

-- name: set_back_timers
-- All that is still to come, nearer by as much.
UPDATE timer SET due = due - :by;

-- name: set_back_approvals
-- Of questions that are open.
UPDATE approval
   SET expires_at = expires_at - :by, version = version + 1,
       opened_at = CASE WHEN opened_at > :wall THEN opened_at - :by ELSE opened_at END
 WHERE state = 'open';

-- name: set_back_bots
-- When bots came, by the clock that was wrong.
UPDATE bot SET created_at = created_at - :by, last_seen = min(last_seen, created_at - :by) WHERE created_at > :wall;

-- name: set_back_feedback
-- It is told in the order of its time.
UPDATE feedback SET at = at - :by WHERE at > :wall;

-- name: set_back_answers
-- So are these.
UPDATE answered SET at = at - :by WHERE at > :wall;

-- name: set_back_idempotency
-- Keys are kept as long as before.
UPDATE idempotency SET expires = expires - :by;

-- name: set_back_alive
-- The time that the store has reached.
UPDATE meta SET value = value - :by WHERE key = 'alive_at';
