-- Reads the rows that the audit log proves, by page and in the order of their keys; see offline/replay.py.

-- name: doctor_rows_task
-- A page after a key; `behind` is the second part of a key of two.
SELECT {task} FROM task WHERE id > :after AND :behind = '' ORDER BY id LIMIT :n;

-- name: doctor_rows_work
-- A page after a key; `behind` is the second part of a key of two.
SELECT {work} FROM work WHERE id > :after AND :behind = '' ORDER BY id LIMIT :n;

-- name: doctor_rows_attempt
-- A page after a key; `behind` is the second part of a key of two.
SELECT {attempt} FROM attempt WHERE lease_id > :after AND :behind = '' ORDER BY lease_id LIMIT :n;

-- name: doctor_rows_approval
-- A page after a key; `behind` is the second part of a key of two.
SELECT {approval} FROM approval WHERE id > :after AND :behind = '' ORDER BY id LIMIT :n;

-- name: doctor_rows_message
-- A page after a key; `behind` is the second part of a key of two.
SELECT {message} FROM message WHERE id > :after AND :behind = '' ORDER BY id LIMIT :n;

-- name: doctor_rows_api_key
-- A page after a key; `behind` is the second part of a key of two.
SELECT {api_key} FROM api_key WHERE id > :after AND :behind = '' ORDER BY id LIMIT :n;

-- name: doctor_rows_bot
-- A page after a key; `behind` is the second part of a key of two.
SELECT {bot} FROM bot WHERE id > :after AND :behind = '' ORDER BY id LIMIT :n;

-- name: doctor_rows_work_rate
-- A page after a key; `behind` is the second part of a key of two.
SELECT {work_rate} FROM work_rate WHERE id > :after AND :behind = '' ORDER BY id LIMIT :n;

-- name: doctor_rows_edge
-- A page after a key of two parts.
SELECT {edge} FROM edge WHERE (parent, child) > (:after, :behind) ORDER BY parent, child LIMIT :n;

-- name: doctor_rows_late_result
-- A page after a key of two parts.
SELECT {late_result} FROM late_result WHERE (lease_id, content_hash) > (:after, :behind) ORDER BY lease_id, content_hash LIMIT :n;

-- name: doctor_rows_feedback
-- A page of the rows of items after an item; all rows of an item are on one page.
SELECT {feedback} FROM feedback WHERE work IN (SELECT DISTINCT work FROM feedback WHERE work > :after AND :behind = '' ORDER BY work LIMIT :n) ORDER BY work;

-- name: doctor_rows_answered
-- A page of the rows of items after an item; all rows of an item are on one page.
SELECT {answered} FROM answered WHERE work IN (SELECT DISTINCT work FROM answered WHERE work > :after AND :behind = '' ORDER BY work LIMIT :n) ORDER BY work;

-- name: doctor_rows_legal_hold
-- A page after a key of two parts.
SELECT tenant, task, reason, placed_by, placed_at
  FROM legal_hold WHERE (tenant, task) > (:after, :behind) ORDER BY tenant, task LIMIT :n;

-- name: doctor_rows_kill
-- A page after a key; `behind` is the second part of a key of two.
SELECT {kill} FROM kill WHERE id > :after AND :behind = '' ORDER BY id LIMIT :n;

-- name: doctor_rows_operation
-- A page after a key; `behind` is the second part of a key of two.
SELECT {operation} FROM operation WHERE id > :after AND :behind = '' ORDER BY id LIMIT :n;

-- name: doctor_operation_items
-- A page of tasks of operations, after a task of one.
SELECT operation, place, task, outcome, code, detail, slice
  FROM operation_item WHERE (operation, place) > (:after, :place) ORDER BY operation, place LIMIT :n;

-- name: doctor_rows_person
-- A page after a key; `behind` is the second part of a key of two.
SELECT {person} FROM person WHERE id > :after AND :behind = '' ORDER BY id LIMIT :n;

-- name: doctor_rows_erased_key
-- A page after an id.
SELECT {erased_key} FROM erased_key WHERE id > :after AND :behind = '' ORDER BY id LIMIT :n;

-- name: doctor_rows_tenant
-- A page after an id.
SELECT id, weight, max_backlog, open_tasks, open_subtasks, stored_bytes, budget
  FROM tenant WHERE id > :after AND :behind = '' ORDER BY id LIMIT :n;

-- name: doctor_rows_payload
-- A page after an id. Bodies may be large, so the caller asks for few.
SELECT id, task, body FROM payload WHERE id > :after ORDER BY id LIMIT :n;

-- name: doctor_erasing
-- Tasks that are being erased.
SELECT task FROM chore WHERE kind = :erase;

-- name: doctor_rows_queue
-- All of them: there is one for each set of skills.
SELECT {queue} FROM queue WHERE :after = '' AND :behind = '' AND :n > 0 ORDER BY id;
