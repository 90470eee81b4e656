-- Reads for dashboards; see reads/insight/insight_reads.py.

-- part: approval_shown
{approval.*}, (SELECT name FROM person WHERE person.id = approval.decided_person) AS decided_name

-- name: timeline_lanes
-- A page of a task's items of all kinds, in the order in which they were made, with the live lease of each.
SELECT work.seq, work.id, work.kind, work.key, work.status, work.attempt, work.round, work.created_at, work.since,
       work.wake, work.start_due, subject.key AS subject, lease.lease_id, lease.granted_at, lease.expires_at,
       lease.attempt AS held_attempt, coalesce(bot.name, lease.bot) AS holder
  FROM work
  LEFT JOIN work AS subject ON subject.id = work.subject
  LEFT JOIN lease ON lease.work = work.id
  LEFT JOIN bot ON bot.id = lease.bot
 WHERE work.task = :task AND work.seq > :after
 ORDER BY work.seq
 LIMIT :limit;

-- name: timeline_bars
-- The newest ended attempts at each item, with the first line's worth of each error.
SELECT attempt.work, attempt.attempt, coalesce(bot.name, attempt.bot) AS bot, attempt.lease_id, attempt.started,
       attempt.ended, attempt.ending, attempt.round, {json attempt.error} ->> 'class' AS error_class,
       substr({json attempt.error} ->> 'message', 1, :head) AS message, substr(attempt.reason, 1, :head) AS reason
  FROM {each :works} AS wanted
 CROSS JOIN work ON work.id = wanted.value
 CROSS JOIN attempt ON attempt.work = work.id AND attempt.attempt > work.attempt - :newest
  LEFT JOIN bot ON bot.id = attempt.bot
 ORDER BY attempt.work, attempt.attempt;

-- name: verdicts_page
-- A page of the reviews of a task that came to a verdict, in the order in which they were asked for.
SELECT work.seq, work.id, work.key, subject.key AS subject, work.result, {size payload} AS bytes, attempt.attempt,
       attempt.ended, coalesce(bot.name, attempt.bot) AS evaluator
  FROM work
  JOIN payload ON payload.id = work.result
  LEFT JOIN work AS subject ON subject.id = work.subject
  LEFT JOIN attempt ON attempt.work = work.id AND attempt.attempt = work.attempt
  LEFT JOIN bot ON bot.id = attempt.bot
 WHERE work.task = :task AND work.kind = 'review' AND work.seq > :after
   AND (CAST(:subject AS text) IS NULL OR subject.key = :subject)
 ORDER BY work.seq
 LIMIT :limit;

-- ---- queues, leases and approvals -----------------------------------------------------------------------------------

-- name: queues_looked_at
-- The last of the next queues after one, and how many there are; a page looks at so many.
SELECT coalesce(max(id), 0) AS last, count(*) AS number
  FROM (SELECT id FROM queue WHERE id > :after ORDER BY id LIMIT :limit) AS looked;

-- name: queues_page
-- The queues up to one in which items of the tenant wait, or that are busy; each is counted up to a bound.
-- The oldest item of each priority is the first of an index. Not EXISTS, and always
-- with an order: else PostgreSQL may read all entries.
SELECT queue.id, queue.kind, queue.skills, queue.assign_to,
       (SELECT count(*)
          FROM (SELECT 1 AS one FROM ready WHERE ready.queue = queue.id AND ready.tenant = :tenant
                 ORDER BY ready.priority DESC, ready.since
                 LIMIT :most) AS waiting) AS depth,
       (SELECT min((SELECT oldest.since FROM ready AS oldest
                     WHERE oldest.queue = queue.id AND oldest.tenant = :tenant AND oldest.priority = level.value
                     ORDER BY oldest.since
                     LIMIT 1))
          FROM {numbers :priorities} AS level) AS since
  FROM queue
 WHERE queue.id > :after AND queue.id <= :last
   AND (queue.id IN (SELECT value FROM {numbers :busy})
        OR (SELECT 1 FROM ready WHERE ready.queue = queue.id AND ready.tenant = :tenant
             ORDER BY ready.priority DESC, ready.since
             LIMIT 1) IS NOT NULL)
 ORDER BY queue.id
 LIMIT :limit;

-- name: leased_by_queue
-- How many of the tenant's leases are of each queue; a bounded number of them is counted.
SELECT work.queue AS id, count(*) AS number
  FROM (SELECT lease.work FROM bot JOIN lease ON lease.bot = bot.id WHERE bot.tenant = :tenant LIMIT :most) AS held
 CROSS JOIN work ON work.id = held.work
 GROUP BY work.queue;

-- name: able_bots
-- The tenant's bots that may get work.
SELECT id, type, name, skills, dedicated, capacity, (SELECT count(*) FROM lease WHERE lease.bot = bot.id) AS held
  FROM bot WHERE tenant = :tenant AND status = 'active' ORDER BY id;

