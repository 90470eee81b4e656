-- Lists and counts of tasks. Each begins with one set of tasks that an index has in the order of their creation, and passes
-- over those that do not have everything else. So it needs few steps unless most are passed over; that is bounded by its
-- caller, who gives the last place to look at (see reads/tasks/). Times and ids: low and high are places; the newest first
-- from below :high to :low itself, the oldest first from above :low to :high itself.

-- part: shown
SELECT {task.*}, (SELECT {size payload} FROM payload WHERE payload.id = task.spec) AS spec_bytes;

-- part: wanted
   AND (CAST(:party AS text) IS NULL OR task.party = :party)
   AND (CAST(:statuses AS text) IS NULL OR task.status IN (SELECT value FROM {each :statuses}))
   AND (CAST(:outcomes AS text) IS NULL OR task.outcome IN (SELECT value FROM {each :outcomes}))
   AND NOT EXISTS (SELECT 1 FROM {each :labels} AS wanted
                    WHERE NOT EXISTS (SELECT 1 FROM task_label
                                       WHERE task_label.tenant = task.tenant AND task_label.label = wanted.value
                                         AND task_label.created_at = task.created_at AND task_label.task = task.id));

-- ---- all tasks of the tenant ---------------------------------------------------------------------------------------

-- name: tasks_newest
-- A page, newest first; with the size of the submitted body.
{part shown}
  FROM task {by task_of_tenant}
 WHERE task.tenant = :tenant
   AND (task.created_at, task.id) < (:high_at, :high_id) AND (task.created_at, task.id) >= (:low_at, :low_id)
{part wanted}
 ORDER BY task.created_at DESC, task.id DESC
 LIMIT :limit;

-- name: tasks_newest_until
-- The place of the last task to look at, if there are so many.
SELECT task.created_at AS at, task.id AS id
  FROM task {by task_of_tenant}
 WHERE task.tenant = :tenant
   AND (task.created_at, task.id) < (:high_at, :high_id) AND (task.created_at, task.id) >= (:low_at, :low_id)
 ORDER BY task.created_at DESC, task.id DESC
 LIMIT 1 OFFSET :passed;

-- name: tasks_oldest
-- A page, oldest first; with the size of the submitted body.
{part shown}
  FROM task {by task_of_tenant}
 WHERE task.tenant = :tenant
   AND (task.created_at, task.id) > (:low_at, :low_id) AND (task.created_at, task.id) <= (:high_at, :high_id)
{part wanted}
 ORDER BY task.created_at, task.id
 LIMIT :limit;

-- name: tasks_oldest_until
-- The place of the last task to look at, if there are so many.
SELECT task.created_at AS at, task.id AS id
  FROM task {by task_of_tenant}
 WHERE task.tenant = :tenant
   AND (task.created_at, task.id) > (:low_at, :low_id) AND (task.created_at, task.id) <= (:high_at, :high_id)
 ORDER BY task.created_at, task.id
 LIMIT 1 OFFSET :passed;

-- name: tasks_counted
-- How many match, up to the last place to look at.
SELECT count(*) AS number
  FROM task {by task_of_tenant}
 WHERE task.tenant = :tenant
   AND (task.created_at, task.id) < (:high_at, :high_id) AND (task.created_at, task.id) >= (:low_at, :low_id)
{part wanted};

-- name: tasks_bounded
-- How many there are, at most :most.
SELECT count(*) AS number
  FROM (SELECT 1
          FROM task {by task_of_tenant}
         WHERE task.tenant = :tenant
           AND (task.created_at, task.id) < (:high_at, :high_id) AND (task.created_at, task.id) >= (:low_at, :low_id)
         LIMIT :most) AS found;

-- name: tasks_of_priority
-- A page of those with one priority, oldest first.
{part shown}
  FROM task {by task_of_priority}
 WHERE task.tenant = :tenant AND task.priority = CAST(:priority AS bigint)
   AND (task.created_at, task.id) > (:low_at, :low_id) AND (task.created_at, task.id) <= (:high_at, :high_id)
{part wanted}
 ORDER BY task.created_at, task.id
 LIMIT :limit;

-- name: tasks_of_priority_until
-- The place of the last task to look at, if there are so many.
SELECT task.created_at AS at, task.id AS id
  FROM task {by task_of_priority}
 WHERE task.tenant = :tenant AND task.priority = CAST(:priority AS bigint)
   AND (task.created_at, task.id) > (:low_at, :low_id) AND (task.created_at, task.id) <= (:high_at, :high_id)
 ORDER BY task.created_at, task.id
 LIMIT 1 OFFSET :passed;

