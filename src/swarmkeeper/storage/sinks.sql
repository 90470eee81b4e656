-- Reads of sinks, which get the audit log; see sinks/sink_reads.py for their rows.

-- name: sink_heads
-- The audit logs that have records which a sink has not got. Its cursor in a tenant's log counts records.
-- `begin` is the first record that is still in the store; `oldest` is the time of the first one that the sink lacks.
SELECT tree.tenant, tree.size, coalesce(start.size, 0) AS begin, coalesce(sink.seq, 0) AS cursor,
       (SELECT leaf.at
          FROM audit_leaf AS leaf
         WHERE leaf.tenant = tree.tenant
           AND leaf.place >= {greatest}(coalesce(sink.seq, 0), coalesce(start.size, 0))
         ORDER BY leaf.place
         LIMIT 1) AS oldest
  FROM audit_tree AS tree
  LEFT JOIN audit_start AS start ON start.tenant = tree.tenant
  LEFT JOIN sink ON sink.name = CAST(:prefix AS text) || tree.tenant
 WHERE tree.size > coalesce(sink.seq, 0)
 ORDER BY tree.tenant;

-- name: sink_records
-- A tenant's audit records from an index on.
SELECT place, id, leaf, body FROM audit_leaf WHERE tenant = :tenant AND place >= :begin ORDER BY place LIMIT :limit;

-- part: traced
SELECT attempt.work, work.kind, attempt.task, attempt.tenant, attempt.attempt, attempt.lease_id, attempt.bot,
       bot.name AS bot_name, bot.version AS bot_version, attempt.started, attempt.ended, attempt.ending, attempt.usage

-- name: traced_tasks
-- To which traces tasks belong.
SELECT task.id, task.tenant, task.trace, task.created_at
  FROM {each :tasks} AS wanted CROSS JOIN task ON task.id = wanted.value;

-- name: traced_attempts
-- All ended attempts at some items.
{part traced}
  FROM {each :works} AS wanted
 CROSS JOIN attempt ON attempt.work = wanted.value
  JOIN work ON work.id = attempt.work
  LEFT JOIN bot ON bot.id = attempt.bot
 ORDER BY attempt.work, attempt.attempt;

-- name: traced_cancelled
-- Attempts that a task took along when it ended at a time: those that ended so, and those that their bots still hold.
{part traced}
  FROM attempt
  JOIN work ON work.id = attempt.work
  LEFT JOIN bot ON bot.id = attempt.bot
 WHERE attempt.task = :task AND attempt.ending = :ending
UNION ALL
SELECT lease.work, work.kind, lease.task, lease.tenant, lease.attempt, lease.lease_id, lease.bot,
       bot.name, bot.version, lease.granted_at, CAST(:at AS bigint), CAST(:ending AS text), lease.usage
  FROM work
  JOIN lease ON lease.work = work.id AND lease.cancelled
  LEFT JOIN bot ON bot.id = lease.bot
 WHERE work.task = :task;
