-- Reads of committed data for the API and the command line. core/named_reads.py has the names and parameters.
-- List parameters are JSON; a filter that is NULL matches everything. Every order is by a unique key.

-- ---- tasks ----------------------------------------------------------------------------------------------------------

-- name: task_row
-- One task of a tenant.
SELECT {task.*} FROM task WHERE id = :task AND tenant = :tenant;

-- part: task_page
-- Tasks of a tenant that pass the filters, with the size of the submitted body.
SELECT {task.*}, (SELECT {size payload} FROM payload WHERE payload.id = task.spec) AS spec_bytes
  FROM task
 WHERE tenant = :tenant
   AND (CAST(:statuses AS text) IS NULL OR status IN (SELECT value FROM {each :statuses}))
   AND (CAST(:outcomes AS text) IS NULL OR outcome IN (SELECT value FROM {each :outcomes}))
   AND (CAST(:created_after AS bigint) IS NULL OR created_at >= :created_after)
   AND (CAST(:created_before AS bigint) IS NULL OR created_at < :created_before)
   AND NOT EXISTS (SELECT 1 FROM {each :labels} AS wanted
                    WHERE NOT EXISTS (SELECT 1 FROM task_label
                                       WHERE task_label.tenant = task.tenant AND task_label.label = wanted.value
                                         AND task_label.created_at = task.created_at AND task_label.task = task.id));

-- name: tasks_of_party_by_priority
-- A page of the tasks of one party alone, highest priority first, then oldest first: what a key of scope `own` sees. It
-- looks at no row of others, and sorts those that it finds.
{part task_page}
   AND party = :party
   AND (-priority, created_at, id) > (-CAST(:after_priority AS bigint), :after_at, :after_id)
 ORDER BY -priority, created_at, id LIMIT :limit;

-- name: payloads
-- Payloads by id.
SELECT payload.id, payload.body FROM {each :ids} AS wanted CROSS JOIN payload ON payload.id = wanted.value;

-- part: subtask
-- A subtask with the planned payload, the bot, and the end of the last attempt.
SELECT work.seq, {work.*}, payload.body AS spec,
       coalesce(lease.granted_at, last.started) AS started, last.ended, last.attempt AS last_attempt, last.ending,
       last.round AS last_round, last.error AS last_error, last.reason, lease.work IS NOT NULL AS held,
       lease.progress AS said,
       coalesce(holder.name, lease.bot) AS holder, coalesce(tried.name, last.bot) AS tried_by
  FROM work LEFT JOIN payload ON payload.id = work.payload
  LEFT JOIN lease ON lease.work = work.id
  LEFT JOIN attempt AS last ON last.work = work.id
                           AND last.attempt = work.attempt - CASE WHEN lease.work IS NULL THEN 0 ELSE 1 END
  LEFT JOIN bot AS holder ON holder.id = lease.bot
  LEFT JOIN bot AS tried ON tried.id = last.bot;

-- name: subtasks_page
-- A page of a task's subtasks in plan order.
{part subtask}
 WHERE work.task = :task AND work.kind = :kind AND work.seq > :after
 ORDER BY work.seq
 LIMIT :limit;

-- name: subtask_row
-- The same for one subtask by key, or one work item of any kind by id.
{part subtask}
 WHERE work.task = :task AND (work.id = :ref OR (work.key = :ref AND work.kind = :kind));

-- name: last_failure_of_task
-- Among the items that did not succeed in the end: the one whose attempt ended last with one of these endings.
SELECT attempt.work
  FROM attempt
  JOIN work ON work.id = attempt.work AND work.status NOT IN (SELECT value FROM {each :well})
 WHERE attempt.task = :task AND attempt.ending IN (SELECT value FROM {each :endings})
 ORDER BY attempt.ended DESC, attempt.work
 LIMIT 1;

-- name: failed_count
-- Number of subtasks of a task in a state; no row if there are none.
SELECT status, count(*) AS number
  FROM work
 WHERE task = :task AND kind = :kind AND status = :status
 GROUP BY status;

