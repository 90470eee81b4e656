-- Writes operations on many tasks; see core/operations/deciding.py, which gives each statement its parameters.

-- name: put_operation
-- It begins soon.
INSERT INTO operation (id, tenant, party, caller, action, args, dry_run, total, trace, created_at, ended_at)
VALUES (:id, :tenant, :party, :caller, :action, :args, :dry_run, :total, :trace, :at, :ended);

-- name: put_operation_items
-- Its tasks, in order.
INSERT INTO operation_item (operation, place, task)
SELECT :operation, CAST(item.value ->> 0 AS bigint), item.value ->> 1 FROM {pairs :items} AS item;

-- name: take_operation
-- By one server at a time: another one takes it over when that has not been heard for a while.
UPDATE operation SET owner = :owner, until = :until
 WHERE id = :id AND ended_at IS NULL AND (owner = :owner OR until <= :now);

-- name: keep_operation
-- Its server goes on.
UPDATE operation SET until = :until WHERE id = :id AND owner = :owner;

-- name: note_operation_items
-- What came of these; the first note counts.
UPDATE operation_item
   SET outcome = noted.value ->> 1, code = noted.value ->> 2, detail = noted.value ->> 3
  FROM {pairs :items} AS noted
 WHERE operation_item.operation = :operation AND operation_item.place = CAST(noted.value ->> 0 AS bigint)
   AND operation_item.outcome IS NULL;

-- name: end_operation
-- It has ended when something came of every task.
UPDATE operation SET ended_at = :at
 WHERE id = :id AND ended_at IS NULL
   AND NOT EXISTS (SELECT 1 FROM operation_item WHERE operation_item.operation = :id AND operation_item.outcome IS NULL);

-- name: forget_operation_items
-- Of the oldest operations that ended before a time.
DELETE FROM operation_item
 WHERE operation IN (SELECT id FROM operation WHERE ended_at < :before ORDER BY ended_at, id LIMIT :n);

-- name: forget_operations
-- The same ones.
DELETE FROM operation
 WHERE id IN (SELECT id FROM operation WHERE ended_at < :before ORDER BY ended_at, id LIMIT :n);