-- name: leases_of_bot
-- A page of what a bot holds, with the titles of the tasks.
SELECT lease.work, lease.task, task.title, lease.lease_id, lease.attempt, lease.granted_at, lease.expires_at,
       lease.ends_at, lease.cancelled, work.kind, work.key, work.round, work.priority
  FROM lease
  JOIN work ON work.id = lease.work
  JOIN task ON task.id = lease.task
 WHERE lease.bot = :bot AND lease.work > :after
 ORDER BY lease.work
 LIMIT :limit;

-- name: open_approvals_page
-- A page of a tenant's open approvals, what expires first first; with sizes, as a plan may have megabytes.
SELECT id, expires_at, octet_length(question) + octet_length(choices) + coalesce(octet_length(schema), 0)
           + coalesce(octet_length(subject), 0) + coalesce(octet_length(decision), 0) AS bytes
  FROM approval
 WHERE tenant = :tenant AND state = 'open' AND (expires_at, id) > (:after_at, :after_id)
 ORDER BY expires_at, id
 LIMIT :limit;

-- name: open_approvals_count
-- How many of a tenant's approvals are open, up to a bound.
SELECT count(*) AS number
  FROM (SELECT id FROM approval WHERE tenant = :tenant AND state = 'open'
         ORDER BY expires_at, id
         LIMIT :most) AS counted;

-- name: approvals_by_id
-- Approvals of a tenant by id.
SELECT {part approval_shown} FROM {each :ids} AS wanted CROSS JOIN approval ON approval.id = wanted.value
 WHERE approval.tenant = :tenant;

-- name: approval_names
-- Of each approval the title of its task, and the name of who asked, as far as it is known.
SELECT approval.id, task.title,
       coalesce((SELECT coalesce(person.name, api_key.owner, api_key.bot)
                   FROM api_key LEFT JOIN person ON person.id = api_key.person
                  WHERE api_key.id = approval.asked_by AND api_key.tenant = approval.tenant),
                approval.asked_by) AS asker
  FROM {each :ids} AS wanted
 CROSS JOIN approval ON approval.id = wanted.value
  JOIN task ON task.id = approval.task;

-- ---- events ---------------------------------------------------------------------------------------------------------

-- name: events_of_task
-- Events of one task after a cursor. Within a task, cursors have the order of the sequence, which has an index: the
-- sequence of the event that the cursor names is where to begin, if it is one of this task.
SELECT seq, {event.*}
  FROM event
 WHERE task = :task AND seq > :after
   AND sequence > coalesce((SELECT last.sequence FROM event AS last WHERE last.seq = :after AND last.task = :task), 0)
 ORDER BY sequence
 LIMIT :limit;

-- name: events_of_tenant_newest
-- Events of one tenant between two cursors, the newest first.
SELECT seq, {event.*} FROM event
 WHERE tenant = :tenant AND seq > :after AND seq < :before
 ORDER BY seq DESC
 LIMIT :limit;

-- name: events_of_task_newest
-- The same for one task.
SELECT seq, {event.*} FROM event
 WHERE task = :task AND seq > :after AND seq < :before
   AND sequence < coalesce((SELECT next.sequence FROM event AS next WHERE next.seq = :before AND next.task = :task),
                           CAST(4611686018427387904 AS bigint))
 ORDER BY sequence DESC
 LIMIT :limit;

-- name: events_of_tenant_kinds
-- Numbers and kinds of a tenant's events after a cursor: what a filter looks at.
SELECT seq, kind FROM event WHERE tenant = :tenant AND seq > :after AND seq < :before ORDER BY seq LIMIT :limit;

-- name: events_of_tenant_kinds_newest
-- The same, the newest first.
SELECT seq, kind FROM event WHERE tenant = :tenant AND seq > :after AND seq < :before ORDER BY seq DESC LIMIT :limit;

-- name: events_of_task_kinds
-- The same for one task, in order.
SELECT seq, kind
  FROM event
 WHERE task = :task AND seq > :after AND seq < :before
   AND sequence > coalesce((SELECT last.sequence FROM event AS last WHERE last.seq = :after AND last.task = :task), 0)
 ORDER BY sequence
 LIMIT :limit;

-- name: events_of_task_kinds_newest
-- The same for one task, the newest first.
SELECT seq, kind
  FROM event
 WHERE task = :task AND seq > :after AND seq < :before
   AND sequence < coalesce((SELECT next.sequence FROM event AS next WHERE next.seq = :before AND next.task = :task),
                           CAST(4611686018427387904 AS bigint))
 ORDER BY sequence DESC
 LIMIT :limit;

