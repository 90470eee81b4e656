-- Reads about erasures by key; see core/erasure/reads.py.

-- name: erased_tenants
-- When a tenant's data keys were erased last.
SELECT tenant, max(erased_at) AS erased_at FROM erased_key GROUP BY tenant;
