-- Reads of counts and sums; see core/tallies/reads.py. `party` NULL: of all.

-- name: task_counts
-- Tasks by status and outcome.
SELECT status, outcome, CAST(sum(number) AS bigint) AS number
  FROM task_count
 WHERE tenant = :tenant AND (CAST(:party AS text) IS NULL OR party = :party)
 GROUP BY status, outcome
HAVING sum(number) > 0
 ORDER BY status, outcome;

-- name: label_counts
-- Tasks by label, in order, from a label on; of all keys or of one.
SELECT key, value, CAST(sum(number) AS bigint) AS number
  FROM label_count
 WHERE tenant = :tenant AND (key, value) >= (:first_key, :first_value) AND key <= :last_key
   AND (CAST(:party AS text) IS NULL OR party = :party)
 GROUP BY key, value
HAVING sum(number) > 0
 ORDER BY key, value
 LIMIT :limit;

-- name: counts_of_labels
-- Tasks with each of these labels, which are pairs of key and value; no row for a label that no task has.
SELECT wanted.value ->> 0 AS key, wanted.value ->> 1 AS value, CAST(sum(label_count.number) AS bigint) AS number
  FROM {pairs :wanted} AS wanted
 CROSS JOIN label_count ON label_count.tenant = :tenant AND label_count.key = wanted.value ->> 0
                       AND label_count.value = wanted.value ->> 1
 WHERE CAST(:party AS text) IS NULL OR label_count.party = :party
 GROUP BY wanted.value ->> 0, wanted.value ->> 1;

-- name: counts_of_marks
-- Tasks with each of these labels or marks, counted up to a bound.
SELECT wanted.value AS mark,
       (SELECT count(*)
          FROM (SELECT 1 AS one FROM task_label WHERE task_label.tenant = :tenant AND task_label.label = wanted.value
                 LIMIT :most) AS found) AS number
  FROM {each :wanted} AS wanted;

-- name: costs_by_day
-- What attempts used on each day, also those that were erased since.
SELECT CAST(day AS text) AS name, CAST(sum(cost_micro_usd) AS bigint) AS cost_micro_usd, CAST(sum(tokens) AS bigint) AS tokens,
       CAST(sum(unpriced_tokens) AS bigint) AS unpriced_tokens, CAST(sum(attempts) AS bigint) AS attempts
  FROM cost
 WHERE tenant = :tenant AND part IN ('day', 'erased') AND day >= :first AND day <= :last
   AND (CAST(:party AS text) IS NULL OR party = :party)
 GROUP BY day
 ORDER BY day
 LIMIT :limit;

-- name: costs_folded
-- The days that a tenant has sums of spans of; see core/tallies/covers.py.
SELECT first, past FROM cost_folded WHERE tenant = :tenant;

-- part: used_by_name
-- From spans (each: 1 to add or -1 to subtract, days, first day), and from other days (each: the first and the last), and
-- from a day alone, which the index has by name. The limits are for the planner. If spans do not reach from :begun to
-- :past any more, there are no rows.
WITH span (sign, days, first) AS MATERIALIZED (
    SELECT CAST(value ->> 0 AS bigint), CAST(value ->> 1 AS bigint), CAST(value ->> 2 AS bigint) FROM {pairs :spans} AS one
     LIMIT 64
), run (first, last) AS MATERIALIZED (
    SELECT CAST(value ->> 0 AS bigint), CAST(value ->> 1 AS bigint) FROM {pairs :days} AS one LIMIT 2
)
SELECT name, sign * cost_micro_usd AS cost_micro_usd, sign * tokens AS tokens, sign * unpriced_tokens AS unpriced_tokens,
       sign * attempts AS attempts
  FROM span
 CROSS JOIN cost_span ON cost_span.tenant = :tenant AND cost_span.part = :part
                     AND cost_span.days = span.days AND cost_span.first = span.first
 UNION ALL
SELECT name, cost_micro_usd, tokens, unpriced_tokens, attempts
  FROM run
 CROSS JOIN cost ON cost.tenant = :tenant AND cost.part = :part AND cost.day >= run.first AND cost.day <= run.last
 WHERE CAST(:party AS text) IS NULL OR cost.party = :party
 UNION ALL
