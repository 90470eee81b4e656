-- Reads about secrets, for core/secrets/reads.py. Values are encrypted.

-- name: secret_versions
-- The versions of one secret that the server keeps, the newest first.
SELECT tenant, name, CAST(version AS TEXT) AS version, '' AS tag, 'builtin' AS source, key_id, nonce, sealed,
       created_at AS first_at, created_at AS last_at
  FROM secret WHERE tenant = :tenant AND name = :name ORDER BY secret.version DESC;

-- name: all_secrets
-- All that the server keeps, after a key.
SELECT tenant, name, CAST(version AS TEXT) AS version, '' AS tag, 'builtin' AS source, key_id, nonce, sealed,
       created_at AS first_at, created_at AS last_at
  FROM secret WHERE (tenant, name, version) > (:tenant, :name, :version)
 ORDER BY secret.tenant, secret.name, secret.version LIMIT :limit;

-- name: all_released
-- All values that were released, after a key.
SELECT tenant, name, version, tag, source, key_id, nonce, sealed, first_at, last_at
  FROM secret_released WHERE (tenant, name, tag) > (:tenant, :name, :tag)
 ORDER BY tenant, name, tag LIMIT :limit;

-- name: released_tag
-- A value that another server has released.
SELECT tenant, name, version, tag, source, key_id, nonce, sealed, first_at, last_at
  FROM secret_released WHERE tenant = :tenant AND tag = :tag ORDER BY name LIMIT 1;

-- name: secrets_page
-- What an administrator may see of the secrets of a tenant, after a name and a version.
SELECT name, version, source, created_at, released_at, released
  FROM (SELECT secret.name, CAST(secret.version AS TEXT) AS version, 'builtin' AS source, secret.created_at,
               (SELECT max(last_at) FROM secret_released AS one
                 WHERE one.tenant = secret.tenant AND one.name = secret.name
                   AND one.version = CAST(secret.version AS TEXT) AND one.source = 'builtin') AS released_at,
               CAST(coalesce((SELECT sum(count) FROM secret_released AS one
                 WHERE one.tenant = secret.tenant AND one.name = secret.name
                   AND one.version = CAST(secret.version AS TEXT) AND one.source = 'builtin'), 0) AS BIGINT) AS released
          FROM secret WHERE secret.tenant = :tenant
         UNION ALL
        SELECT name, version, source, NULL, max(last_at), CAST(sum(count) AS BIGINT)
          FROM secret_released
         WHERE tenant = :tenant AND source <> 'builtin'
         GROUP BY name, version, source) AS seen
 WHERE (name, version) > (:name, :version)
 ORDER BY name, version LIMIT :limit;

-- name: ended_loans
-- Credentials whose lease has ended, after an id: they are to be revoked.
SELECT id, tenant, lease_id, source, key_id, nonce, sealed, expires_at
  FROM secret_loan
 WHERE id > :after AND NOT EXISTS (SELECT 1 FROM lease WHERE lease.lease_id = secret_loan.lease_id)
 ORDER BY id LIMIT :limit;

-- name: all_loans
-- All of them, after an id.
SELECT id, tenant, lease_id, source, key_id, nonce, sealed, expires_at
  FROM secret_loan WHERE id > :after ORDER BY id LIMIT :limit;

-- name: ended_secret_leases
-- Counts of leases that have ended.
SELECT lease_id AS id, tenant
  FROM secret_lease
 WHERE NOT EXISTS (SELECT 1 FROM lease WHERE lease.lease_id = secret_lease.lease_id)
 ORDER BY lease_id LIMIT :limit;

-- name: secret_rows
-- How many encrypted values there are: without their key, a server does not start.
SELECT (SELECT count(*) FROM secret) + (SELECT count(*) FROM secret_released) + (SELECT count(*) FROM secret_loan)
       AS found;
