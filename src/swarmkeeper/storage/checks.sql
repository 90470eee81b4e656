-- Reads of administration tools: metrics, the audit log in order, and checks of invariants.

-- name: metrics_ready
-- Ready items per queue and tenant.
SELECT counted.tenant AS tenant, queue.kind AS kind, queue.skills AS skills, sum(counted.items) AS items,
       min(counted.oldest) AS oldest
  FROM (SELECT queue, tenant, count(*) AS items, min(since) AS oldest FROM ready GROUP BY queue, tenant) AS counted
  JOIN queue ON queue.id = counted.queue
 GROUP BY counted.tenant, queue.kind, queue.skills
 ORDER BY queue.kind, queue.skills, counted.tenant;

-- name: metrics_leases
-- Leases that bots hold, including those in their grace period, by tenant.
SELECT tenant, count(*) AS leases FROM lease GROUP BY tenant ORDER BY tenant;

-- name: any_key
-- Whether there is any key.
SELECT EXISTS (SELECT 1 FROM api_key) AS found;

-- name: audit_tenants
-- Tenants with an audit log, also if its head or its records are missing.
SELECT {bytes tenant} AS tenant FROM audit_tree
UNION
SELECT {bytes tenant} FROM audit_leaf
UNION
SELECT {bytes tenant} FROM audit_start
 ORDER BY tenant;

-- name: audit_head
-- The head of one log, and whether there is a record beyond it, read at the same moment.
SELECT tree.size, tree.frontier, tree.root,
       coalesce((SELECT max(place) FROM audit_leaf WHERE tenant = {text :tenant}) >= tree.size, FALSE) AS beyond
  FROM audit_tree AS tree
 WHERE tree.tenant = {text :tenant};

-- name: audit_records
-- Records of one log in order, from index :place to below :size. Texts as bytes, because tampering may have left
-- invalid text.
SELECT place, {bytes id} AS id, {bytes task} AS task, {bytes actor} AS actor,
       {bytes action} AS action, at, leaf, salt, body, hash
  FROM audit_leaf
 WHERE tenant = {text :tenant} AND place >= :place AND place < :size
 ORDER BY place
 LIMIT :n;

-- name: audit_events
-- Events of one tenant in order. Texts as bytes for the same reason.
SELECT seq, {bytes id} AS id, at, {bytes task} AS task, sequence, {bytes work} AS work,
       {bytes kind} AS kind, {bytes actor} AS actor, {bytes audit} AS audit,
       {bytes body} AS body, {bytes redacted} AS redacted
  FROM event
 WHERE tenant = {text :tenant} AND seq > :after
 ORDER BY seq
 LIMIT :n;

-- ---- invariants: each statement returns violations, and no rows in a sound store. Numbers are those of the invariants
-- ---- in the documentation. States are parameters. Tasks with an open background job are changed in slices, and are
-- ---- left out where the rows are consistent only after the last slice.

-- name: doctor_two_results
-- 1: two accepted results for one work item in one round.
SELECT work AS subject FROM attempt WHERE ending = :ended_well GROUP BY work, round HAVING count(*) > 1 LIMIT :n;

-- name: doctor_result_not_newest
-- 2: an attempt after the accepted one in the same round, or a success without an attempt.
SELECT accepted.work AS subject
  FROM attempt AS accepted
  JOIN attempt AS later ON later.work = accepted.work AND later.round = accepted.round AND later.attempt > accepted.attempt
 WHERE accepted.ending = :ended_well
UNION
SELECT work.id
  FROM work
 WHERE work.status IN (:succeeded, :in_review)
   AND NOT EXISTS (SELECT 1 FROM attempt
                    WHERE attempt.work = work.id AND attempt.attempt = work.attempt
                      AND attempt.round = work.round AND attempt.ending = :ended_well)
 LIMIT :n;

-- name: doctor_lease
-- 3: a lease on an item that is not LEASED, a LEASED item without a lease, or a lease not of the newest attempt or not
-- of the item's task.
SELECT work.id AS subject
  FROM work LEFT JOIN lease ON lease.work = work.id
 WHERE (work.status = :leased) <> (lease.work IS NOT NULL) OR lease.attempt <> work.attempt
    OR (lease.task, lease.tenant) <> (work.task, work.tenant)
 LIMIT :n;

