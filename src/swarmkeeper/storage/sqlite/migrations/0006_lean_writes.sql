-- Fewer steps and pages for each row that is written. Only the text of the schema changes, no row: so this takes the same
-- time for every store.

-- SQLite builds a temporary table for `x IN (…)` with more than two values, anew for each row that a CHECK looks at.
-- Comparisons are the same check, without it. The last event's number is the greatest: no event is ever removed, so it is
-- never given again without AUTOINCREMENT, which writes a page of its own at each commit.
-- How to change a schema's text: https://www.sqlite.org/lang_altertable.html#otheralter
PRAGMA writable_schema = ON;

UPDATE sqlite_schema
   SET sql = replace(sql, 'status IN (''CREATED'', ''PLANNED'', ''IN_PROGRESS'', ''COMPLETED'', ''FAILED'', ''ARCHIVED'')',
                     'status = ''IN_PROGRESS'' OR status = ''COMPLETED'' OR status = ''ARCHIVED'' OR status = ''PLANNED'''
                     || ' OR status = ''CREATED'' OR status = ''FAILED''')
 WHERE type = 'table' AND name = 'task';
UPDATE sqlite_schema
   SET sql = replace(sql, 'evaluation IN (''final'', ''each'', ''none'')',
                     'evaluation = ''final'' OR evaluation = ''each'' OR evaluation = ''none''')
 WHERE type = 'table' AND name = 'task';
UPDATE sqlite_schema
   SET sql = replace(sql, 'approval IN (''none'', ''plan'', ''final'', ''rounds'')',
                     'approval = ''none'' OR approval = ''plan'' OR approval = ''final'' OR approval = ''rounds''')
 WHERE type = 'table' AND name = 'task';
UPDATE sqlite_schema
   SET sql = replace(sql, 'outcome IN (''accepted'', ''rejected'', ''failed'', ''cancelled'', ''expired'')',
                     'outcome = ''accepted'' OR outcome = ''rejected'' OR outcome = ''failed'' OR outcome = ''cancelled'''
                     || ' OR outcome = ''expired''')
 WHERE type = 'table' AND name = 'task';

UPDATE sqlite_schema
   SET sql = replace(sql, 'kind IN (''plan'', ''execute'', ''review'')',
                     'kind = ''execute'' OR kind = ''plan'' OR kind = ''review''')
 WHERE type = 'table' AND name IN ('work', 'queue');
UPDATE sqlite_schema
   SET sql = replace(sql, 'status IN (''BLOCKED'', ''READY'', ''LEASED'', ''WAITING'', ''IN_REVIEW'', ''SUCCEEDED'','
                          || ' ''FAILED'', ''CANCELLED'', ''SKIPPED'')',
                     'status = ''LEASED'' OR status = ''SUCCEEDED'' OR status = ''READY'' OR status = ''BLOCKED'''
                     || ' OR status = ''WAITING'' OR status = ''IN_REVIEW'' OR status = ''FAILED'''
                     || ' OR status = ''CANCELLED'' OR status = ''SKIPPED''')
 WHERE type = 'table' AND name = 'work';

UPDATE sqlite_schema
   SET sql = replace(sql, 'condition IN (''success'', ''done'', ''failure'')',
                     'condition = ''success'' OR condition = ''done'' OR condition = ''failure''')
 WHERE type = 'table' AND name = 'edge';

UPDATE sqlite_schema
   SET sql = replace(sql, 'ending IN (''succeeded'', ''failed'', ''expired'', ''timed_out'', ''released'', ''deferred'','
                          || ' ''asked'', ''unseen'', ''cancelled'')',
                     'ending = ''succeeded'' OR ending = ''failed'' OR ending = ''expired'' OR ending = ''timed_out'''
                     || ' OR ending = ''released'' OR ending = ''deferred'' OR ending = ''asked'''
                     || ' OR ending = ''unseen'' OR ending = ''cancelled''')
 WHERE type = 'table' AND name = 'attempt';

UPDATE sqlite_schema SET sql = replace(sql, ' AUTOINCREMENT', '') WHERE type = 'table' AND name = 'event';

PRAGMA writable_schema = RESET;

-- Changes the schema's number, so that other connections read it again.
CREATE TABLE passing (id INTEGER PRIMARY KEY) STRICT;
DROP TABLE passing;
