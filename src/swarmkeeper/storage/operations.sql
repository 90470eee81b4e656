-- Writes operations on many tasks; see core/operations/deciding.py, which gives each statement its parameters.

-- name: load_operation
-- By id.
SELECT {operation} FROM operation WHERE id = :id;

-- name: load_operations_of_tenant
-- All of them: they leave a week after their end.
SELECT {operation} FROM operation WHERE tenant = :tenant;

-- name: put_operation
-- It begins soon.
INSERT INTO operation ({operation})
VALUES (:id, :tenant, :party, :caller, :action, :args, :dry_run, :total, :trace, :created_at, :ended_at, :owner, :until,
        :items_hash, :slices, :done, :refused, :seal, :forged_at);

-- name: put_operation_items
-- Its tasks, in order.
INSERT INTO operation_item (operation, place, task)
SELECT :operation, CAST(item.value ->> 0 AS bigint), item.value ->> 1 FROM {pairs :items} AS item;

-- name: save_operation
-- How far it is, and who carries it out.
UPDATE operation
   SET ended_at = :ended_at, owner = :owner, until = :until, items_hash = :items_hash, slices = :slices,
       done = :done, refused = :refused, seal = :seal, forged_at = :forged_at
 WHERE id = :id;

-- name: note_operation_items
-- What came of these; the first note counts.
UPDATE operation_item
   SET outcome = noted.value ->> 1, code = noted.value ->> 2, detail = noted.value ->> 3,
       slice = CAST(noted.value ->> 4 AS bigint)
  FROM {pairs :items} AS noted
 WHERE operation_item.operation = :operation AND operation_item.place = CAST(noted.value ->> 0 AS bigint)
   AND operation_item.outcome IS NULL;

-- name: forget_operation_items
-- Of an operation.
DELETE FROM operation_item WHERE operation = :operation;

-- name: forget_operation
-- The operation itself.
DELETE FROM operation WHERE id = :id;