-- name: doctor_attempts
-- 3: a granted lease that is neither live nor ended.
SELECT work.id AS subject
  FROM work LEFT JOIN (SELECT work, count(*) AS ended FROM attempt GROUP BY work) AS past ON past.work = work.id
            LEFT JOIN lease ON lease.work = work.id
 WHERE work.attempt <> coalesce(past.ended, 0) + CASE WHEN lease.work IS NULL THEN 0 ELSE 1 END
 LIMIT :n;

-- name: doctor_pending
-- 4: a BLOCKED item whose edge count is wrong or zero.
SELECT work.id AS subject
  FROM work JOIN task ON task.id = work.task
 WHERE work.status = :blocked AND NOT task.loading
   AND task.status NOT IN (SELECT value FROM {each :closed})
   AND NOT EXISTS (SELECT 1 FROM chore WHERE chore.task = work.task)
   AND (work.pending = 0
        OR work.pending <> (SELECT count(*) FROM edge JOIN work AS parent ON parent.id = edge.parent
                             WHERE edge.child = work.id
                               AND parent.status NOT IN (SELECT value FROM {each :final})))
 LIMIT :n;

-- name: doctor_counters
-- 4: a task whose subtask counts are wrong.
SELECT task.id AS subject
  FROM task LEFT JOIN (SELECT task, count(*) AS total,
                              count(*) FILTER (WHERE status NOT IN (SELECT value FROM {each :final})) AS open,
                              count(*) FILTER (WHERE status IN (SELECT value FROM {each :lost})) AS failed
                         FROM work WHERE kind = :execute GROUP BY task) AS counted ON counted.task = task.id
 WHERE NOT task.loading AND NOT EXISTS (SELECT 1 FROM chore WHERE chore.task = task.id)
   AND (task.n_total <> coalesce(counted.total, 0) OR task.n_open <> coalesce(counted.open, 0)
        OR task.n_failed <> coalesce(counted.failed, 0))
 LIMIT :n;

-- name: doctor_done
-- 4: a done task with an open subtask, or an accepted task with any open item.
SELECT DISTINCT task.id AS subject
  FROM task JOIN work ON work.task = task.id
 WHERE work.status NOT IN (SELECT value FROM {each :final})
   AND ((task.status = :completed AND work.kind = :execute) OR task.outcome = :accepted)
 LIMIT :n;

-- name: doctor_open_tasks
-- 4: a tenant whose count of open tasks is wrong.
SELECT tenant.id AS subject
  FROM tenant LEFT JOIN (SELECT tenant, count(*) AS open FROM task WHERE outcome IS NULL GROUP BY tenant) AS counted
    ON counted.tenant = tenant.id
 WHERE tenant.open_tasks <> coalesce(counted.open, 0)
 LIMIT :n;

-- name: doctor_open_subtasks
-- 4: a tenant whose count of open subtasks differs from its tasks' counts.
SELECT tenant.id AS subject
  FROM tenant LEFT JOIN (SELECT tenant, sum(n_open) AS open FROM task GROUP BY tenant) AS counted
    ON counted.tenant = tenant.id
 WHERE tenant.open_subtasks <> coalesce(counted.open, 0)
 LIMIT :n;

-- name: doctor_sequence
-- 5: a task whose events are not numbered 1, 2, 3… in feed order, or whose event count is wrong.
SELECT task AS subject
  FROM (SELECT task, sequence, row_number() OVER (PARTITION BY task ORDER BY seq) AS number
          FROM event WHERE task IS NOT NULL AND task NOT IN (SELECT task FROM chore WHERE kind = :erase)) AS numbered
 WHERE sequence <> number
UNION
SELECT task.id
  FROM task LEFT JOIN (SELECT task, count(*) AS events FROM event GROUP BY task) AS counted ON counted.task = task.id
 WHERE task.sequence <> coalesce(counted.events, 0) AND task.id NOT IN (SELECT task FROM chore WHERE kind = :erase)
 LIMIT :n;

-- name: doctor_task_changes
-- 5: a change of a task's state without an event, or an event without its change.
WITH change AS (
    SELECT task, sequence, {json body} ->> 'from' AS before, {json body} ->> 'to' AS after,
           lag({json body} ->> 'to') OVER (PARTITION BY task ORDER BY sequence) AS known,
           lead(sequence) OVER (PARTITION BY task ORDER BY sequence) IS NULL AS is_last
      -- A body that is not JSON counts as no change.
      FROM (SELECT task, sequence, kind, CASE WHEN {valid body} THEN body END AS body FROM event) AS told
     WHERE task IS NOT NULL AND kind LIKE 'task.%' AND task NOT IN (SELECT task FROM chore WHERE kind = :erase)
       AND {json body} ->> 'to' IN (SELECT value FROM {each :task_statuses})
)
SELECT task AS subject FROM change WHERE before IS DISTINCT FROM known
UNION
SELECT task.id
  FROM task LEFT JOIN change ON change.task = task.id AND change.is_last
 WHERE change.after IS DISTINCT FROM task.status AND task.id NOT IN (SELECT task FROM chore WHERE kind = :erase)
 LIMIT :n;

