-- Loads and writes what an erasure by key needs; see core/decide/erasures.py.

-- name: load_data_keys_of
-- The ids of a tenant's data keys.
SELECT id FROM data_key WHERE tenant = :tenant ORDER BY id;

-- name: load_at_rest
-- What keeps a tenant from being erased; and what was erased of it before.
SELECT EXISTS (SELECT 1 FROM task WHERE tenant = :tenant AND outcome IS NULL)
       OR EXISTS (SELECT 1 FROM lease WHERE tenant = :tenant) AS busy,
       EXISTS (SELECT 1 FROM legal_hold WHERE tenant = :tenant) AS held,
       coalesce((SELECT max(updated_at) FROM task WHERE tenant = :tenant), 0) AS changed_at,
       coalesce((SELECT max(erased_at) FROM erased_key WHERE tenant = :tenant), 0) AS erased_at,
       EXISTS (SELECT 1 FROM task
                WHERE tenant = :tenant
                  AND created_at > coalesce((SELECT max(erased_at) FROM erased_key WHERE tenant = :tenant), 0)) AS used;

-- name: load_erased_at
-- When a tenant's data keys were erased last.
SELECT coalesce(max(erased_at), 0) FROM erased_key WHERE tenant = :tenant;

-- name: all_erased_keys
-- The ids of all data keys that were erased.
SELECT id FROM erased_key;

-- name: delete_data_key
-- Destroys a data key.
DELETE FROM data_key WHERE id = :id;

-- name: insert_erased_key
-- What is left of it.
INSERT INTO erased_key (id, tenant, erased_at, erased_by) VALUES (:id, :tenant, :erased_at, :erased_by);