-- ---- those that have not ended -------------------------------------------------------------------------------------

-- name: open_tasks_newest
-- A page, newest first; with the size of the submitted body.
{part shown}
  FROM task {by task_open}
 WHERE task.tenant = :tenant AND task.outcome IS NULL
   AND (task.created_at, task.id) < (:high_at, :high_id) AND (task.created_at, task.id) >= (:low_at, :low_id)
{part wanted}
 ORDER BY task.created_at DESC, task.id DESC
 LIMIT :limit;

-- name: open_tasks_newest_until
-- The place of the last task to look at, if there are so many.
SELECT task.created_at AS at, task.id AS id
  FROM task {by task_open}
 WHERE task.tenant = :tenant AND task.outcome IS NULL
   AND (task.created_at, task.id) < (:high_at, :high_id) AND (task.created_at, task.id) >= (:low_at, :low_id)
 ORDER BY task.created_at DESC, task.id DESC
 LIMIT 1 OFFSET :passed;

-- name: open_tasks_oldest
-- A page, oldest first; with the size of the submitted body.
{part shown}
  FROM task {by task_open}
 WHERE task.tenant = :tenant AND task.outcome IS NULL
   AND (task.created_at, task.id) > (:low_at, :low_id) AND (task.created_at, task.id) <= (:high_at, :high_id)
{part wanted}
 ORDER BY task.created_at, task.id
 LIMIT :limit;

-- name: open_tasks_oldest_until
-- The place of the last task to look at, if there are so many.
SELECT task.created_at AS at, task.id AS id
  FROM task {by task_open}
 WHERE task.tenant = :tenant AND task.outcome IS NULL
   AND (task.created_at, task.id) > (:low_at, :low_id) AND (task.created_at, task.id) <= (:high_at, :high_id)
 ORDER BY task.created_at, task.id
 LIMIT 1 OFFSET :passed;

-- name: open_tasks_counted
-- How many match, up to the last place to look at.
SELECT count(*) AS number
  FROM task {by task_open}
 WHERE task.tenant = :tenant AND task.outcome IS NULL
   AND (task.created_at, task.id) < (:high_at, :high_id) AND (task.created_at, task.id) >= (:low_at, :low_id)
{part wanted};

-- name: open_tasks_bounded
-- How many there are, at most :most.
SELECT count(*) AS number
  FROM (SELECT 1
          FROM task {by task_open}
         WHERE task.tenant = :tenant AND task.outcome IS NULL
           AND (task.created_at, task.id) < (:high_at, :high_id) AND (task.created_at, task.id) >= (:low_at, :low_id)
         LIMIT :most) AS found;

-- ---- those with one outcome ----------------------------------------------------------------------------------------

-- name: ended_tasks_newest
-- A page, newest first; with the size of the submitted body.
{part shown}
  FROM task {by task_ended}
 WHERE task.tenant = :tenant AND task.outcome = :only
   AND (task.created_at, task.id) < (:high_at, :high_id) AND (task.created_at, task.id) >= (:low_at, :low_id)
{part wanted}
 ORDER BY task.created_at DESC, task.id DESC
 LIMIT :limit;

-- name: ended_tasks_newest_until
-- The place of the last task to look at, if there are so many.
SELECT task.created_at AS at, task.id AS id
  FROM task {by task_ended}
 WHERE task.tenant = :tenant AND task.outcome = :only
   AND (task.created_at, task.id) < (:high_at, :high_id) AND (task.created_at, task.id) >= (:low_at, :low_id)
 ORDER BY task.created_at DESC, task.id DESC
 LIMIT 1 OFFSET :passed;

-- name: ended_tasks_oldest
-- A page, oldest first; with the size of the submitted body.
{part shown}
  FROM task {by task_ended}
 WHERE task.tenant = :tenant AND task.outcome = :only
   AND (task.created_at, task.id) > (:low_at, :low_id) AND (task.created_at, task.id) <= (:high_at, :high_id)
{part wanted}
 ORDER BY task.created_at, task.id
 LIMIT :limit;

-- name: ended_tasks_oldest_until
-- The place of the last task to look at, if there are so many.
SELECT task.created_at AS at, task.id AS id
  FROM task {by task_ended}
 WHERE task.tenant = :tenant AND task.outcome = :only
   AND (task.created_at, task.id) > (:low_at, :low_id) AND (task.created_at, task.id) <= (:high_at, :high_id)
 ORDER BY task.created_at, task.id
 LIMIT 1 OFFSET :passed;

