-- What people and bots look at.

-- name: tenants
-- All that have had a key.
SELECT id, name FROM tenant ORDER BY id;