-- name: results_of_task
-- Outputs of all subtasks in a state, in plan order.
SELECT work.task, work.key, work.result, work.result_hash, {size payload} AS bytes
  FROM work JOIN payload ON payload.id = work.result
 WHERE work.task = :task AND work.kind = :kind AND work.status = :status
 ORDER BY work.seq;

-- name: last_results_of_task
-- The same, only for subtasks with no outgoing edge of a condition.
SELECT work.task, work.key, work.result, work.result_hash, {size payload} AS bytes
  FROM work JOIN payload ON payload.id = work.result
 WHERE work.task = :task AND work.kind = :kind AND work.status = :status
   AND NOT EXISTS (SELECT 1 FROM edge WHERE edge.parent = work.id AND edge.condition = :condition)
 ORDER BY work.seq;

-- name: graph_nodes
-- The subtasks of a plan, in order.
SELECT key, status, attempt FROM work WHERE task = :task AND kind = :kind ORDER BY seq;

-- name: graph_edges
-- The edges of a plan.
SELECT parent.key AS parent, child.key AS child, edge.condition, parent.status
  FROM work AS child
 CROSS JOIN edge ON edge.child = child.id
 CROSS JOIN work AS parent ON parent.id = edge.parent
 WHERE child.task = :task
 ORDER BY child.seq, parent.seq;

-- name: attempts_of_work
-- All ended attempts at a work item, with bot names.
SELECT {attempt.*}, bot.name AS bot_name
  FROM attempt LEFT JOIN bot ON bot.id = attempt.bot
 WHERE attempt.work = :work
 ORDER BY attempt.attempt;

-- name: late_of_work
-- Late results with their content.
SELECT late_result.lease_id, late_result.bot, late_result.at, late_result.payload, payload.body
  FROM late_result LEFT JOIN payload ON payload.id = late_result.payload
 WHERE late_result.work = :work
 ORDER BY late_result.at, late_result.lease_id, late_result.content_hash;

-- name: verdict_on_subtask
-- The newest verdict of the reviews whose keys are in a range.
SELECT payload.id AS payload, payload.body
  FROM work JOIN payload ON payload.id = work.result
 WHERE work.task = :task AND work.key >= :from_key AND work.key < :to_key AND work.status = :status
 ORDER BY work.seq DESC
 LIMIT 1;

-- name: lease_on_task
-- Whether a bot (by name, or by the key that registered it) holds a lease of a task.
SELECT lease.work
  FROM bot JOIN lease ON lease.bot = bot.id
 WHERE bot.tenant = :tenant AND (bot.name = :bot OR bot.key_id = :key) AND lease.task = :task
 LIMIT 1;

-- name: attempt_on_task
-- Whether it had one that has ended.
SELECT attempt.work
  FROM bot JOIN attempt ON attempt.bot = bot.id AND attempt.task = :task
 WHERE bot.tenant = :tenant AND (bot.name = :bot OR bot.key_id = :key)
 LIMIT 1;

-- name: report_states
-- For each result that a bot (:bot) would report, given as [index, task, lease id]: the task's status, whether the lease
-- is live or has ended, and how many late results the work item has.
SELECT CAST(asked.value ->> 0 AS bigint) AS place, asked.value ->> 1 AS named_task, asked.value ->> 2 AS lease_id,
       (SELECT status FROM task
         WHERE task.tenant = :tenant AND task.id = coalesce(asked.value ->> 1, lease.task, attempt.task)) AS task_status,
       CASE WHEN asked.value ->> 2 IS NOT NULL THEN CASE WHEN lease.work IS NULL THEN 0 ELSE 1 END
            WHEN EXISTS (SELECT 1 FROM attempt AS before WHERE before.task = asked.value ->> 1 AND before.bot = :bot)
            THEN 0
            ELSE (SELECT count(*) FROM lease AS held WHERE held.bot = :bot AND held.task = asked.value ->> 1)
       END AS live,
       attempt.work IS NOT NULL AS ended,
       attempt.result_hash IS NOT NULL AS again,
       (SELECT count(*) FROM late_result WHERE late_result.work = attempt.work) AS late
  FROM {pairs :asked} AS asked
  LEFT JOIN lease ON lease.lease_id = asked.value ->> 2 AND lease.bot = :bot
                 AND lease.task = coalesce(asked.value ->> 1, lease.task)
  LEFT JOIN attempt ON attempt.lease_id = asked.value ->> 2 AND attempt.bot = :bot
                   AND attempt.task = coalesce(asked.value ->> 1, attempt.task);

