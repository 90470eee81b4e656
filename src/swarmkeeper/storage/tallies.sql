-- Counts, sums, labels and words that follow from other rows: what the engine needs of them, and how they are made anew.
-- What adds to them is in writes.sql. See core/tallies/ and storage/derived/.

-- part: amounts
-- At most as much of an attempt as core/tallies/records.py allows.
CAST(sum({least}(coalesce(CAST({json attempt.usage} ->> 'cost_micro_usd' AS bigint), 0), 1099511627776)) AS bigint) AS cost_micro_usd,
CAST(sum({least}(coalesce(CAST({json attempt.usage} ->> 'tokens' AS bigint), 0), 1099511627776)) AS bigint) AS tokens,
CAST(sum({least}(coalesce(CAST({json attempt.usage} ->> 'unpriced_tokens' AS bigint), 0), 1099511627776)) AS bigint) AS unpriced_tokens,
count(*) AS attempts;

-- name: load_costs_of_task
-- What the attempts of a task used, by day, bot and queue.
SELECT attempt.ended / 86400000000 AS day, attempt.bot, work.queue, {part amounts}
  FROM attempt JOIN work ON work.id = attempt.work
 WHERE attempt.task = :task AND attempt.usage IS NOT NULL
 GROUP BY attempt.ended / 86400000000, attempt.bot, work.queue;

-- name: load_costs_of_works
-- The same for some of its items.
SELECT attempt.ended / 86400000000 AS day, attempt.bot, work.queue, {part amounts}
  FROM {each :works} AS wanted
 CROSS JOIN attempt ON attempt.work = wanted.value
 CROSS JOIN work ON work.id = attempt.work
 WHERE attempt.usage IS NOT NULL
 GROUP BY attempt.ended / 86400000000, attempt.bot, work.queue;

-- name: set_back_tallies
-- Tasks that were created at another time belong to another week: everything is counted anew at the next start.
INSERT INTO rebuild (step, tenant, place, task)
SELECT 'begin', '', 0, '' FROM meta WHERE key = 'epoch' AND CAST(:by AS bigint) >= 0 AND CAST(:wall AS bigint) >= 0
    ON CONFLICT (step) DO NOTHING;

-- name: erase_marks
-- What the task is listed by because of these items, which leave. Others of the task leave, too.
{own};

-- name: erase_labels
-- Of a task that leaves, whose items have left.
DELETE FROM task_label
 WHERE (tenant, label, created_at, task) IN
       (SELECT tenant, label, created_at, task FROM label_of_task WHERE task = :task);

-- ---- sums over spans of days (derived/spans.py) -----------------------------------------------------------------------

-- part: columns_of_span
INSERT INTO cost_span (tenant, part, days, first, name, cost_micro_usd, tokens, unpriced_tokens, attempts);

-- part: sums_of_span
CAST(sum(cost_micro_usd) AS bigint), CAST(sum(tokens) AS bigint), CAST(sum(unpriced_tokens) AS bigint),
CAST(sum(attempts) AS bigint);

-- name: rebuild_awaited
-- Whether everything is being made anew, which does not begin before this transaction ends.
SELECT step FROM rebuild {locked};

-- name: cost_folded
-- The days that a tenant has spans of.
SELECT first, past FROM cost_folded WHERE tenant = :tenant;

-- name: first_day_of_costs
-- One row; NULL if there are none.
SELECT min(day) FROM cost WHERE tenant = :tenant AND part = 'day';

-- name: last_day_of_costs
-- One row; NULL if there are none.
SELECT max(day) FROM cost WHERE tenant = :tenant AND part = 'day';

-- name: next_tenant_with_costs
-- One row; NULL if there is none.
SELECT min(tenant) FROM cost WHERE tenant > :tenant;

-- name: begin_folding
-- With no day.
INSERT INTO cost_folded (tenant, first, past) VALUES (:tenant, :first, :first);

-- name: end_folding
-- One day more.
UPDATE cost_folded SET past = :past WHERE tenant = :tenant;