SELECT name, CAST(sum(cost_micro_usd) AS bigint), CAST(sum(tokens) AS bigint), CAST(sum(unpriced_tokens) AS bigint),
       CAST(sum(attempts) AS bigint)
  FROM cost
 WHERE tenant = :tenant AND part = :part AND day = :alone AND (CAST(:party AS text) IS NULL OR party = :party)
 GROUP BY name;

-- part: spans_are_there
(:past < 0 OR EXISTS (SELECT 1 FROM cost_folded
                       WHERE cost_folded.tenant = :tenant AND cost_folded.first = :begun AND cost_folded.past = :past));

-- name: costs_by_name
-- What attempts used, by skill or label: the most first.
SELECT name, CAST(sum(cost_micro_usd) AS bigint) AS cost_micro_usd, CAST(sum(tokens) AS bigint) AS tokens,
       CAST(sum(unpriced_tokens) AS bigint) AS unpriced_tokens, CAST(sum(attempts) AS bigint) AS attempts
  FROM ({part used_by_name}) AS used
 WHERE {part spans_are_there}
 GROUP BY name
HAVING sum(attempts) <> 0
 ORDER BY sum(cost_micro_usd) DESC, sum(tokens) DESC, name
 LIMIT :limit;

-- name: costs_by_bot
-- The same for bots, by their names; the id of a bot that was removed.
SELECT coalesce(bot.name, used.name) AS name, CAST(sum(cost_micro_usd) AS bigint) AS cost_micro_usd,
       CAST(sum(tokens) AS bigint) AS tokens, CAST(sum(unpriced_tokens) AS bigint) AS unpriced_tokens,
       CAST(sum(attempts) AS bigint) AS attempts
  FROM ({part used_by_name}) AS used LEFT JOIN bot ON bot.id = used.name
 WHERE {part spans_are_there}
 GROUP BY coalesce(bot.name, used.name)
HAVING sum(attempts) <> 0
 ORDER BY sum(cost_micro_usd) DESC, sum(tokens) DESC, coalesce(bot.name, used.name)
 LIMIT :limit;

-- ---- checks, as in checks.sql ------------------------------------------------------------------------------------------

-- name: doctor_task_counts
-- 4: a count of tasks by status and outcome that differs from the tasks.
SELECT 'tasks of ' || tenant || ', ' || status || ' ' || outcome AS subject
  FROM (SELECT tenant, coalesce(party, '') AS party, created_at / 604800000000 AS week, status,
               coalesce(outcome, '') AS outcome, count(*) AS number
          FROM task GROUP BY tenant, coalesce(party, ''), created_at / 604800000000, status, coalesce(outcome, '')
         UNION ALL
        SELECT tenant, party, week, status, outcome, -number FROM task_count) AS counted
 WHERE NOT EXISTS (SELECT 1 FROM rebuild)
 GROUP BY tenant, party, week, status, outcome
HAVING sum(number) <> 0
 LIMIT :n;

-- name: doctor_label_counts
-- 4: a count of tasks with a label that differs from the tasks.
SELECT 'label ' || key || ':' || value || ' of ' || tenant AS subject
  FROM (SELECT task.tenant, has.key, has.value, coalesce(task.party, '') AS party, task.created_at / 604800000000 AS week,
               1 AS number
          FROM task, {members task.labels} AS has
         UNION ALL
        SELECT tenant, key, value, party, week, -number FROM label_count) AS counted
 WHERE NOT EXISTS (SELECT 1 FROM rebuild)
 GROUP BY tenant, key, value, party, week
HAVING sum(number) <> 0
 LIMIT :n;

-- name: doctor_labels
-- 4: a label or mark of a task that is not listed, or a listed one that its task does not have. A task that is being
-- erased loses some of its marks before the items that they follow from.
SELECT has.task AS subject
  FROM label_of_task AS has
 WHERE NOT EXISTS (SELECT 1 FROM rebuild)
   AND NOT EXISTS (SELECT 1 FROM task_label
                    WHERE task_label.tenant = has.tenant AND task_label.label = has.label
                      AND task_label.created_at = has.created_at AND task_label.task = has.task)
   AND NOT EXISTS (SELECT 1 FROM chore WHERE chore.task = has.task AND chore.kind = :erase)
 UNION