-- name: bot_owner
-- The owner of a tenant's bot.
SELECT name, key_id, type FROM bot WHERE tenant = :tenant AND id = :bot;

-- ---- leases ---------------------------------------------------------------------------------------------------------

-- name: works_by_id
-- Work items with the planned payload.
SELECT work.seq, {work.*}, payload.body AS spec, {size result} AS result_bytes
  FROM {each :works} AS wanted
 CROSS JOIN work ON work.id = wanted.value
  LEFT JOIN payload ON payload.id = work.payload
  LEFT JOIN payload AS result ON result.id = work.result;

-- name: upstream_of_works
-- Outputs of an item's dependencies.
SELECT edge.child, parent.task, parent.key, parent.result, parent.result_hash, {size payload} AS bytes
  FROM {each :works} AS wanted
 CROSS JOIN edge ON edge.child = wanted.value
 CROSS JOIN work AS parent ON parent.id = edge.parent AND parent.status = :status
  JOIN payload ON payload.id = parent.result
 ORDER BY edge.child, parent.seq;

-- name: feedback_of_works
-- Feedback, oldest first.
SELECT feedback.work, feedback.round, feedback.text
  FROM {each :works} AS wanted CROSS JOIN feedback ON feedback.work = wanted.value
 ORDER BY feedback.work, feedback.at, feedback.n, feedback.seq;

-- name: answers_of_works
-- Answers of people, oldest first.
SELECT answered.work, answered.question, answered.answer
  FROM {each :works} AS wanted CROSS JOIN answered ON answered.work = wanted.value
 ORDER BY answered.work, answered.at, answered.seq;

-- name: last_attempts_of_works
-- End of the newest ended attempt at each item, with its bot.
SELECT attempt.work, attempt.attempt, attempt.ending, attempt.error, attempt.reason, attempt.result,
       coalesce(bot.name, attempt.bot) AS bot_name, {size payload} AS bytes
  FROM {each :works} AS wanted
 CROSS JOIN attempt ON attempt.work = wanted.value
       AND attempt.attempt = (SELECT max(newest.attempt) FROM attempt AS newest WHERE newest.work = wanted.value)
  LEFT JOIN payload ON payload.id = attempt.result
  LEFT JOIN bot ON bot.id = attempt.bot
 ORDER BY attempt.work;

-- ---- messages -------------------------------------------------------------------------------------------------------

-- name: newest_messages
-- The last message of every task that has one and is not final. They are ordered by the number that each
-- got when it was stored, which in SQLite is the row's: they are never removed, so each new one gets the highest.
SELECT message.task, message.id
  FROM message JOIN task ON task.id = message.task AND task.status <> :over
 WHERE message.{seq} = (SELECT max(newest.{seq}) FROM message AS newest WHERE newest.task = message.task);

-- name: message_row
-- One message of a task, with the sender's name if it is a bot.
SELECT message.id, coalesce(bot.name, message.from_bot) AS from_bot, message.to_bot, message.task, message.at,
       message.payload, {size payload} AS bytes
  FROM message JOIN payload ON payload.id = message.payload LEFT JOIN bot ON bot.id = message.from_bot
 WHERE message.id = :message AND message.task = :task;

-- name: messages_page
-- A task's messages after a given one, in the order sent.
SELECT message.id, coalesce(bot.name, message.from_bot) AS from_bot, message.to_bot, message.task, message.at,
       message.payload, {size payload} AS bytes
  FROM message JOIN payload ON payload.id = message.payload LEFT JOIN bot ON bot.id = message.from_bot
 WHERE message.task = :task
   AND message.{seq} > coalesce((SELECT last.{seq} FROM message AS last WHERE last.id = :after), 0)
 ORDER BY message.{seq}
 LIMIT :limit;

