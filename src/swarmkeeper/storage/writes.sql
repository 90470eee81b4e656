-- Saves of the engine. Each statement is for many rows, and its parameters are columns of its table: SQLite runs it once for
-- each row, PostgreSQL once for all (storage/postgres/dialect.py). See statements.py for {task}.

-- ---- versioned records ---------------------------------------------------------------------------------------------

-- name: insert_task
-- Version 1.
INSERT INTO task ({task}) VALUES ({:task});

-- name: update_task
-- Replaces the previous version, or nothing; as with every `update_…`.
UPDATE task SET {task=} WHERE task.id = :id AND task.version = :version - 1;

-- name: update_task_hot
-- The same if only hot columns changed, which is nearly always.
UPDATE task SET {task~} WHERE task.id = :id AND task.version = :version - 1;

-- name: insert_work
-- Version 1.
INSERT INTO work ({work}) VALUES ({:work});

-- name: update_work
-- Replaces the previous version.
UPDATE work SET {work=} WHERE work.id = :id AND work.version = :version - 1;

-- name: update_work_hot
-- The same if only hot columns changed.
UPDATE work SET {work~} WHERE work.id = :id AND work.version = :version - 1;

-- name: insert_lease
-- Version 1.
INSERT INTO lease ({lease}) VALUES ({:lease});

-- name: update_lease
-- Replaces the previous version.
{own};

-- name: insert_bot
-- Version 1.
INSERT INTO bot ({bot}) VALUES ({:bot});

-- name: update_bot
-- Replaces the previous version.
UPDATE bot SET {bot=} WHERE bot.id = :id AND bot.row_version = :row_version - 1;

-- name: insert_api_key
-- Version 1.
INSERT INTO api_key ({api_key}) VALUES ({:api_key});

-- name: update_api_key
-- Replaces the previous version.
UPDATE api_key SET {api_key=} WHERE api_key.id = :id AND api_key.version = :version - 1;

-- name: insert_approval
-- Version 1.
INSERT INTO approval ({approval}) VALUES ({:approval});

-- name: update_approval
-- Replaces the previous version.
UPDATE approval SET {approval=} WHERE approval.id = :id AND approval.version = :version - 1;

-- name: insert_chore
-- Version 1.
INSERT INTO chore ({chore}) VALUES ({:chore});

-- name: update_chore
-- Replaces the previous version.
UPDATE chore SET {chore=} WHERE chore.id = :id AND chore.version = :version - 1;

-- ---- the rest ------------------------------------------------------------------------------------------------------

-- name: delete_lease
-- May delete nothing: a lease granted and ended within one batch was never stored.
DELETE FROM lease WHERE lease.work = :work;

-- name: delete_bot
-- Its attempts keep the bot id.
DELETE FROM bot WHERE bot.id = :id;

-- name: delete_chore
-- The job is done.
DELETE FROM chore WHERE chore.id = :id;

-- name: insert_queue
-- Queues are never changed or removed. Their ids follow from their meaning, so two writers insert the same row.
INSERT INTO queue ({queue}) VALUES ({:queue}) ON CONFLICT DO NOTHING;

-- name: insert_edge
-- Edges are never changed or removed.
INSERT INTO edge ({edge}) VALUES ({:edge});

-- name: put_ready
-- Inserts or moves: a new priority changes the position. Without a new time, `start_due` stays.
{own};

-- name: set_start
-- Sets or clears the timer of an item that stays in its queue.
UPDATE ready SET start_due = :start_due WHERE ready.work = :work;

-- name: delete_ready
-- The item is no longer handed out.
DELETE FROM ready WHERE ready.work = :work;

-- name: put_timer
-- Sets or replaces.
INSERT INTO timer ({timer}) VALUES ({:timer}) ON CONFLICT (kind, ref) DO UPDATE SET due = excluded.due;

-- name: delete_timer
-- Clears, whether it was set or not.
DELETE FROM timer WHERE timer.kind = :kind AND timer.ref = :ref;

