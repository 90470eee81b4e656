-- Fills a store for dashboard_reads.py. `series` has the numbers n from 1 to the number of tasks.

INSERT INTO queue (id, kind, skills) SELECT 1000000 + n, 'execute', '["skill.' || n || '"]' FROM series
  WHERE n <= 200;

INSERT INTO task (id, tenant, status, priority, created_at, updated_at, spec, title, submitted_by, labels,
  planner_skills, evaluator_skills, evaluation, quorum_accept, quorum_of, max_rounds, approval, plan_timeout,
  review_timeout, defaults, outcome, holds, version, sequence, n_total, n_open, n_failed, round, reworks, planned,
  started, loading, makers, usage, trace)
  SELECT printf('tsk_%08d', n), 'default', CASE WHEN n % 2 THEN 'IN_PROGRESS' ELSE 'ARCHIVED' END, 5, 1790000000000000 + n,
  1790000000000000 + n, 'spec', 'task ' || n, 'key_1', '{"team":"t' || (n % 100) || '"}', '[]', '[]', 'final', 1, 1, 3,
  'none', 1, 1, '{}', CASE WHEN n % 2 THEN NULL WHEN n % 1000 THEN 'accepted' ELSE 'failed' END, '[]', 1, 2,
  1, n % 2, 0, 1, 0, 1, 1, 0, '[]', '{}', '' FROM series;

INSERT INTO work (id, task, tenant, kind, key, queue, status, priority, created_at, place, attempt, tries, crashes,
  deferrals, unseen, start_left, start, pending, round, reworks, timeout, max_attempts, continues, handled,
  excluded, since, version)
  SELECT printf('sub_%08d', n), printf('tsk_%08d', n), 'default', 'execute', 'a',
  1000000 + CASE WHEN n % 4 = 1 THEN 1 ELSE n % 200 + 1 END,
  CASE WHEN n % 2 THEN 'READY' ELSE 'SUCCEEDED' END, n % 10, 1790000000000000 + n, n, 0, 0, 0, 0, 0, 1, 1, 0, 1, 0, 1, 3,
  0, 0, '[]', 1790000000000000 + n, 1 FROM series;

INSERT INTO ready (work, queue, tenant, priority, place, since, task) SELECT id, queue, tenant, priority, place, since, task FROM work WHERE status = 'READY';

INSERT INTO event (id, at, tenant, task, sequence, kind, actor, audit, body, redacted)
  SELECT printf('evt_%08d_%d', n, part.s), 1790000000000000 + n, 'default', printf('tsk_%08d', n), part.s,
  CASE part.s WHEN 1 THEN 'task.submitted' ELSE 'task.started' END, 'key_1', printf('aud_%08d', n),
  '{"from":"CREATED","to":"PLANNED"}', '[]'
  FROM series, (SELECT 1 AS s UNION ALL SELECT 2) AS part;

INSERT INTO audit_leaf (tenant, place, id, task, actor, action, at, leaf, salt, hash)
  SELECT 'default', 1000 + n, printf('aud_%08d', n), printf('tsk_%08d', n), 'key_' || (n % 20), 'task.submit',
  1790000000000000 + n, CAST('{"id":"a","at":1,"task_id":null,"action":"task.submit","actor":{"type":"key","id":"k"},
  "resource":"r","outcome":"accepted","decision":null,"trace":"","rules":"","redacted_fields":[]}' AS BLOB),
  x'00', x'00' FROM series;

INSERT INTO approval (id, tenant, task, kind, opened_at, expires_at, subject_hash, asked_by, question, choices,
  state, version)
  SELECT printf('apr_%08d', n), 'default', printf('tsk_%08d', n), 'final', 1790000000000000 + n, 1790000000000000 + 9000000000 - n,
  'h', 'asker', 'accept?', '[]', CASE WHEN n % 50 THEN 'decided' ELSE 'open' END, 1 FROM series
  WHERE n <= 200000;

INSERT INTO work (id, task, tenant, kind, key, queue, status, priority, created_at, place, attempt, tries, crashes,
  deferrals, unseen, start_left, start, pending, round, reworks, timeout, max_attempts, continues, handled,
  excluded, since, version)
  SELECT printf('big_%08d', n), 'tsk_00000001', 'default', CASE WHEN n % 10 THEN 'execute' ELSE 'review' END,
  CASE WHEN n % 10 THEN 'n' || n ELSE 'review-of/n' || (n - 1) || '/1' END, 1000001, 'SUCCEEDED', 5, 1790000000000000 + n, n,
  2, 0, 0, 0, 0, 1, 1, 0, 1, 0, 1, 3, 0, 0, '[]', 1790000000000000 + n, 1 FROM series WHERE n <= 2000;

INSERT INTO attempt (lease_id, work, task, tenant, attempt, bot, started, ended, ending, round, error)
  SELECT printf('lse_%08d_%d', n, part.s), printf('big_%08d', n), 'tsk_00000001', 'default', part.s, 'bot_1',
  1790000000000000 + n * 10 + part.s, 1790000000000000 + n * 10 + part.s + 5, CASE part.s WHEN 1 THEN 'failed' ELSE 'succeeded' END,
  1, CASE part.s WHEN 1 THEN '{"class":"retryable","message":"KeyError: total"}' END
  FROM series, (SELECT 1 AS s UNION ALL SELECT 2) AS part WHERE n <= 2000;

UPDATE work SET result = 'verdict' WHERE task = 'tsk_00000001' AND kind = 'review';

INSERT INTO payload (id, task, body) SELECT 'verdict', 'tsk_00000001',
  CAST('{"decision":"rework","score":0.5,"reasons":["thin"],"findings":[],"targets":[],"subtasks":[]}' AS BLOB)
  FROM series LIMIT 1;