-- name: messages_for_bot
-- The same for the messages to a bot, after the earliest of its read positions.
SELECT message.id, coalesce(bot.name, message.from_bot) AS from_bot, message.to_bot, message.task, message.at,
       message.payload, {size payload} AS bytes
  FROM message JOIN payload ON payload.id = message.payload LEFT JOIN bot ON bot.id = message.from_bot
 WHERE message.task = :task
   AND ((message.to_bot IS NULL AND message.from_bot <> :bot)
        OR message.to_bot = :bot OR message.to_bot = (SELECT me.name FROM bot AS me WHERE me.id = :bot))
   AND message.{seq} > (SELECT coalesce(min(coalesce(last.{seq}, 0)), 0)
                          FROM {each :after} AS position
                          LEFT JOIN message AS last ON last.id = position.value AND last.task = :task)
 ORDER BY message.{seq}
 LIMIT :limit;

-- ---- people -------------------------------------------------------------------------------------------------------

-- part: approval_shown
{approval.*}, (SELECT name FROM person WHERE person.id = approval.decided_person) AS decided_name

-- name: approval_row
-- One approval of a tenant.
SELECT {part approval_shown} FROM approval WHERE tenant = :tenant AND id = :approval;

-- name: approvals_bytes
-- Size of each approval of a page of a tenant's: a plan may have megabytes.
SELECT id, octet_length(question) + octet_length(choices) + coalesce(octet_length(schema), 0)
           + coalesce(octet_length(subject), 0) + coalesce(octet_length(decision), 0) AS bytes
  FROM approval
 WHERE tenant = :tenant AND id > :after AND (CAST(:state AS text) IS NULL OR state = :state)
 ORDER BY id
 LIMIT :limit;

-- name: approvals_bytes_of_task
-- The same for one task.
SELECT id, octet_length(question) + octet_length(choices) + coalesce(octet_length(schema), 0)
           + coalesce(octet_length(subject), 0) + coalesce(octet_length(decision), 0) AS bytes
  FROM approval
 WHERE tenant = :tenant AND task = :task AND id > :after AND (CAST(:state AS text) IS NULL OR state = :state)
 ORDER BY id
 LIMIT :limit;

-- name: approvals_page
-- A page of a tenant's approvals.
SELECT {part approval_shown}
  FROM approval
 WHERE tenant = :tenant AND id > :after AND (CAST(:state AS text) IS NULL OR state = :state)
 ORDER BY id
 LIMIT :limit;

-- name: approvals_page_of_task
-- The same for one task.
SELECT {part approval_shown}
  FROM approval
 WHERE tenant = :tenant AND task = :task AND id > :after AND (CAST(:state AS text) IS NULL OR state = :state)
 ORDER BY id
 LIMIT :limit;

-- ---- bots, skills, keys ---------------------------------------------------------------------------------------------

-- name: bots_page
-- A page of a tenant's bots, with their number of leases.
SELECT {bot.*}, (SELECT count(*) FROM lease WHERE lease.bot = bot.id) AS held
  FROM bot WHERE tenant = :tenant AND id > :after ORDER BY id LIMIT :limit;

-- name: bot_row
-- One bot of a tenant.
SELECT {bot.*}, (SELECT count(*) FROM lease WHERE lease.bot = bot.id) AS held
  FROM bot WHERE tenant = :tenant AND id = :bot;

-- name: skills_of_bots
-- A tenant's bots that may get work, with their skills.
SELECT id, skills, capacity, (SELECT count(*) FROM lease WHERE lease.bot = bot.id) AS held
  FROM bot WHERE tenant = :tenant AND status = :status ORDER BY id;

-- name: waiting_by_queue
-- Number of waiting items per queue, and the time of the oldest.
SELECT queue.id, queue.skills, count(*) AS waiting, min(ready.since) AS since
  FROM ready JOIN queue ON queue.id = ready.queue
 WHERE ready.tenant = :tenant
 GROUP BY queue.id
 ORDER BY queue.id;