-- name: doctor_grants
-- 5: a granted lease without exactly one event.
SELECT work.id AS subject
  FROM work LEFT JOIN (SELECT work, count(*) AS events FROM event WHERE kind = :event_leased GROUP BY work) AS counted
         ON counted.work = work.id
 WHERE work.attempt <> coalesce(counted.events, 0)
 LIMIT :n;

-- name: doctor_cuts
-- 5: lost events of a record that does not exist, or that no erased task explains.
SELECT audit AS subject
  FROM audit_cut
 WHERE audit NOT IN (SELECT id FROM audit_leaf)
    OR NOT EXISTS (SELECT 1 FROM audit_leaf AS told WHERE told.task = audit_cut.task AND told.action = :task_erase)
 LIMIT :n;

-- name: doctor_granted_bot
-- 5: a lease, or a lease that has ended, of another bot than its event says.
WITH granted (work, attempt, bot) AS (
    SELECT work, CAST({json body} ->> 'attempt' AS bigint), {json body} ->> 'bot'
      FROM (SELECT work, kind, CASE WHEN {valid body} THEN body END AS body FROM event) AS told
     WHERE kind = :event_leased
)
SELECT granted.work AS subject
  FROM granted JOIN lease ON lease.work = granted.work AND lease.attempt = granted.attempt
 WHERE lease.bot IS DISTINCT FROM granted.bot
UNION
SELECT granted.work
  FROM granted JOIN attempt ON attempt.work = granted.work AND attempt.attempt = granted.attempt
 WHERE attempt.bot IS DISTINCT FROM granted.bot
 LIMIT :n;

-- name: doctor_event_without_record
-- 5: an event that names a missing audit record, unless it is as old as the records that have left.
SELECT id AS subject, tenant
  FROM event
 WHERE audit NOT IN (SELECT id FROM audit_leaf)
   AND NOT EXISTS (SELECT 1 FROM audit_start WHERE audit_start.tenant = event.tenant AND event.at <= audit_start.at)
 LIMIT :n;

-- name: doctor_record_events
-- 5: two audit records with one id, or a record whose events do not match those that name it. Erased bodies are skipped,
-- and events that left with their task are counted.
{own};

-- name: doctor_key_limits
-- 6: more leases of a key than it allows, or another number than its row says.
SELECT min(work.id) AS subject
  FROM lease JOIN work ON work.id = lease.work, {pairs work.limits} AS own
 GROUP BY work.tenant, own.value ->> 0
HAVING count(*) > max(CAST(own.value ->> 1 AS bigint))
UNION
SELECT key_limit.id
  FROM key_limit
 WHERE running <> (SELECT count(*) FROM lease JOIN work ON work.id = lease.work, {pairs work.limits} AS own
                    WHERE work.tenant = key_limit.tenant AND own.value ->> 0 = key_limit.key)
 LIMIT :n;

-- name: doctor_key_lines
-- 6: a line with other numbers than its items show, an item in no line that is known, or a line that nothing moves.
-- A number may also be written as nobody here writes it, such as `1_2`, which some casts take for 12.
SELECT key_limit.id AS subject
  FROM key_limit, {members key_limit.lines} AS own
 WHERE own.key <> CAST(CAST(own.key AS bigint) AS text)
    OR (CAST({json own.value} ->> 0 AS bigint), CAST({json own.value} ->> 1 AS bigint)) <> (
           SELECT count(start_due), count(*) - count(start_due)
             FROM work WHERE work.line = key_limit.id AND work.queue = CAST(own.key AS bigint))
UNION
SELECT work.id
  FROM work
 WHERE work.line IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM key_limit, {members key_limit.lines} AS own
                    WHERE key_limit.id = work.line AND CAST(own.key AS bigint) = work.queue)
UNION
SELECT key_limit.id
  FROM key_limit, {members key_limit.lines} AS own
 WHERE running = 0 AND CAST({json own.value} ->> 0 AS bigint) = 0 AND CAST({json own.value} ->> 1 AS bigint) > 0
   AND NOT EXISTS (SELECT 1 FROM timer WHERE timer.kind = :timer_line AND timer.ref = key_limit.id)
 LIMIT :n;

