-- Secrets and their releases. Values are encrypted before they come here. queries.sql has the rules for statements.

-- name: load_secret
-- The versions of a secret that the server keeps.
SELECT version, key_id, nonce, sealed, created_at, created_by
  FROM secret WHERE tenant = :tenant AND name = :name ORDER BY version;

-- name: load_secret_released
-- A value that was released under this name before.
SELECT version, source, key_id, nonce, sealed, first_at, last_at, count
  FROM secret_released WHERE tenant = :tenant AND name = :name AND tag = :tag;

-- name: load_secret_use
-- How often a secret was released in a minute.
SELECT minute, count FROM secret_use WHERE tenant = :tenant AND name = :name;

-- name: load_secret_lease
-- How many secrets were released under a lease.
SELECT tenant, count FROM secret_lease WHERE lease_id = :lease_id;

-- name: put_secret
-- A version. One that is there already stays.
INSERT INTO secret (tenant, name, version, key_id, nonce, sealed, created_at, created_by)
VALUES (:tenant, :name, :version, :key_id, :nonce, :sealed, :created_at, :created_by)
    ON CONFLICT DO NOTHING;

-- name: seal_secret
-- The same value under another master key, unless the row was changed since it was read.
UPDATE secret SET key_id = :key_id, nonce = :nonce, sealed = :sealed
 WHERE tenant = :tenant AND name = :name AND version = :version AND key_id = :old AND nonce = :old_nonce;

-- name: seal_secret_released
-- Likewise.
UPDATE secret_released SET key_id = :key_id, nonce = :nonce, sealed = :sealed
 WHERE tenant = :tenant AND name = :name AND tag = :tag AND key_id = :old AND nonce = :old_nonce;

-- name: seal_secret_loan
-- Likewise.
UPDATE secret_loan SET key_id = :key_id, nonce = :nonce, sealed = :sealed
 WHERE id = :id AND key_id = :old AND nonce = :old_nonce;

-- name: delete_secret
-- A version that is retired.
DELETE FROM secret WHERE tenant = :tenant AND name = :name AND version = :version;

-- name: put_secret_released
-- A value that was released, or was released again.
INSERT INTO secret_released
       (tenant, name, tag, version, source, key_id, nonce, sealed, first_at, last_at, count)
VALUES (:tenant, :name, :tag, :version, :source, :key_id, :nonce, :sealed, :first_at, :last_at, :count)
    ON CONFLICT (tenant, name, tag) DO UPDATE
   SET version = excluded.version, source = excluded.source, key_id = excluded.key_id, nonce = excluded.nonce,
       sealed = excluded.sealed, last_at = excluded.last_at, count = excluded.count;

-- name: forget_released
-- A value that was not released for very long.
DELETE FROM secret_released WHERE tenant = :tenant AND name = :name AND tag = :tag AND last_at < :before;

-- name: put_secret_use
-- The count of the newest minute.
INSERT INTO secret_use (tenant, name, minute, count) VALUES (:tenant, :name, :minute, :count)
    ON CONFLICT (tenant, name) DO UPDATE SET minute = excluded.minute, count = excluded.count;

-- name: put_secret_lease
-- The count of a lease.
INSERT INTO secret_lease (lease_id, tenant, count) VALUES (:lease_id, :tenant, :count)
    ON CONFLICT (lease_id) DO UPDATE SET count = excluded.count;

-- name: delete_secret_lease
-- The lease has ended.
DELETE FROM secret_lease WHERE lease_id = :lease_id;

-- name: put_secret_loan
-- Credentials made for a lease.
INSERT INTO secret_loan (id, tenant, lease_id, source, key_id, nonce, sealed, expires_at)
VALUES (:id, :tenant, :lease_id, :source, :key_id, :nonce, :sealed, :expires_at)
    ON CONFLICT DO NOTHING;

-- name: delete_secret_loan
-- They are revoked, or have ended by themselves.
DELETE FROM secret_loan WHERE id = :id;