-- name: events_of_tenant_tasks
-- What a tenant's events after a cursor are about, without their bodies.
SELECT seq, kind, task FROM event WHERE tenant = :tenant AND seq > :after ORDER BY seq LIMIT :limit;

-- name: changes_after
-- What the events of all tenants after a cursor are about, up to a number of events: a row for each task and whether its
-- events are of tasks, items and approvals alone, and for each other kind.
SELECT max(seq) AS seq, tenant, kind, task, count(*) AS number
  FROM (SELECT seq, tenant, task,
               CASE WHEN task IS NULL THEN kind
                    WHEN kind LIKE 'task.%' OR kind LIKE 'work.%' OR kind LIKE 'approval.%' THEN 'task'
                    ELSE kind END AS kind
          FROM event
         WHERE seq > :after
         ORDER BY seq
         LIMIT :limit) AS following
 GROUP BY tenant, kind, task;

-- name: parties_of_tasks
-- Whose these tasks of a tenant are.
SELECT task.id, task.party FROM {each :ids} AS wanted CROSS JOIN task ON task.id = wanted.value
 WHERE task.tenant = :tenant;

-- name: events_of_numbers
-- Events by number.
SELECT event.seq, {event.*} FROM {numbers :numbers} AS wanted CROSS JOIN event ON event.seq = wanted.value
 ORDER BY event.seq;

-- ---- audit records, the newest first --------------------------------------------------------------------------------

-- name: audit_positions_newest
-- Indexes of a tenant's audit records between two, with the columns for further filters.
SELECT place, actor, action
  FROM audit_leaf
 WHERE tenant = :tenant AND place > :after AND place < :before
 ORDER BY place DESC
 LIMIT :limit;

-- name: audit_positions_of_task_newest
-- The same for one task.
SELECT place, actor, action
  FROM audit_leaf
 WHERE task = :task AND tenant = :tenant AND place > :after AND place < :before
 ORDER BY place DESC
 LIMIT :limit;

-- name: audit_positions_of_actor_newest
-- The same for one actor.
SELECT place, actor, action
  FROM audit_leaf
 WHERE tenant = :tenant AND actor = :actor AND place > :after AND place < :before
 ORDER BY place DESC
 LIMIT :limit;

-- name: audit_positions_of_action_newest
-- The same for one action.
SELECT place, actor, action
  FROM audit_leaf
 WHERE tenant = :tenant AND action = :action AND place > :after AND place < :before
 ORDER BY place DESC
 LIMIT :limit;

-- name: task_of_resource
-- The task of an item or approval of a tenant, or the task itself.
SELECT task AS id FROM work WHERE id = :resource AND tenant = :tenant
 UNION ALL
SELECT task FROM approval WHERE id = :resource AND tenant = :tenant
 UNION ALL
SELECT id FROM task WHERE id = :resource AND tenant = :tenant
 LIMIT 1;

-- name: audit_places_about
-- Those of these records of a tenant whose leaf has :said.
{own};

-- ---- operations -----------------------------------------------------------------------------------------------------

-- name: operation_row
-- One operation of a tenant.
SELECT {operation} FROM operation WHERE tenant = :tenant AND id = :operation;

-- name: open_operations
-- Operations that have not ended, the oldest first.
SELECT {operation} FROM operation WHERE ended_at IS NULL ORDER BY created_at, id LIMIT :limit;

-- name: open_operations_of
-- How many operations of a tenant have not ended, up to a bound.
SELECT count(*) AS number
  FROM (SELECT id FROM operation WHERE tenant = :tenant AND ended_at IS NULL LIMIT :limit) AS counted;

-- name: operations_over
-- One that ended before a time, if there is one.
SELECT id, tenant FROM operation WHERE ended_at < :before ORDER BY ended_at, id LIMIT 1;

-- name: operation_items
-- The next tasks of an operation.
SELECT place, task, outcome, code, detail, slice
  FROM operation_item WHERE operation = :operation AND place > :after
 ORDER BY place
 LIMIT :limit;

-- name: operation_items_page
-- A page of an operation's tasks, or of those with an outcome.
SELECT place, task, outcome, code, detail, slice
  FROM operation_item
 WHERE operation = :operation AND place > :after AND (CAST(:outcome AS text) IS NULL OR outcome = :outcome)
 ORDER BY place
 LIMIT :limit;

-- name: operations_page
-- A page of a tenant's operations, the newest first.
SELECT {operation} FROM operation WHERE tenant = :tenant AND (created_at, id) < (:before_at, :before_id)
 ORDER BY created_at DESC, id DESC
 LIMIT :limit;

-- name: operations_of_party_page
-- The same for what one party has begun.
SELECT {operation} FROM operation
 WHERE tenant = :tenant AND party = :party AND (created_at, id) < (:before_at, :before_id)
 ORDER BY created_at DESC, id DESC
 LIMIT :limit;