-- name: doctor_ready
-- 8: a READY item that could run but has no queue entry or no time to start; or a queue entry of an item that cannot run.
SELECT work.id AS subject
  FROM work JOIN task ON task.id = work.task
       LEFT JOIN ready ON ready.work = work.id
 WHERE NOT EXISTS (SELECT 1 FROM chore WHERE chore.task = work.task)
   AND CASE WHEN work.status = :ready AND NOT task.loading AND task.holds = '[]'
                 AND task.status NOT IN (SELECT value FROM {each :closed})
            THEN (ready.work IS NULL OR ready.start_due IS NULL OR work.start_due IS NULL)
                 AND (work.line IS NULL OR work.start_due IS NOT NULL)  -- else it waits for a key
            ELSE ready.work IS NOT NULL END
 LIMIT :n;

-- name: doctor_lease_timers
-- 8: a cancelled lease without the timer that ends its grace period, a live one with that timer, or a timer of a kind
-- whose times are those of leases and queue entries.
SELECT lease.work AS subject
  FROM lease
 WHERE lease.cancelled
       <> EXISTS (SELECT 1 FROM timer WHERE timer.kind = :timer_grace AND timer.ref = lease.work)
UNION
SELECT timer.ref FROM timer WHERE timer.kind IN (SELECT value FROM {each :timers_without_rows})
 LIMIT :n;

-- name: doctor_cooldowns
-- 8: a cooldown that runs without a timer, or a timer of a cooldown that is over.
SELECT id AS subject
  FROM cooldown
 WHERE (phase <> :due) <> EXISTS (SELECT 1 FROM timer WHERE timer.kind = :timer_cooldown AND timer.ref = cooldown.id)
UNION
SELECT ref FROM timer WHERE kind = :timer_cooldown AND ref NOT IN (SELECT id FROM cooldown)
 LIMIT :n;

-- name: doctor_kills
-- 8: a kill without its timer, or a timer of a kill that was lifted.
SELECT id AS subject
  FROM kill
 WHERE NOT EXISTS (SELECT 1 FROM timer WHERE timer.kind = :timer_kill AND timer.ref = kill.id)
UNION
SELECT ref FROM timer WHERE kind = :timer_kill AND ref NOT IN (SELECT id FROM kill)
 LIMIT :n;

-- name: doctor_waiting
-- 8: a WAITING item without a wake time or a question, or an open question without an expiry.
SELECT work.id AS subject
  FROM work
 WHERE work.status = :waiting
   AND CASE WHEN work.wake IS NOT NULL
            THEN NOT EXISTS (SELECT 1 FROM timer WHERE timer.kind = :timer_wake AND timer.ref = work.id)
            ELSE NOT EXISTS (SELECT 1 FROM approval WHERE approval.task = work.task AND approval.work = work.id
                                                      AND approval.state = :open) END
UNION
SELECT approval.id
  FROM approval
 WHERE approval.state = :open
   AND NOT EXISTS (SELECT 1 FROM timer WHERE timer.kind = :timer_answer AND timer.ref = approval.id)
 LIMIT :n;

-- name: doctor_in_review
-- 8: a result in review without a review item.
SELECT work.id AS subject
  FROM work JOIN task ON task.id = work.task
 WHERE work.status = :in_review
   AND task.status NOT IN (SELECT value FROM {each :closed})
   AND NOT EXISTS (SELECT 1 FROM work AS review
                    WHERE review.task = work.task AND review.subject = work.id AND review.kind = :review
                      AND review.status NOT IN (SELECT value FROM {each :final}))
 LIMIT :n;

-- name: doctor_idle_task
-- 8: an open task that nothing can advance, a deadline without a timer, or a final task with open items.
SELECT task.id AS subject
  FROM task
 WHERE task.status NOT IN (SELECT value FROM {each :closed})
   AND NOT EXISTS (SELECT 1 FROM chore WHERE chore.task = task.id)
   AND NOT EXISTS (SELECT 1 FROM work
                    WHERE work.task = task.id AND work.status NOT IN (SELECT value FROM {each :final}))
   AND NOT EXISTS (SELECT 1 FROM approval WHERE approval.task = task.id AND approval.state = :open)
UNION
SELECT task.id
  FROM task
 WHERE task.deadline IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM timer WHERE timer.kind = :timer_deadline AND timer.ref = task.id)