-- name: fold_day
-- A span of one day. Its rows are kept in the order in which they are read, as with the next three.
{part columns_of_span}
SELECT tenant, part, 1, day, name, {part sums_of_span}
  FROM cost
 WHERE tenant = :tenant AND part IN ('bot', 'skill', 'label') AND day = :day
 GROUP BY tenant, part, day, name
HAVING sum(attempts) <> 0
 ORDER BY tenant, part, name;

-- name: fold_two
-- A span of two others, one after the other.
{part columns_of_span}
SELECT tenant, part, CAST(:days AS bigint), CAST(:first AS bigint), name, {part sums_of_span}
  FROM cost_span
 WHERE tenant = :tenant AND part IN ('bot', 'skill', 'label') AND days = :half AND first IN (:first, :middle)
 GROUP BY tenant, part, name
 ORDER BY tenant, part, name;

-- name: first_roll
-- A span of the first days.
{part columns_of_span}
SELECT tenant, part, CAST(:days AS bigint), CAST(:first AS bigint), name, {part sums_of_span}
  FROM cost_span
 WHERE tenant = :tenant AND part IN ('bot', 'skill', 'label') AND days = 1 AND first >= :first
 GROUP BY tenant, part, name
 ORDER BY tenant, part, name;

-- name: roll
-- The span one day on: with the day that came, and without the one that left.
{part columns_of_span}
SELECT tenant, part, CAST(:days AS bigint), :left + 1, name, {part sums_of_span}
  FROM (SELECT tenant, part, name, cost_micro_usd, tokens, unpriced_tokens, attempts
          FROM cost_span
         WHERE tenant = :tenant AND part IN ('bot', 'skill', 'label') AND days = :days AND first = :left
         UNION ALL
        SELECT tenant, part, name, cost_micro_usd, tokens, unpriced_tokens, attempts
          FROM cost_span
         WHERE tenant = :tenant AND part IN ('bot', 'skill', 'label') AND days = 1 AND first = :came
         UNION ALL
        SELECT tenant, part, name, -cost_micro_usd, -tokens, -unpriced_tokens, -attempts
          FROM cost_span
         WHERE tenant = :tenant AND part IN ('bot', 'skill', 'label') AND days = 1 AND first = :left) AS rolled
 GROUP BY tenant, part, name
HAVING sum(attempts) <> 0
 ORDER BY tenant, part, name;

-- name: roll_off
-- The span of the day before.
DELETE FROM cost_span
 WHERE tenant = :tenant AND part IN ('bot', 'skill', 'label') AND days = :days AND first = :left;

-- name: rebuild_forget_folded
-- Everything is folded anew.
DELETE FROM cost_folded;

-- name: rebuild_forget_spans
-- Everything is folded anew.
DELETE FROM cost_span;

-- ---- made anew -------------------------------------------------------------------------------------------------------

-- name: rebuild_begun
-- Where it goes on; no row if nothing is to be made anew.
SELECT step, tenant, place, task FROM rebuild;

-- name: rebuild_begin
-- From the start.
INSERT INTO rebuild (step, tenant, place, task) VALUES ('begin', '', 0, '');

-- name: rebuild_goes_on
-- After this week of this tenant, or after this task.
UPDATE rebuild SET step = :step, tenant = :tenant, place = :place, task = :task;

-- name: rebuild_ends
-- Everything is done; or it begins anew.
DELETE FROM rebuild;

-- name: rebuild_next
-- The first task of the next week that has any.
SELECT tenant, created_at / 604800000000 AS week
  FROM task
 WHERE (tenant, created_at) >= (:tenant, :at)
 ORDER BY tenant, created_at, id
 LIMIT 1;

-- name: rebuild_drop_task_counts
-- Of a week.
DELETE FROM task_count WHERE tenant = :tenant AND week = :week;

-- name: rebuild_drop_label_counts
-- Of a week.
DELETE FROM label_count WHERE tenant = :tenant AND week = :week;

