-- Fills a store for reads.py, in SQLite and in PostgreSQL. `series` has the numbers n from 1 to the number of tasks. What
-- follows from these rows (counts, sums, labels, words) the product makes itself afterwards.
--
-- Of 100 tasks 25 are open and wait, one failed, and the rest were accepted; one in 10,007 expired. They were created
-- over 60 days. Each has three labels: of 20 teams, of 5,000 customers, and one that all have. One task
-- has 2,000 items with two attempts each. Of 200,000 approvals, 4,000 are open.

INSERT INTO queue (id, kind, skills) SELECT 1000000 + n, 'execute', '["skill.' || n || '"]' FROM series WHERE n <= 200;

INSERT INTO bot (id, tenant, type, name, instance, version, owner, key_id, created_at, skills, capacity, dedicated,
  labels, status, last_seen, row_version)
  SELECT 'bot_' || (100 + n), 'default', 'Executor', 'worker-' || n, '', '1', 'owner', 'key_2', 1, '["skill.' || n || '"]', 8,
  FALSE, '{}', 'active', 1, 1 FROM series WHERE n <= 50;

INSERT INTO task (id, tenant, status, priority, created_at, updated_at, spec, title, submitted_by, party, labels,
  planner_skills, evaluator_skills, evaluation, quorum_accept, quorum_of, max_rounds, approval, plan_timeout,
  review_timeout, defaults, outcome, failure, holds, version, sequence, n_total, n_open, n_failed, round, reworks,
  planned, started, loading, makers, usage, trace)
  SELECT 'tsk_' || (100000000 + n), 'default', CASE WHEN outcome IS NULL THEN 'IN_PROGRESS'
  WHEN outcome = 'accepted' THEN 'ARCHIVED' ELSE 'FAILED' END, n % 10, at, at + 60000000, 'sub_' || (100000000 + n) || '/spec',
  title, 'key_1', 'key:key_' || (n % 7),
  '{"team":"t' || (n % 20) || '","customer":"c' || (n * 37 % 5000) || '","env":"live"}', '[]', '[]', 'none', 1, 1, 3,
  'none', 1, 1, '{}', outcome,
  CASE outcome WHEN 'failed' THEN '{"code":"subtask_failed","detail":"no attempts left","work_id":"sub_' || (100000000 + n) || '"}'
  END, '[]', 1, CASE WHEN outcome IS NULL THEN 1 ELSE 3 END, 1, CASE WHEN outcome IS NULL THEN 1 ELSE 0 END,
  CASE WHEN outcome = 'accepted' OR outcome IS NULL THEN 0 ELSE 1 END, 1, 0, TRUE, TRUE, FALSE, '[]',
  '{"tokens":1000,"cost_micro_usd":6000}', ''
  FROM (SELECT n, {at} AS at, {title} AS title, {outcome} AS outcome FROM series) AS made ORDER BY n;

INSERT INTO payload (id, task, body)
  SELECT spec, id, CAST('{"title":"' || title || '"}' AS {blob}) FROM task ORDER BY id;

INSERT INTO work (id, task, tenant, kind, key, queue, status, priority, created_at, place, attempt, tries, crashes,
  deferrals, unseen, start_left, start, start_due, pending, round, reworks, timeout, max_attempts, continues, handled,
  excluded, since, version)
  SELECT 'sub_' || (100000000 + n), 'tsk_' || (100000000 + n), 'default', 'execute', 'a',
  1000000 + CASE WHEN n % 8 = 1 THEN 1 ELSE n % 200 + 1 END, CASE WHEN outcome IS NULL THEN 'READY'
  WHEN outcome = 'accepted' THEN 'SUCCEEDED' ELSE 'FAILED' END, n % 10, at, n, CASE WHEN outcome IS NULL THEN 0 ELSE 1 END,
  0, 0, 0, 0, 1, 1, CASE WHEN outcome IS NULL THEN 4000000000000000 END, 0, 1, 0, 1, 3, FALSE, FALSE, '[]', at, 1
  FROM (SELECT n, {at} AS at, {outcome} AS outcome FROM series) AS made ORDER BY n;

INSERT INTO ready (work, queue, tenant, priority, place, since, task, start_due)
  SELECT id, queue, tenant, priority, place, since, task, start_due FROM work WHERE status = 'READY';

INSERT INTO attempt (lease_id, work, task, tenant, attempt, bot, started, ended, ending, round, error, usage)
  SELECT 'lse_' || (100000000 + n), 'sub_' || (100000000 + n), 'tsk_' || (100000000 + n), 'default', 1, 'bot_' || (101 + n % 50),
  at + 1000000, at + 2000000, CASE outcome WHEN 'accepted' THEN 'succeeded' ELSE 'failed' END, 1,
  CASE WHEN outcome <> 'accepted' THEN '{"class":"retryable","message":"502 from the upstream server"}' END,
  '{"tokens":1000,"cost_micro_usd":' || (6000 + n % 100) || '}'
  FROM (SELECT n, {at} AS at, {outcome} AS outcome FROM series) AS made WHERE outcome IS NOT NULL ORDER BY n;

INSERT INTO work (id, task, tenant, kind, key, queue, status, priority, created_at, place, attempt, tries, crashes,
  deferrals, unseen, start_left, start, pending, round, reworks, timeout, max_attempts, continues, handled,
  excluded, since, version, result)
  SELECT 'big_' || (100000 + n), 'tsk_100000002', 'default', CASE WHEN n % 10 <> 0 THEN 'execute' ELSE 'review' END,
  CASE WHEN n % 10 <> 0 THEN 'n' || n ELSE 'review-of/n' || (n - 1) || '/1' END, 1000001, 'SUCCEEDED', 5, {at}, n,
  2, 0, 0, 0, 0, 1, 1, 0, 1, 0, 1, 3, FALSE, FALSE, '[]', {at}, 1, CASE WHEN n % 10 = 0 THEN 'big_100010/verdict' END
  FROM series WHERE n <= 2000 ORDER BY n;

