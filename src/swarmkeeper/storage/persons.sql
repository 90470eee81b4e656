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