-- name: keys_page
-- A page of a tenant's keys, without secrets.
SELECT id, role, bot, owner, skills, networks, created_at, expires_at, revoked_at, person, scope,
       (SELECT name FROM person WHERE person.id = api_key.person) AS person_name,
       (SELECT at FROM key_use WHERE key_use.key = api_key.id) AS used_at
  FROM api_key WHERE tenant = :tenant AND id > :after ORDER BY id LIMIT :limit;

-- name: tenant_shares
-- All tenants, with their limits and number of open tasks.
SELECT id, weight, max_backlog, open_tasks, open_subtasks, stored_bytes FROM tenant ORDER BY id;

-- name: tenant_budgets
-- The tenants that have a budget, with its account.
SELECT id, budget FROM tenant WHERE budget IS NOT NULL ORDER BY id;

-- name: tenant_row
-- One tenant.
SELECT id, weight, max_backlog, open_tasks, open_subtasks, stored_bytes FROM tenant WHERE id = :tenant;

-- name: key_row
-- One key of a tenant, without secrets.
SELECT id, role, bot, owner, skills, networks, created_at, expires_at, revoked_at, person, scope,
       (SELECT name FROM person WHERE person.id = api_key.person) AS person_name,
       (SELECT at FROM key_use WHERE key_use.key = api_key.id) AS used_at
  FROM api_key WHERE tenant = :tenant AND id = :key;

-- name: key_by_public_id
-- The key that a caller presents, with its digests for verification.
SELECT {api_key.*} FROM api_key WHERE public_id = :public_id;

-- name: tenants
-- All tenants that have had a key.
SELECT id, name FROM tenant ORDER BY id;

-- ---- why things wait -------------------------------------------------------------------------------------------------

-- name: open_counts
-- Number of a task's items in certain states, grouped by the reason they wait. Reviews of the final result are listed
-- one by one, with their key: their order decides whom each is for.
SELECT alike.*, queue.skills, queue.assign_to, key_limit.key AS line_key, key_limit.running AS line_running,
       (SELECT sum(CAST({json own.value} ->> 1 AS bigint))
          FROM {members key_limit.lines} AS own) AS line_waiting
  FROM (SELECT kind, status, queue, excluded, line, min(key) AS key, count(*) AS number, max(pending) AS pending,
               max(wake) AS wake, max(start_due) AS start_due, labels
          FROM work
         WHERE task = :task AND status IN (SELECT value FROM {each :statuses})
         GROUP BY kind, status, queue, excluded, line, labels, pending > 0, wake IS NULL, start_due IS NULL,
                  CASE WHEN kind = :kind AND subject IS NULL THEN key END) AS alike
  JOIN queue ON queue.id = alike.queue
  LEFT JOIN key_limit ON key_limit.id = alike.line;

-- name: open_items
-- The first of these items, ordered by state and plan, with the bot of each.
SELECT work.id, work.kind, work.key, work.status, work.queue, work.excluded, work.since, work.attempt, work.round,
       work.subject, work.labels, work.pending, work.wake, work.start_due, queue.skills, queue.assign_to,
       lease.ends_at, bot.name AS bot, key_limit.key AS line_key, key_limit.running AS line_running,
       (SELECT sum(CAST({json own.value} ->> 1 AS bigint))
          FROM {members key_limit.lines} AS own) AS line_waiting
  FROM work
  JOIN queue ON queue.id = work.queue
  LEFT JOIN key_limit ON key_limit.id = work.line
  LEFT JOIN lease ON lease.work = work.id
  LEFT JOIN bot ON bot.id = lease.bot
 WHERE work.task = :task AND work.status IN (SELECT value FROM {each :statuses})
 ORDER BY {find}(CAST(:statuses AS text), '"' || work.status || '"'), work.seq
 LIMIT :limit;

-- name: open_upstream
-- Keys of the first dependencies that each item still waits for.
{own};

-- name: open_approvals
-- Open approvals of a task.
SELECT id, kind, work, asked_by, question, expires_at
  FROM approval WHERE task = :task AND state = :state ORDER BY id LIMIT :limit;

