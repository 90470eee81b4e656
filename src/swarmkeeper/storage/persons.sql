-- Loads and writes persons; see core/persons/.

-- name: load_person
-- One of them.
SELECT {person} FROM person WHERE id = :id;

-- name: load_person_name
-- The id of the person who has this name.
SELECT id FROM person WHERE tenant = :tenant AND name = :name;

-- name: load_keys_of_person
-- Keys of a person that are not revoked.
SELECT id FROM api_key WHERE tenant = :tenant AND person = :person AND revoked_at IS NULL ORDER BY id;

-- name: put_person
-- A person is created, or changed.
INSERT INTO person (id, tenant, name, created_at, disabled_at)
VALUES (:id, :tenant, :name, :created_at, :disabled_at)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, disabled_at = excluded.disabled_at;

-- name: put_session
-- A browser signed in.
INSERT INTO session (id, tenant, key_id, created_at, digest, seal, used_at, ends_at, public_id, secret_digest, login)
VALUES (:id, :tenant, :key_id, :created_at, :digest, :seal, :used_at, :ends_at, :public_id, :secret_digest, :login);

-- name: end_session
-- One of the caller's own.
DELETE FROM session WHERE id = :id AND tenant = :tenant AND key_id = :key_id;

-- name: end_oldest_sessions
-- Of one key or subject, those that were used last stay.
DELETE FROM session
 WHERE id IN (SELECT id FROM session WHERE tenant = :tenant AND key_id = :key_id
               ORDER BY used_at DESC, id DESC LIMIT 1000 OFFSET :most);

-- name: use_session
-- Time moves forward only: replicas may note uses in any order.
UPDATE session SET used_at = {greatest}(used_at, :at) WHERE id = :id;

-- name: remove_unused_sessions
-- They count no more.
DELETE FROM session WHERE used_at <= :before;