UPDATE task SET n_total = (SELECT count(*) FROM work WHERE task = 'tsk_100000002' AND kind = 'execute')
  WHERE id = 'tsk_100000002';

INSERT INTO attempt (lease_id, work, task, tenant, attempt, bot, started, ended, ending, round, error)
  SELECT 'lse_big_' || (100000 + n) || '_' || part.s, 'big_' || (100000 + n), 'tsk_100000002', 'default', part.s, 'bot_101',
  {at} + part.s * 10000000, {at} + part.s * 10000000 + 5000000,
  CASE part.s WHEN 1 THEN 'failed' ELSE 'succeeded' END, 1,
  CASE part.s WHEN 1 THEN '{"class":"retryable","message":"KeyError: total"}' END
  FROM series, (SELECT 1 AS s UNION ALL SELECT 2) AS part WHERE n <= 2000 ORDER BY n;

INSERT INTO payload (id, task, body) SELECT 'big_100010/verdict', 'tsk_100000002',
  CAST('{"decision":"rework","score":0.5,"reasons":["thin"],"findings":[],"targets":[],"subtasks":[]}' AS {blob})
  FROM series WHERE n = 1;

INSERT INTO event (seq, id, at, tenant, task, sequence, work, kind, actor, audit, body, redacted)
  SELECT 10 + (n - 1) * 3 + s, 'evt_' || (100000000 + n) || s, at + (s - 1) * 1000000, 'default', 'tsk_' || (100000000 + n), s,
  CASE s WHEN 2 THEN 'sub_' || (100000000 + n) END,
  CASE s WHEN 1 THEN 'task.started' WHEN 2 THEN 'work.leased' ELSE CASE outcome WHEN 'accepted' THEN 'task.accepted' ELSE 'task.failed' END END,
  CASE s WHEN 1 THEN 'key_1' ELSE 'key_2' END, 'aud_' || (100000000 + n) || CASE s WHEN 1 THEN 1 ELSE 2 END,
  CASE s WHEN 1 THEN '{"from":null,"to":"IN_PROGRESS"}' WHEN 2 THEN '{"attempt":1,"bot":"bot_' || (101 + n % 50) || '"}'
  ELSE '{"from":"IN_PROGRESS","to":"' || CASE outcome WHEN 'accepted' THEN 'ARCHIVED' ELSE 'FAILED' END || '"}' END, '[]'
  FROM (SELECT n, {at} AS at, {outcome} AS outcome, part.s
          FROM series, (SELECT 1 AS s UNION ALL SELECT 2 UNION ALL SELECT 3) AS part) AS made
  WHERE s = 1 OR outcome IS NOT NULL ORDER BY n, s;

INSERT INTO event (seq, id, at, tenant, task, sequence, work, kind, actor, audit, body, redacted)
  SELECT 1000000000 + n * 2 + s, 'evt_big_' || (100000 + n) || '_' || s, {at}, 'default', 'tsk_100000002',
  3 + (n - 1) * 2 + s, 'big_' || (100000 + n), 'work.leased', 'key_2', 'aud_big_' || (100000 + n) || s,
  '{"attempt":' || s || ',"bot":"bot_101"}', '[]'
  FROM series, (SELECT 1 AS s UNION ALL SELECT 2) AS part WHERE n <= 2000 ORDER BY n, s;

UPDATE task SET sequence = (SELECT count(*) FROM event WHERE task = 'tsk_100000002') WHERE id = 'tsk_100000002';

INSERT INTO audit_leaf (tenant, place, id, task, actor, action, at, leaf, salt, body, hash)
  SELECT 'default', 1000000 + row_number() OVER (ORDER BY min(seq)), audit, min(task), min(actor),
  CASE WHEN audit LIKE '%1' THEN 'task.submit' ELSE 'work.report' END, min(at),
  CAST('{"id":"a","at":1,"task_id":null,"action":"task.submit","actor":{"type":"key","id":"k","key":"k"},"resource":"r","outcome":"accepted","decision":null,"trace":"","rules":"","redacted_fields":[]}' AS {blob}),
  CAST('salt' AS {blob}), CAST('{"events":["e"' || CASE count(*) WHEN 2 THEN ',"f"' ELSE '' END || '],"payload":{"title":"a task"}}' AS {blob}), CAST('hash' AS {blob})
  FROM event WHERE seq > 10 GROUP BY audit;

INSERT INTO approval (id, tenant, task, kind, opened_at, expires_at, subject_hash, asked_by, question, choices,
  state, version)
  SELECT 'apr_' || (100000000 + n), 'default', 'tsk_' || (100000000 + n), 'final', {at}, 4000000000000000 - n,
  'h', 'asker', 'Shall this be accepted?', '[]', CASE WHEN n % 50 <> 0 THEN 'decided' ELSE 'open' END, 1 FROM series
  WHERE n <= 200000;

INSERT INTO timer (kind, ref, due) SELECT 'answer', id, expires_at FROM approval WHERE state = 'open';

UPDATE tenant SET open_tasks = (SELECT count(*) FROM task WHERE outcome IS NULL), open_subtasks = (SELECT sum(n_open) FROM task)
  WHERE id = 'default';

INSERT INTO rebuild (step, tenant, place, task) SELECT 'begin', '', 0, '' FROM series WHERE n = 1;