UNION
SELECT task.id
  FROM task JOIN work ON work.task = task.id LEFT JOIN lease ON lease.work = work.id
 WHERE task.status IN (SELECT value FROM {each :closed})
   AND work.status NOT IN (SELECT value FROM {each :final})
   AND lease.cancelled IS NOT TRUE
   AND NOT EXISTS (SELECT 1 FROM chore WHERE chore.task = task.id)
 LIMIT :n;

-- name: doctor_clock
-- The store's time, if it is later than possible.
{own};

-- name: doctor_damage
-- SQLite's own integrity check: one row `ok` if it finds no error.
{own};

-- name: doctor_events
-- 10: contents of events, by page.
SELECT seq AS place, id AS subject, NULL AS head, body FROM event WHERE seq > :place ORDER BY seq LIMIT :n;

-- name: doctor_records
-- 10: contents of audit records, by page: the leaf and, unless erased, the body.
{own};

-- part: accounts
-- All budgets, with what they are of.
account (subject, level, budget) AS (
    SELECT id, 'tenant', budget FROM tenant WHERE budget IS NOT NULL
     UNION ALL SELECT id, 'task', budget FROM task WHERE budget IS NOT NULL
     UNION ALL SELECT id, 'subtask', budget FROM work WHERE budget IS NOT NULL
);

-- name: doctor_budget_limit
-- 6: a budget of which more is spent and reserved than its limit and its recorded overshoot, or less than nothing.
WITH {part accounts}
SELECT account.subject
  FROM account, {members {json account.budget} -> 'limit'} AS most
 WHERE coalesce(CAST({json account.budget} -> 'spent' ->> most.key AS bigint), 0)
       + coalesce(CAST({json account.budget} -> 'reserved' ->> most.key AS bigint), 0)
       > CAST(most.value AS bigint) + coalesce(CAST({json account.budget} -> 'overshoot' ->> most.key AS bigint), 0)
UNION
SELECT account.subject
  FROM account, {members {json account.budget} -> 'reserved'} AS held
 WHERE CAST(held.value AS bigint) < 0
 LIMIT :n;

-- name: doctor_budget_reserved
-- 6: a budget whose reserved amounts are not those of its live leases.
WITH {part accounts}, held (subject, level, amount, total) AS (
    SELECT CASE level.value WHEN 'tenant' THEN lease.tenant WHEN 'task' THEN lease.task ELSE lease.work END,
           level.value, amount.key, sum(CAST(amount.value AS bigint))
      FROM lease, {each {json lease.reserved} -> 'levels'} AS level, {members {json lease.reserved} -> 'amounts'} AS amount
     WHERE lease.reserved IS NOT NULL
     GROUP BY 1, 2, 3
)
SELECT account.subject
  FROM account CROSS JOIN {members {json account.budget} -> 'reserved'} AS kept
  LEFT JOIN held ON held.subject = account.subject AND held.level = account.level AND held.amount = kept.key
 WHERE CAST(kept.value AS bigint) <> coalesce(held.total, 0)
UNION
SELECT held.subject
  FROM held LEFT JOIN account ON account.subject = held.subject AND account.level = held.level
 WHERE held.total <> coalesce(CAST({json account.budget} -> 'reserved' ->> held.amount AS bigint), 0)
 LIMIT :n;

-- name: doctor_budget_hold
-- 6: a task that waits for the rest of its budget, although no lease has reserved any.
SELECT task.id AS subject
  FROM task, {each task.holds} AS hold
 WHERE hold.value = 'budget'
   AND NOT EXISTS (SELECT 1 FROM lease WHERE lease.task = task.id AND lease.reserved IS NOT NULL)
 LIMIT :n;

-- name: doctor_budget_spent
-- 6: a budget whose spent amounts are not those that its ended attempts and late results have settled.
WITH {part accounts}, ended (tenant, task, work, settled) AS (
    SELECT tenant, task, work, settled FROM attempt WHERE settled IS NOT NULL
     UNION ALL SELECT tenant, task, work, settled FROM late_result WHERE settled IS NOT NULL
), settled (subject, level, amount, total) AS (
    SELECT CASE level.value WHEN 'tenant' THEN ended.tenant WHEN 'task' THEN ended.task ELSE ended.work END,
           level.value, amount.key, CAST(amount.value AS bigint)
      FROM ended, {each {json ended.settled} -> 'levels'} AS level, {members {json ended.settled} -> 'amounts'} AS amount
     UNION ALL SELECT tenant, 'tenant', amount, total FROM erased_use
), used (subject, level, amount, total) AS (
    SELECT subject, level, amount, sum(total) FROM settled GROUP BY 1, 2, 3
)
SELECT account.subject
  FROM account CROSS JOIN {members {json account.budget} -> 'spent'} AS kept
  LEFT JOIN used ON used.subject = account.subject AND used.level = account.level AND used.amount = kept.key
 WHERE CAST(kept.value AS bigint) <> coalesce(used.total, 0)
