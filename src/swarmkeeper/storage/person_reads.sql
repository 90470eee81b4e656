-- Reads persons; see core/persons/reads.py.

-- name: persons_page
-- A page of a tenant's persons.
SELECT {person} FROM person WHERE tenant = :tenant AND id > :after ORDER BY id LIMIT :limit;

-- name: person_row
-- One person of a tenant.
SELECT {person} FROM person WHERE tenant = :tenant AND id = :person;

-- name: person_by_name
-- The person of a tenant whom a token names.
SELECT {person} FROM person WHERE tenant = :tenant AND name = :name;

-- name: session_by_digest
-- The session of a cookie.
SELECT {session} FROM session WHERE digest = :digest;

-- name: sessions_of_key
-- The open sessions of a key or subject, the one used last first.
SELECT {session} FROM session
 WHERE tenant = :tenant AND key_id = :key_id AND used_at > :used_after AND ends_at > :now
 ORDER BY used_at DESC, id DESC;

-- name: session_row
-- A session by its id.
SELECT {session} FROM session WHERE id = :session;
