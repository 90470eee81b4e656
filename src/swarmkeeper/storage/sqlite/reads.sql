-- What people and bots look at, on what is committed. The names and their parameters are those of service/queries.py.
-- A list among the parameters is JSON; a filter that is NULL lets everything through. Every order is by a unique key.

-- ---- tasks ----------------------------------------------------------------------------------------------------------

-- name: task_row
-- One task of a tenant.
SELECT {task.*} FROM task WHERE id = :task AND tenant = :tenant;

-- name: tasks_oldest
-- A page of tasks from the oldest on, after a moment and id; with the bytes of what the client sent.
SELECT {task.*}, (SELECT length(body) FROM payload WHERE payload.id = task.spec) AS spec_bytes
  FROM task
 WHERE tenant = :tenant AND (created_at, id) > (:after_at, :after_id)
   AND (:statuses IS NULL OR status IN (SELECT value FROM json_each(:statuses)))
   AND (:outcomes IS NULL OR outcome IN (SELECT value FROM json_each(:outcomes)))
   AND (:created_after IS NULL OR created_at > :created_after)
   AND (:created_before IS NULL OR created_at < :created_before)
   AND NOT EXISTS (SELECT 1 FROM json_each(:labels) AS wanted
                    WHERE NOT EXISTS (SELECT 1 FROM json_each(task.labels) AS has
                                       WHERE has.key = wanted.key AND has.value = wanted.value))
 ORDER BY created_at, id
 LIMIT :limit;

-- name: tasks_newest
-- The same from the newest on.
SELECT {task.*}, (SELECT length(body) FROM payload WHERE payload.id = task.spec) AS spec_bytes
  FROM task
 WHERE tenant = :tenant AND (created_at, id) < (:after_at, :after_id)
   AND (:statuses IS NULL OR status IN (SELECT value FROM json_each(:statuses)))
   AND (:outcomes IS NULL OR outcome IN (SELECT value FROM json_each(:outcomes)))
   AND (:created_after IS NULL OR created_at > :created_after)
   AND (:created_before IS NULL OR created_at < :created_before)
   AND NOT EXISTS (SELECT 1 FROM json_each(:labels) AS wanted
                    WHERE NOT EXISTS (SELECT 1 FROM json_each(task.labels) AS has
                                       WHERE has.key = wanted.key AND has.value = wanted.value))
 ORDER BY created_at DESC, id DESC
 LIMIT :limit;

-- name: tasks_by_priority
-- The same from the highest priority on, the oldest of each first. It sorts what the filters leave: priorities change,
-- and an index on them would cost every step of every task.
SELECT {task.*}, (SELECT length(body) FROM payload WHERE payload.id = task.spec) AS spec_bytes
  FROM task
 WHERE tenant = :tenant AND (-priority, created_at, id) > (-:after_priority, :after_at, :after_id)
   AND (:statuses IS NULL OR status IN (SELECT value FROM json_each(:statuses)))
   AND (:outcomes IS NULL OR outcome IN (SELECT value FROM json_each(:outcomes)))
   AND (:created_after IS NULL OR created_at > :created_after)
   AND (:created_before IS NULL OR created_at < :created_before)
   AND NOT EXISTS (SELECT 1 FROM json_each(:labels) AS wanted
                    WHERE NOT EXISTS (SELECT 1 FROM json_each(task.labels) AS has
                                       WHERE has.key = wanted.key AND has.value = wanted.value))
 ORDER BY -priority, created_at, id
 LIMIT :limit;

-- name: payloads
-- Bodies by id.
SELECT payload.id, payload.body FROM json_each(:ids) AS wanted CROSS JOIN payload ON payload.id = wanted.value;

-- name: subtasks_page
-- A page of a task's subtasks in the order of the plan, with what was planned.
SELECT work.seq, {work.*}, payload.body AS spec
  FROM work LEFT JOIN payload ON payload.id = work.payload
 WHERE work.task = :task AND work.kind = :kind AND work.seq > :after
 ORDER BY work.seq
 LIMIT :limit;

-- name: subtask_row
-- One subtask by id or key.
SELECT work.seq, {work.*}, payload.body AS spec
  FROM work LEFT JOIN payload ON payload.id = work.payload
 WHERE work.task = :task AND work.kind = :kind AND (work.id = :ref OR work.key = :ref);

-- name: results_of_task
-- What every subtask in a state has put out, in the order of the plan.
SELECT work.task, work.key, work.result, work.result_hash, length(payload.body) AS bytes
  FROM work JOIN payload ON payload.id = work.result
 WHERE work.task = :task AND work.kind = :kind AND work.status = :status
 ORDER BY work.seq;

-- name: last_results_of_task
-- The same of those alone that no edge of a condition leaves.
SELECT work.task, work.key, work.result, work.result_hash, length(payload.body) AS bytes
  FROM work JOIN payload ON payload.id = work.result
 WHERE work.task = :task AND work.kind = :kind AND work.status = :status
   AND NOT EXISTS (SELECT 1 FROM edge WHERE edge.parent = work.id AND edge.condition = :condition)
 ORDER BY work.seq;

-- name: graph_nodes
-- The subtasks of a plan, in its order.
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
-- All ended attempts at an item.
SELECT {attempt.*} FROM attempt WHERE work = :work ORDER BY attempt;

-- name: late_of_work
-- What came too late, with its content.
SELECT late_result.lease_id, late_result.bot, late_result.at, payload.body
  FROM late_result LEFT JOIN payload ON payload.id = late_result.payload
 WHERE late_result.work = :work
 ORDER BY late_result.at, late_result.lease_id, late_result.content_hash;

