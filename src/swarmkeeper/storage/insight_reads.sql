-- Reads for dashboards; see reads/insight/insight_reads.py.

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