-- name: put_payload
-- A checkpoint replaces the previous one under the same id.
INSERT INTO payload ({payload}) VALUES ({:payload}) ON CONFLICT (id) DO UPDATE SET body = excluded.body, sealed = excluded.sealed;

-- name: insert_data_key
-- The wrapped key of a tenant's bodies.
INSERT INTO data_key (id, tenant, key_id, nonce, wrapped) VALUES (:id, :tenant, :key_id, :nonce, :wrapped);

-- name: delete_payload
-- Final.
DELETE FROM payload WHERE payload.id = :id;

-- name: insert_attempt
-- Written once, when the attempt ends.
INSERT INTO attempt ({attempt}) VALUES ({:attempt});

-- name: insert_late_result
-- One for each lease and content; repetitions are ignored.
INSERT INTO late_result ({late_result}) VALUES ({:late_result}) ON CONFLICT DO NOTHING;

-- name: insert_feedback
-- Sent with the item's next leases.
INSERT INTO feedback ({feedback}) VALUES ({:feedback});

-- name: insert_answered
-- Sent with the item's next lease.
INSERT INTO answered ({answered}) VALUES ({:answered});

-- name: insert_message
-- A message between bots.
INSERT INTO message ({message}) VALUES ({:message});

-- name: put_idempotency
-- Replaces one that has expired and was not purged yet.
{own};

-- name: insert_event
-- The cursor is the rowid: readers see events in the order saved.
INSERT INTO event ({event}) VALUES ({:event});

-- name: insert_audit_leaf
-- The index is unique: two writers cannot both append at it.
INSERT INTO audit_leaf ({audit_leaf}) VALUES ({:audit_leaf});

-- name: put_tree
-- The new head.
{own};

-- name: insert_tenant
-- A tenant is created with its first key.
INSERT INTO tenant (id, name) VALUES (:id, :id) ON CONFLICT DO NOTHING;

-- name: set_tenant
-- Limits. Usage is counted separately, so that the two never overwrite each other.
UPDATE tenant SET weight = :weight, max_backlog = :max_backlog WHERE tenant.id = :id;

-- name: set_tenant_budget
-- The account of a tenant's budget.
UPDATE tenant SET budget = :budget WHERE tenant.id = :id;

-- name: count_opened
-- Also for a tenant without a key: callers in this process need none.
{own};

-- name: put_meta
-- A fact about the store itself.
{own};

-- ---- limits --------------------------------------------------------------------------------------------------------

-- name: insert_key_limit
-- Version 1.
INSERT INTO key_limit ({key_limit}) VALUES ({:key_limit});

-- name: update_key_limit
-- Replaces the previous version.
UPDATE key_limit SET {key_limit=} WHERE key_limit.id = :id AND key_limit.version = :version - 1;

-- name: delete_key_limit
-- Nothing runs or waits with the key. May delete nothing: it came and went within one batch.
DELETE FROM key_limit WHERE key_limit.id = :id;

-- name: put_work_rate
-- Sets or replaces.
INSERT INTO work_rate ({work_rate}) VALUES ({:work_rate})
    ON CONFLICT (id) DO UPDATE
       SET most = excluded.most, per_minute = excluded.per_minute, tokens_per_minute = excluded.tokens_per_minute,
           calls_at = excluded.calls_at, tokens_at = excluded.tokens_at;

-- name: delete_work_rate
-- Removes a rate.
DELETE FROM work_rate WHERE work_rate.id = :id;

-- name: put_key_use
-- When a key was last used.
INSERT INTO key_use (key, at) VALUES (:key, :at) ON CONFLICT (key) DO UPDATE SET at = excluded.at;

-- name: put_cooldown
-- Sets or replaces.
INSERT INTO cooldown ({cooldown}) VALUES ({:cooldown})
    ON CONFLICT (id) DO UPDATE SET phase = excluded.phase, until = excluded.until;