UNION
SELECT used.subject
  FROM used LEFT JOIN account ON account.subject = used.subject AND account.level = used.level
 WHERE used.amount <> 'unpriced_tokens'
   AND used.total <> coalesce(CAST({json account.budget} -> 'spent' ->> used.amount AS bigint), 0)
UNION
SELECT used.subject
  FROM used LEFT JOIN account ON account.subject = used.subject AND account.level = used.level
 WHERE used.amount = 'unpriced_tokens' AND used.total <> CAST({json account.budget} ->> 'unpriced_tokens' AS bigint)
 LIMIT :n;

-- name: doctor_leftovers
-- 12: a row that belongs to a task which does not exist.
SELECT task AS subject FROM work WHERE task NOT IN (SELECT id FROM task)
UNION SELECT task FROM edge WHERE task NOT IN (SELECT id FROM task)
UNION SELECT task FROM payload WHERE task NOT IN (SELECT id FROM task)
UNION SELECT task FROM attempt WHERE task NOT IN (SELECT id FROM task)
UNION SELECT task FROM late_result WHERE task NOT IN (SELECT id FROM task)
UNION SELECT task FROM feedback WHERE task NOT IN (SELECT id FROM task)
UNION SELECT task FROM answered WHERE task NOT IN (SELECT id FROM task)
UNION SELECT task FROM approval WHERE task NOT IN (SELECT id FROM task)
UNION SELECT task FROM message WHERE task NOT IN (SELECT id FROM task)
UNION SELECT task FROM chore WHERE task NOT IN (SELECT id FROM task)
UNION SELECT task FROM event WHERE task IS NOT NULL AND task NOT IN (SELECT id FROM task)
 LIMIT :n;

-- name: doctor_erased_under_hold
-- 12: a task that is missing or being erased although a legal hold keeps it.
SELECT task AS subject
  FROM legal_hold
 WHERE task <> :whole_tenant AND (task NOT IN (SELECT id FROM task) OR task IN (SELECT task FROM chore WHERE kind = :erase))
 LIMIT :n;

-- name: audit_log_start
-- How many of the first records have left a log, and the frontier of their tree.
SELECT size, frontier, at FROM audit_start WHERE tenant = {text :tenant};

-- name: audit_cuts
-- Records that list events which left with the task of others, where a record of that erasure exists.
SELECT {bytes audit} AS audit, sum(events) AS events
  FROM audit_cut
 WHERE EXISTS (SELECT 1 FROM audit_leaf AS told WHERE told.task = audit_cut.task AND told.action = :task_erase)
 GROUP BY audit;

-- name: audit_erased
-- Tasks that were erased although records of others list their events.
SELECT DISTINCT audit_cut.task
  FROM audit_cut
 WHERE EXISTS (SELECT 1 FROM audit_leaf AS told WHERE told.task = audit_cut.task AND told.action = :task_erase);

-- name: doctor_erased_events
-- 5: an event, of whatever task or of none, that names a record whose body was erased with the record's task.
SELECT id AS subject
  FROM event
 WHERE audit IN (SELECT id
                   FROM audit_leaf
                  WHERE body IS NULL AND task NOT IN (SELECT task FROM chore WHERE kind = :erase))
 LIMIT :n;

-- ---- what holds how much ---------------------------------------------------------------------------------------------

-- name: size_of_tables
-- Bytes and rows of each table, with its indexes; `spare` is what its own pages have left.
{own};

-- name: size_of_free
-- Bytes of the file that hold nothing, and are used again before it grows.
{own};

-- name: size_of_tenants
-- Number of each tenant's tasks, how many of them are finished, when the oldest began, and bytes of its payloads.
SELECT tenant.id AS tenant, count(task.id) AS tasks, count(task.outcome) AS finished, min(task.created_at) AS oldest,
       tenant.stored_bytes
  FROM tenant LEFT JOIN task ON task.tenant = tenant.id
 GROUP BY tenant.id
 ORDER BY tenant.id;