-- name: ended_tasks_counted
-- How many match, up to the last place to look at.
SELECT count(*) AS number
  FROM task {by task_ended}
 WHERE task.tenant = :tenant AND task.outcome = :only
   AND (task.created_at, task.id) < (:high_at, :high_id) AND (task.created_at, task.id) >= (:low_at, :low_id)
{part wanted};

-- name: ended_tasks_bounded
-- How many there are, at most :most.
SELECT count(*) AS number
  FROM (SELECT 1
          FROM task {by task_ended}
         WHERE task.tenant = :tenant AND task.outcome = :only
           AND (task.created_at, task.id) < (:high_at, :high_id) AND (task.created_at, task.id) >= (:low_at, :low_id)
         LIMIT :most) AS found;

-- ---- those of one party --------------------------------------------------------------------------------------------

-- name: own_tasks_newest
-- A page, newest first; with the size of the submitted body.
{part shown}
  FROM task {by task_of_party}
 WHERE task.tenant = :tenant AND task.party = :only
   AND (task.created_at, task.id) < (:high_at, :high_id) AND (task.created_at, task.id) >= (:low_at, :low_id)
{part wanted}
 ORDER BY task.created_at DESC, task.id DESC
 LIMIT :limit;

-- name: own_tasks_newest_until
-- The place of the last task to look at, if there are so many.
SELECT task.created_at AS at, task.id AS id
  FROM task {by task_of_party}
 WHERE task.tenant = :tenant AND task.party = :only
   AND (task.created_at, task.id) < (:high_at, :high_id) AND (task.created_at, task.id) >= (:low_at, :low_id)
 ORDER BY task.created_at DESC, task.id DESC
 LIMIT 1 OFFSET :passed;

-- name: own_tasks_oldest
-- A page, oldest first; with the size of the submitted body.
{part shown}
  FROM task {by task_of_party}
 WHERE task.tenant = :tenant AND task.party = :only
   AND (task.created_at, task.id) > (:low_at, :low_id) AND (task.created_at, task.id) <= (:high_at, :high_id)
{part wanted}
 ORDER BY task.created_at, task.id
 LIMIT :limit;

-- name: own_tasks_oldest_until
-- The place of the last task to look at, if there are so many.
SELECT task.created_at AS at, task.id AS id
  FROM task {by task_of_party}
 WHERE task.tenant = :tenant AND task.party = :only
   AND (task.created_at, task.id) > (:low_at, :low_id) AND (task.created_at, task.id) <= (:high_at, :high_id)
 ORDER BY task.created_at, task.id
 LIMIT 1 OFFSET :passed;

-- name: own_tasks_counted
-- How many match, up to the last place to look at.
SELECT count(*) AS number
  FROM task {by task_of_party}
 WHERE task.tenant = :tenant AND task.party = :only
   AND (task.created_at, task.id) < (:high_at, :high_id) AND (task.created_at, task.id) >= (:low_at, :low_id)
{part wanted};

-- name: own_tasks_bounded
-- How many there are, at most :most.
SELECT count(*) AS number
  FROM (SELECT 1
          FROM task {by task_of_party}
         WHERE task.tenant = :tenant AND task.party = :only
           AND (task.created_at, task.id) < (:high_at, :high_id) AND (task.created_at, task.id) >= (:low_at, :low_id)
         LIMIT :most) AS found;

-- ---- those with one label ------------------------------------------------------------------------------------------

-- name: labelled_tasks_newest
-- A page, newest first; with the size of the submitted body.
{part shown}
  FROM task_label CROSS JOIN task ON task.id = task_label.task
 WHERE task_label.tenant = :tenant AND task_label.label = :only
   AND (task_label.created_at, task_label.task) < (:high_at, :high_id) AND (task_label.created_at, task_label.task) >= (:low_at, :low_id)
{part wanted}
 ORDER BY task_label.created_at DESC, task_label.task DESC
 LIMIT :limit;

-- name: labelled_tasks_newest_until
-- The place of the last task to look at, if there are so many.
SELECT task_label.created_at AS at, task_label.task AS id
  FROM task_label CROSS JOIN task ON task.id = task_label.task
 WHERE task_label.tenant = :tenant AND task_label.label = :only
   AND (task_label.created_at, task_label.task) < (:high_at, :high_id) AND (task_label.created_at, task_label.task) >= (:low_at, :low_id)
 ORDER BY task_label.created_at DESC, task_label.task DESC
 LIMIT 1 OFFSET :passed;