-- name: bots_seen_before
-- Bots of all tenants last seen before a time; a page after an id.
SELECT id, tenant, last_seen FROM bot WHERE id > :after AND last_seen < :before AND status = 'active'
 ORDER BY id LIMIT :limit;

-- name: all_rates
-- The rates of all tenants.
SELECT tenant, key, most, per_minute, tokens_per_minute, calls_at, tokens_at FROM work_rate ORDER BY tenant, key;

-- name: rates_of_tenant
-- The rates of a tenant.
SELECT id, tenant, key, most, per_minute, tokens_per_minute, calls_at, tokens_at
  FROM work_rate WHERE tenant = :tenant ORDER BY key;

-- name: cooldowns_of_tenant
-- Scopes of a tenant that a provider limits.
SELECT scope, phase, until FROM cooldown WHERE tenant = :tenant ORDER BY id;

-- name: bots_of_tenant
-- All bots of a tenant, with their number of leases.
SELECT {bot.*}, (SELECT count(*) FROM lease WHERE lease.bot = bot.id) AS held
  FROM bot WHERE tenant = :tenant ORDER BY id;

-- ---- evidence -------------------------------------------------------------------------------------------------------

-- name: events_wait
-- Microseconds since the oldest committed event that has no number yet; 0 without any.
{own};

-- name: events_after
-- Events of all tenants after a cursor.
SELECT seq, {event.*} FROM event WHERE seq > :after ORDER BY seq LIMIT :limit;

-- name: events_of_tenant
-- Events of one tenant after a cursor.
SELECT seq, {event.*} FROM event WHERE tenant = :tenant AND seq > :after ORDER BY seq LIMIT :limit;

-- name: audit_positions
-- Indexes of a tenant's audit records after one, with the columns for further filters.
SELECT place, actor, action FROM audit_leaf WHERE tenant = :tenant AND place > :after ORDER BY place LIMIT :limit;

-- name: audit_positions_of_task
-- The same for one task.
SELECT place, actor, action
  FROM audit_leaf
 WHERE task = :task AND tenant = :tenant AND place > :after
 ORDER BY place
 LIMIT :limit;

-- name: audit_positions_of_actor
-- The same for one actor.
SELECT place, actor, action
  FROM audit_leaf
 WHERE tenant = :tenant AND actor = :actor AND place > :after
 ORDER BY place
 LIMIT :limit;

-- name: audit_positions_of_action
-- The same for one action.
SELECT place, actor, action
  FROM audit_leaf
 WHERE tenant = :tenant AND action = :action AND place > :after
 ORDER BY place
 LIMIT :limit;

-- name: audit_records_at
-- Audit records by index.
SELECT leaf.place, leaf.id, leaf.leaf, leaf.body
  FROM {numbers :places} AS wanted
 CROSS JOIN audit_leaf AS leaf ON leaf.tenant = :tenant AND leaf.place = wanted.value
 ORDER BY leaf.place;

-- name: newest_event
-- The newest event.
SELECT seq FROM event ORDER BY seq DESC LIMIT 1;

-- name: feed_start
-- Events of the tenant up to this one have left, if not all of them; no row if none has.
SELECT seq FROM feed_start WHERE tenant = :tenant;

-- name: feed_gap
-- The tenant's last event before a restore, if the cursor is of the store that was lost then; 0 without any.
SELECT coalesce((SELECT max(event.seq) FROM event WHERE event.tenant = :tenant AND event.seq <= feed_gap.after), 0) AS seq
  FROM feed_gap
 WHERE after < :cursor AND upto > :cursor;

-- name: feed_gaps
-- Numbers that no event of this store has, because it was restored: those greater than `after`, up to `upto`.
SELECT after, upto FROM feed_gap ORDER BY after;