-- name: delete_cooldown
-- Ends it.
DELETE FROM cooldown WHERE cooldown.id = :id;

-- ---- counts, sums and labels (core/tallies/) -------------------------------------------------------------------------

-- name: add_task_count
-- One row for each count that a batch, or a turn of the sequencer, changes; as with the next two.
INSERT INTO task_count (tenant, party, week, status, outcome, number)
VALUES (:tenant, :party, :week, :status, :outcome, :number)
    ON CONFLICT (tenant, party, week, status, outcome) DO UPDATE SET number = task_count.number + excluded.number;

-- name: add_label_count
-- Counts of labels.
INSERT INTO label_count (tenant, key, value, party, week, number)
VALUES (:tenant, :key, :value, :party, :week, :number)
    ON CONFLICT (tenant, key, value, party, week) DO UPDATE SET number = label_count.number + excluded.number;

-- name: add_cost
-- Sums of what attempts used.
INSERT INTO cost (tenant, part, day, name, party, week, cost_micro_usd, tokens, unpriced_tokens, attempts)
VALUES (:tenant, :part, :day, :name, :party, :week, :cost_micro_usd, :tokens, :unpriced_tokens, :attempts)
    ON CONFLICT (tenant, part, day, name, party, week) DO UPDATE
   SET cost_micro_usd = cost.cost_micro_usd + excluded.cost_micro_usd, tokens = cost.tokens + excluded.tokens,
       unpriced_tokens = cost.unpriced_tokens + excluded.unpriced_tokens, attempts = cost.attempts + excluded.attempts;

-- name: drop_label_count
-- A label that no task has any more, after it was counted down.
DELETE FROM label_count
 WHERE label_count.tenant = :tenant AND label_count.key = :key AND label_count.value = :value
   AND label_count.party = :party AND label_count.week = :week AND label_count.number = 0;

-- name: drop_cost
-- The sum of no attempts, after some were taken out.
DELETE FROM cost
 WHERE cost.tenant = :tenant AND cost.part = :part AND cost.day = :day AND cost.name = :name AND cost.party = :party
   AND cost.week = :week AND cost.attempts = 0;

-- name: add_cost_span
-- To all spans of a folded day.
INSERT INTO cost_span (tenant, part, days, first, name, cost_micro_usd, tokens, unpriced_tokens, attempts)
SELECT :tenant, :part, length.days,
       CASE rolls WHEN 0 THEN :day / length.days * length.days ELSE folded.past - length.days END, :name,
       sum(:cost_micro_usd), sum(:tokens), sum(:unpriced_tokens), sum(:attempts)
  FROM cost_folded AS folded, cost_length AS length
 WHERE folded.tenant = :tenant AND :day >= folded.first AND :day < folded.past
   AND CASE rolls WHEN 0 THEN :day / length.days * length.days >= folded.first
                              AND :day / length.days * length.days + length.days <= folded.past
                  ELSE folded.past - length.days >= folded.first AND folded.past - length.days <= :day END
 GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (tenant, part, days, first, name) DO UPDATE
   SET cost_micro_usd = cost_span.cost_micro_usd + excluded.cost_micro_usd, tokens = cost_span.tokens + excluded.tokens,
       unpriced_tokens = cost_span.unpriced_tokens + excluded.unpriced_tokens,
       attempts = cost_span.attempts + excluded.attempts;

-- name: drop_cost_span
-- The sums of no attempts, after some were taken out.
{own};

-- name: insert_task_label
-- For the list of tasks. Two labels may read the same, since a key may hold a colon.
INSERT INTO task_label (tenant, label, created_at, task)
VALUES (:tenant, :label, :created_at, :task) ON CONFLICT DO NOTHING;

-- name: delete_task_label
-- The task has other labels now.
DELETE FROM task_label
 WHERE task_label.tenant = :tenant AND task_label.label = :label AND task_label.created_at = :created_at
   AND task_label.task = :task;
