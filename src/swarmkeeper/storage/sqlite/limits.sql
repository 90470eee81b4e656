-- Loads and saves of limits that hold work back: keys, rates, cooldowns. queries.sql has the rules for statements.

-- name: load_key_limit
-- Keys that limit how many items run at once.
SELECT {key_limit.*} FROM json_each(:keys) AS wanted CROSS JOIN key_limit ON key_limit.id = wanted.value;

-- name: works_in_line
-- The first items of a queue that wait for a key.
SELECT id FROM work INDEXED BY work_in_line
 WHERE line = :line AND queue = :queue AND line IS NOT NULL AND start_due IS NULL
 ORDER BY priority DESC, place, id LIMIT :n;

-- name: load_work_rate
-- Rates of skills, scopes and tenants.
SELECT {work_rate.*} FROM json_each(:keys) AS wanted CROSS JOIN work_rate ON work_rate.id = wanted.value;

-- name: load_cooldown
-- Cooldowns of scopes.
SELECT {cooldown.*} FROM json_each(:keys) AS wanted CROSS JOIN cooldown ON cooldown.id = wanted.value;

-- name: insert_key_limit
-- Version 1.
INSERT INTO key_limit ({key_limit}) VALUES ({:key_limit});

-- name: update_key_limit
-- Replaces the previous version.
UPDATE key_limit SET {key_limit=} WHERE id = :id AND version = :version - 1;

-- name: delete_key_limit
-- Nothing runs or waits with the key. May delete nothing: it came and went within one batch.
DELETE FROM key_limit WHERE id = :id;

-- name: put_work_rate
-- Sets or replaces.
INSERT INTO work_rate ({work_rate}) VALUES ({:work_rate})
    ON CONFLICT (id) DO UPDATE
       SET most = excluded.most, per_minute = excluded.per_minute, tokens_per_minute = excluded.tokens_per_minute,
           calls_at = excluded.calls_at, tokens_at = excluded.tokens_at;

-- name: delete_work_rate
-- Removes a rate.
DELETE FROM work_rate WHERE id = :id;

-- name: put_cooldown
-- Sets or replaces.
INSERT INTO cooldown ({cooldown}) VALUES ({:cooldown})
    ON CONFLICT (id) DO UPDATE SET phase = excluded.phase, until = excluded.until;

-- name: delete_cooldown
-- Ends it.
DELETE FROM cooldown WHERE id = :id;

-- name: all_cooldowns
-- The ids of all cooldowns.
SELECT id FROM cooldown ORDER BY id;

-- name: set_back_rates
-- Rates keep their remaining time.
UPDATE work_rate SET calls_at = max(0, calls_at - :by), tokens_at = max(0, tokens_at - :by);

-- name: set_back_cooldowns
-- Cooldowns keep their remaining time.
UPDATE cooldown SET until = until - :by;