-- name: sink
-- Up to which event a sink has got them, and how many come after it: also those that have left the store.
SELECT cursor.seq,
       CAST(coalesce((SELECT max(seq) FROM event), 0) - cursor.seq
            - coalesce((SELECT sum(upto - after) FROM feed_gap WHERE after >= cursor.seq), 0) AS bigint) AS behind
  FROM (SELECT coalesce((SELECT seq FROM sink WHERE name = :name), 0) AS seq) AS cursor;

-- ---- what leaves ----------------------------------------------------------------------------------------------------

-- name: old_tasks
-- A page of a tenant's tasks that were created before a time and have no legal hold.
SELECT id, created_at, updated_at, outcome
  FROM task
 WHERE tenant = :tenant AND created_at < :before AND (created_at, id) > (:after_at, :after_id)
   AND id NOT IN (SELECT held.task FROM legal_hold AS held WHERE held.tenant = :tenant)
 ORDER BY created_at, id
 LIMIT :limit;

-- name: legal_hold_row
-- The legal hold on a task, or on the whole tenant.
SELECT task AS id, reason, placed_by, placed_at FROM legal_hold WHERE tenant = :tenant AND task = :task;

-- name: legal_holds_page
-- A tenant's legal holds; that on the whole tenant comes first.
SELECT task AS id, reason, placed_by, placed_at
  FROM legal_hold
 WHERE tenant = :tenant AND task > :after
 ORDER BY task
 LIMIT :limit;

-- name: kills_of_tenant
-- A tenant's kills.
SELECT {kill} FROM kill WHERE tenant = :tenant ORDER BY id;

-- name: killed_tenants
-- Tenants that have kills.
SELECT DISTINCT tenant AS id FROM kill;

-- name: audit_start_row
-- Where the tenant's audit log begins; no row if it begins with its first record.
SELECT size, frontier FROM audit_start WHERE tenant = :tenant;

-- name: audit_front
-- The oldest audit records, and whether the task of each still exists.
-- Not EXISTS: for that, PostgreSQL may read all tasks.
SELECT place, at, hash, (SELECT 1 FROM task WHERE task.id = audit_leaf.task) IS NOT NULL AS needed
  FROM audit_leaf
 WHERE tenant = :tenant AND place >= :begin
 ORDER BY place
 LIMIT :limit;

-- name: audit_heads
-- Every tenant's audit log, with the first record that is still there and the newest checkpoint.
SELECT tree.tenant, tree.size, tree.root, coalesce(start.size, 0) AS begin,
       (SELECT max(checkpoint.size) FROM checkpoint WHERE checkpoint.tenant = tree.tenant) AS signed
  FROM audit_tree AS tree
  LEFT JOIN audit_start AS start ON start.tenant = tree.tenant
 ORDER BY tree.tenant;

-- name: audit_log
-- The same for one tenant, with the frontier of the records that have left.
SELECT tree.size, tree.root, coalesce(start.size, 0) AS begin, start.frontier
  FROM audit_tree AS tree
  LEFT JOIN audit_start AS start ON start.tenant = tree.tenant
 WHERE tree.tenant = :tenant;

-- name: newest_checkpoint
-- The one with the most records.
SELECT size, root, at, note FROM checkpoint WHERE tenant = :tenant ORDER BY size DESC LIMIT 1;

-- name: audit_hashes
-- Roots of full tiles, by level and number.
SELECT place, hash
  FROM audit_hash
 WHERE tenant = :tenant AND level = :level AND place >= :begin AND place < :end
 ORDER BY place;

-- name: audit_hashes_end
-- The number after the last stored one of a level.
SELECT max(place) + 1 AS place FROM audit_hash WHERE tenant = :tenant AND level = :level;

-- name: audit_leaf_hashes
-- Hashes of records, by index.
SELECT place, hash FROM audit_leaf WHERE tenant = :tenant AND place >= :begin AND place < :end ORDER BY place;

-- name: audit_entries
-- The records that are hashed, by index.
SELECT place, leaf FROM audit_leaf WHERE tenant = :tenant AND place >= :begin AND place < :end ORDER BY place;

-- name: body_of_record
-- One record with its body, and the salt of its commitment.
SELECT id, leaf, salt, body FROM audit_leaf WHERE tenant = :tenant AND place = :place;