-- name: verdict_on_subtask
-- The newest verdict among the reviews whose keys lie in a range.
SELECT payload.body
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
-- Whether it ever had one that ended.
SELECT attempt.work
  FROM bot JOIN attempt ON attempt.bot = bot.id AND attempt.task = :task
 WHERE bot.tenant = :tenant AND (bot.name = :bot OR bot.key_id = :key)
 LIMIT 1;

-- ---- leases ---------------------------------------------------------------------------------------------------------

-- name: leases_of_works
-- Live leases by work id.
SELECT {lease.*} FROM json_each(:works) AS wanted CROSS JOIN lease ON lease.work = wanted.value
 WHERE lease.tenant = :tenant;

-- name: works_by_id
-- Items, with what was planned.
SELECT work.seq, {work.*}, payload.body AS spec, length(result.body) AS result_bytes
  FROM json_each(:works) AS wanted
 CROSS JOIN work ON work.id = wanted.value
  LEFT JOIN payload ON payload.id = work.payload
  LEFT JOIN payload AS result ON result.id = work.result;

-- name: tasks_by_id
-- Tasks, with what the client sent.
SELECT {task.*}, payload.body AS spec_body
  FROM json_each(:tasks) AS wanted
 CROSS JOIN task ON task.id = wanted.value
  LEFT JOIN payload ON payload.id = task.spec;

-- name: upstream_of_works
-- What those before an item have put out.
SELECT edge.child, parent.task, parent.key, parent.result, parent.result_hash, length(payload.body) AS bytes
  FROM json_each(:works) AS wanted
 CROSS JOIN edge ON edge.child = wanted.value
 CROSS JOIN work AS parent ON parent.id = edge.parent AND parent.status = :status
  JOIN payload ON payload.id = parent.result
 ORDER BY edge.child, parent.seq;

-- name: feedback_of_works
-- What was to be done better, in the order in which it was said.
SELECT feedback.work, feedback.round, feedback.text
  FROM json_each(:works) AS wanted CROSS JOIN feedback ON feedback.work = wanted.value
 ORDER BY feedback.work, feedback.at, feedback.n, feedback.seq;

-- name: answers_of_works
-- What people answered, in the order in which they did.
SELECT answered.work, answered.question, answered.answer
  FROM json_each(:works) AS wanted CROSS JOIN answered ON answered.work = wanted.value
 ORDER BY answered.work, answered.at, answered.seq;

-- name: last_attempts_of_works
-- How the newest ended attempt at each item ended.
SELECT attempt.work, attempt.attempt, attempt.ending, attempt.error, attempt.result, length(payload.body) AS bytes
  FROM json_each(:works) AS wanted
 CROSS JOIN attempt ON attempt.work = wanted.value
       AND attempt.attempt = (SELECT max(newest.attempt) FROM attempt AS newest WHERE newest.work = wanted.value)
  LEFT JOIN payload ON payload.id = attempt.result
 ORDER BY attempt.work;

-- ---- bots, skills, keys ---------------------------------------------------------------------------------------------

-- name: bots_page
-- A page of a tenant's bots, with the leases they hold.
SELECT {bot.*}, (SELECT count(*) FROM lease WHERE lease.bot = bot.id) AS held
  FROM bot WHERE tenant = :tenant AND id > :after ORDER BY id LIMIT :limit;

-- name: bot_row
-- One bot of a tenant.
SELECT {bot.*}, (SELECT count(*) FROM lease WHERE lease.bot = bot.id) AS held
  FROM bot WHERE tenant = :tenant AND id = :bot;

-- name: skills_of_bots
-- Which bots of a tenant may be handed work, and what each can do.
SELECT id, skills FROM bot WHERE tenant = :tenant AND status = :status ORDER BY id;

-- name: waiting_by_queue
-- How much waits in each queue, and since when.
SELECT queue.id, queue.skills, count(*) AS waiting, min(ready.since) AS since
  FROM ready JOIN queue ON queue.id = ready.queue
 WHERE ready.tenant = :tenant
 GROUP BY queue.id
 ORDER BY queue.id;

-- name: keys_page
-- A page of a tenant's keys; without anything that could be used as one.
SELECT id, role, bot, owner, skills, created_at, expires_at, revoked_at
  FROM api_key WHERE tenant = :tenant AND id > :after ORDER BY id LIMIT :limit;

-- name: key_row
-- One key of a tenant, likewise.
SELECT id, role, bot, owner, skills, created_at, expires_at, revoked_at
  FROM api_key WHERE tenant = :tenant AND id = :key;

-- name: key_by_public_id
-- The key that a caller shows, with what proves that it is genuine.
SELECT {api_key.*} FROM api_key WHERE public_id = :public_id;

-- name: tenants
-- All that have had a key.
SELECT id, name FROM tenant ORDER BY id;

-- ---- evidence -------------------------------------------------------------------------------------------------------

-- name: events_after
-- The feed of all tenants after a cursor.
SELECT seq, {event.*} FROM event WHERE seq > :after ORDER BY seq LIMIT :limit;

-- name: events_of_tenant
-- The feed of one.
SELECT seq, {event.*} FROM event WHERE tenant = :tenant AND seq > :after ORDER BY seq LIMIT :limit;

-- name: events_of_task
-- The feed of one task. Within a task the order of cursors is that of the sequence, for which there is an index.
SELECT seq, {event.*} FROM event WHERE task = :task AND seq > :after ORDER BY sequence LIMIT :limit;

-- name: first_event
-- The oldest that is kept.
SELECT seq FROM event ORDER BY seq LIMIT 1;

-- name: newest_event
-- The last one.
SELECT seq FROM event ORDER BY seq DESC LIMIT 1;