-- name: rebuild_drop_costs
-- Of a week. Those of erased attempts follow from nothing any more: they stay.
DELETE FROM cost WHERE tenant = :tenant AND week = :week AND part <> 'erased';

-- name: rebuild_task_counts
-- Of a week.
INSERT INTO task_count (tenant, party, week, status, outcome, number)
SELECT tenant, coalesce(party, ''), :week, status, coalesce(outcome, ''), count(*)
  FROM task
 WHERE tenant = :tenant AND created_at >= :first AND created_at < :past
 GROUP BY tenant, coalesce(party, ''), status, coalesce(outcome, '');

-- name: rebuild_label_counts
-- Of a week.
INSERT INTO label_count (tenant, key, value, party, week, number)
SELECT task.tenant, has.key, has.value, coalesce(task.party, ''), :week, count(*)
  FROM task, {members task.labels} AS has
 WHERE task.tenant = :tenant AND task.created_at >= :first AND task.created_at < :past
 GROUP BY task.tenant, has.key, has.value, coalesce(task.party, '');

-- name: rebuild_costs
-- Of a week: once for the day and the bot, and once for each skill and each label.
INSERT INTO cost (tenant, part, day, name, party, week, cost_micro_usd, tokens, unpriced_tokens, attempts)
WITH used AS (
    SELECT coalesce(task.party, '') AS party, task.labels, queue.skills, attempt.ended / 86400000000 AS day, attempt.bot,
           attempt.usage
      FROM task
      JOIN attempt ON attempt.task = task.id
      JOIN work ON work.id = attempt.work
      JOIN queue ON queue.id = work.queue
     WHERE task.tenant = :tenant AND task.created_at >= :first AND task.created_at < :past
       AND attempt.usage IS NOT NULL
)
SELECT :tenant, attempt.part, attempt.day, attempt.name, attempt.party, :week, {part amounts}
  FROM (SELECT 'day' AS part, '' AS name, party, day, usage FROM used
         UNION ALL
        SELECT 'bot', bot, party, day, usage FROM used
         UNION ALL
        SELECT 'skill', skill.value, party, day, usage FROM used, {each used.skills} AS skill
         UNION ALL
        SELECT 'label', has.key || ':' || has.value, party, day, usage FROM used, {members used.labels} AS has) AS attempt
 GROUP BY attempt.part, attempt.day, attempt.name, attempt.party;

-- name: rebuild_next_tasks
-- The next tasks, whose labels and words are made anew.
SELECT id, tenant, created_at
  FROM task
 WHERE (tenant, created_at, id) > (:tenant, :place, :task)
 ORDER BY tenant, created_at, id
 LIMIT :n;

-- name: rebuild_labels
-- Those that tasks lack, and marks.
{own};

-- name: rebuild_sweep_task_counts
-- Of weeks without tasks.
DELETE FROM task_count
 WHERE NOT EXISTS (SELECT 1 FROM task WHERE task.tenant = task_count.tenant
                      AND task.created_at >= task_count.week * 604800000000
                      AND task.created_at < (task_count.week + 1) * 604800000000);

-- name: rebuild_sweep_label_counts
-- Of weeks without tasks.
DELETE FROM label_count
 WHERE NOT EXISTS (SELECT 1 FROM task WHERE task.tenant = label_count.tenant
                      AND task.created_at >= label_count.week * 604800000000
                      AND task.created_at < (label_count.week + 1) * 604800000000);

-- name: rebuild_sweep_costs
-- Of weeks without tasks.
DELETE FROM cost
 WHERE part <> 'erased'
   AND NOT EXISTS (SELECT 1 FROM task WHERE task.tenant = cost.tenant
                      AND task.created_at >= cost.week * 604800000000
                      AND task.created_at < (cost.week + 1) * 604800000000);

-- name: rebuild_wrong_labels
-- Labels and marks that their tasks do not have, the first ones.
SELECT tenant, label, created_at, task FROM task_label
EXCEPT
SELECT tenant, label, created_at, task FROM label_of_task
 LIMIT :n;
