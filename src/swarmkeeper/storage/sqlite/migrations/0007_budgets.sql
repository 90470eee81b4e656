-- Budgets. An account is a JSON object with its limits and what was reserved and spent of them; NULL without a budget, so
-- that rows without one are as they were. A lease has what it has reserved; an attempt, and a late result, what it settled.
ALTER TABLE tenant ADD COLUMN budget TEXT;  -- JSON
ALTER TABLE task ADD COLUMN budget TEXT;  -- JSON
ALTER TABLE work ADD COLUMN budget TEXT;  -- JSON
ALTER TABLE lease ADD COLUMN reserved TEXT;  -- JSON
ALTER TABLE attempt ADD COLUMN settled TEXT;  -- JSON
ALTER TABLE late_result ADD COLUMN settled TEXT;  -- JSON

-- People are asked to raise a budget by an approval of its own kind.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
   SET sql = replace(sql, 'kind IN (''plan'', ''final'', ''rounds'', ''question'')',
                     'kind IN (''plan'', ''final'', ''rounds'', ''question'', ''budget'')')
 WHERE type = 'table' AND name = 'approval';
PRAGMA writable_schema = RESET;

-- Changes the schema's number, so that other connections read it again.
CREATE TABLE passing (id INTEGER PRIMARY KEY) STRICT;
DROP TABLE passing;