SELECT wrong.task
  FROM (SELECT tenant, label, created_at, task FROM task_label WHERE NOT EXISTS (SELECT 1 FROM rebuild)
        EXCEPT
        SELECT tenant, label, created_at, task FROM label_of_task) AS wrong
 LIMIT :n;

-- name: doctor_words
-- 4: a title whose words are not found, or words of no task.
{own};

-- name: doctor_costs
-- 6: a sum of costs that differs from what the attempts used.
SELECT 'costs of ' || tenant || ' by ' || part || ', day ' || day || ' ' || name AS subject
  FROM (SELECT used.tenant, used.part, used.day, used.name, used.party, used.week,
               {least}(coalesce(CAST({json used.usage} ->> 'cost_micro_usd' AS bigint), 0), 1099511627776) AS cost,
               {least}(coalesce(CAST({json used.usage} ->> 'tokens' AS bigint), 0), 1099511627776) AS tokens,
               {least}(coalesce(CAST({json used.usage} ->> 'unpriced_tokens' AS bigint), 0), 1099511627776) AS unpriced,
               1 AS attempts
          FROM (SELECT {part of_attempt}, 'day' AS part, '' AS name {part attempts}
                 UNION ALL
                SELECT {part of_attempt}, 'bot', attempt.bot {part attempts}
                 UNION ALL
                SELECT {part of_attempt}, 'skill', skill.value {part attempts}
                  JOIN work ON work.id = attempt.work JOIN queue ON queue.id = work.queue, {each queue.skills} AS skill
                 UNION ALL
                SELECT {part of_attempt}, 'label', has.key || ':' || has.value {part attempts}, {members task.labels} AS has
               ) AS used
         WHERE used.usage IS NOT NULL
         UNION ALL
        SELECT tenant, part, day, name, party, week, -cost_micro_usd, -tokens, -unpriced_tokens, -attempts
          FROM cost
         WHERE part <> 'erased') AS counted
 WHERE NOT EXISTS (SELECT 1 FROM rebuild)
 GROUP BY tenant, part, day, name, party, week
HAVING sum(cost) <> 0 OR sum(tokens) <> 0 OR sum(unpriced) <> 0 OR sum(attempts) <> 0
 LIMIT :n;

-- name: doctor_cost_spans
-- 6: a sum of costs over a span of days that differs from those of its days.
SELECT 'costs of ' || tenant || ' by ' || part || ', ' || days || ' days from day ' || first || ' ' || name AS subject
  FROM (SELECT cost.tenant, cost.part, length.days,
               CASE rolls WHEN 0 THEN cost.day / length.days * length.days ELSE folded.past - length.days END AS first,
               cost.name, cost_micro_usd AS cost, tokens, unpriced_tokens AS unpriced, attempts
          FROM cost_length AS length, cost_folded AS folded, cost
         WHERE cost.tenant = folded.tenant AND cost.part IN ('bot', 'skill', 'label')
           AND cost.day >= folded.first AND cost.day < folded.past
           AND CASE rolls WHEN 0 THEN cost.day / length.days * length.days >= folded.first
                                      AND cost.day / length.days * length.days + length.days <= folded.past
                          ELSE folded.past - length.days >= folded.first AND folded.past - length.days <= cost.day END
         UNION ALL
        SELECT tenant, part, days, first, name, -cost_micro_usd, -tokens, -unpriced_tokens, -attempts
          FROM cost_span) AS counted
 WHERE NOT EXISTS (SELECT 1 FROM rebuild)
 GROUP BY tenant, part, days, first, name
HAVING sum(cost) <> 0 OR sum(tokens) <> 0 OR sum(unpriced) <> 0 OR sum(attempts) <> 0
 LIMIT :n;

-- part: of_attempt
task.tenant, coalesce(task.party, '') AS party, task.created_at / 604800000000 AS week, attempt.ended / 86400000000 AS day,
attempt.usage;

-- part: attempts
FROM attempt JOIN task ON task.id = attempt.task;
