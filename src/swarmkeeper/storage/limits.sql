-- Loads and saves of limits that hold work back: keys, rates, cooldowns. queries.sql has the rules for statements.

-- name: load_key_limit
-- Keys that limit how many items run at once.
SELECT {key_limit.*} FROM {each :keys} AS wanted CROSS JOIN key_limit ON key_limit.id = wanted.value;

-- name: works_in_line
-- The first items of a queue that wait for a key.
SELECT id FROM work {by work_in_line}
 WHERE line = :line AND queue = :queue AND line IS NOT NULL AND start_due IS NULL
 ORDER BY priority DESC, place, id LIMIT :n;

-- name: load_work_rate
-- Rates of skills, scopes and tenants.
SELECT {work_rate.*} FROM {each :keys} AS wanted CROSS JOIN work_rate ON work_rate.id = wanted.value;

-- name: load_cooldown
-- Cooldowns of scopes.
SELECT {cooldown.*} FROM {each :keys} AS wanted CROSS JOIN cooldown ON cooldown.id = wanted.value;

-- name: all_cooldowns
-- The ids of all cooldowns.
SELECT id FROM cooldown ORDER BY id;

-- name: set_back_rates
-- Rates keep their remaining time.
UPDATE work_rate SET calls_at = {greatest}(0, calls_at - :by), tokens_at = {greatest}(0, tokens_at - :by);

-- name: set_back_cooldowns
-- Cooldowns keep their remaining time.
UPDATE cooldown SET until = until - :by;