-- name: labelled_tasks_oldest
-- A page, oldest first; with the size of the submitted body.
{part shown}
  FROM task_label CROSS JOIN task ON task.id = task_label.task
 WHERE task_label.tenant = :tenant AND task_label.label = :only
   AND (task_label.created_at, task_label.task) > (:low_at, :low_id) AND (task_label.created_at, task_label.task) <= (:high_at, :high_id)
{part wanted}
 ORDER BY task_label.created_at, task_label.task
 LIMIT :limit;

-- name: labelled_tasks_oldest_until
-- The place of the last task to look at, if there are so many.
SELECT task_label.created_at AS at, task_label.task AS id
  FROM task_label CROSS JOIN task ON task.id = task_label.task
 WHERE task_label.tenant = :tenant AND task_label.label = :only
   AND (task_label.created_at, task_label.task) > (:low_at, :low_id) AND (task_label.created_at, task_label.task) <= (:high_at, :high_id)
 ORDER BY task_label.created_at, task_label.task
 LIMIT 1 OFFSET :passed;

-- name: labelled_tasks_counted
-- How many match, up to the last place to look at.
SELECT count(*) AS number
  FROM task_label CROSS JOIN task ON task.id = task_label.task
 WHERE task_label.tenant = :tenant AND task_label.label = :only
   AND (task_label.created_at, task_label.task) < (:high_at, :high_id) AND (task_label.created_at, task_label.task) >= (:low_at, :low_id)
{part wanted};

-- name: labelled_tasks_bounded
-- How many there are, at most :most.
SELECT count(*) AS number
  FROM (SELECT 1
          FROM task_label
         WHERE task_label.tenant = :tenant AND task_label.label = :only
           AND (task_label.created_at, task_label.task) < (:high_at, :high_id) AND (task_label.created_at, task_label.task) >= (:low_at, :low_id)
         LIMIT :most) AS found;

-- ---- those with words in their titles --------------------------------------------------------------------------------

-- name: rare_words
-- Those of these words that no title of the newest tasks has, if the index of words needs to be told.
{own};

-- name: worded_tasks_newest
-- A page, newest first.
{own};

-- name: worded_tasks_newest_until
-- The place of the last task to look at.
{own};

-- name: worded_tasks_oldest
-- A page, oldest first.
{own};

-- name: worded_tasks_oldest_until
-- The place of the last task to look at.
{own};

-- name: worded_tasks_counted
-- How many match.
{own};

-- ---- rows --------------------------------------------------------------------------------------------------------------

-- name: task_row_facts
-- What a row of the list shows beside the task: when its first attempt began, which bot had the newest one, when the task
-- ended, and the error behind a failure: the first one of the item that failed, or else of what did not succeed. Leases
-- count while no attempt has ended; of a large task, only those of its first items.
SELECT facts.*, bot.name AS bot_name
  FROM (SELECT task.id,
       coalesce((SELECT attempt.started FROM attempt WHERE attempt.task = task.id ORDER BY attempt.started LIMIT 1),
                (SELECT min(lease.granted_at)
                   FROM (SELECT id FROM work WHERE work.task = task.id ORDER BY seq LIMIT 50) AS item
                   JOIN lease ON lease.work = item.id)) AS started,
       coalesce((SELECT attempt.bot FROM attempt WHERE attempt.task = task.id ORDER BY attempt.started DESC LIMIT 1),
                (SELECT max(lease.bot)
                   FROM (SELECT id FROM work WHERE work.task = task.id ORDER BY seq LIMIT 50) AS item
                   JOIN lease ON lease.work = item.id)) AS bot,
       CASE WHEN task.outcome IS NOT NULL
            THEN (SELECT event.at
                    FROM event
                   WHERE event.task = task.id AND event.kind IN (SELECT value FROM {each :ends})
                   ORDER BY event.sequence DESC
                   LIMIT 1) END AS ended,
       CASE WHEN task.failure IS NULL THEN NULL
            ELSE coalesce((SELECT attempt.error
                             FROM attempt
                            WHERE attempt.work = {json task.failure} ->> 'work_id' AND attempt.error IS NOT NULL
                            ORDER BY attempt.attempt
                            LIMIT 1),
                          (SELECT attempt.error
                             FROM attempt {by attempt_with_error}
                             JOIN work ON work.id = attempt.work
                                      AND work.status NOT IN (SELECT value FROM {each :well})
                            WHERE attempt.task = task.id AND attempt.error IS NOT NULL
                            ORDER BY attempt.ended
                            LIMIT 1)) END AS error
  FROM {each :ids} AS wanted CROSS JOIN task ON task.id = wanted.value) AS facts
  LEFT JOIN bot ON bot.id = facts.bot;
