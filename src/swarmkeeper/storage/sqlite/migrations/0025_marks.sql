-- What a task is listed by, beside its labels: the skills that its items need, the words of errors of its attempts, and the
-- code of its failure. The table task_label has these marks, too; each begins with a character that no label has. See
-- core/tallies/records.py: the words of an error are parted by everything in ASCII but letters, digits and the underscore.
-- runs from: schema 18
CREATE VIEW mark_of_item (tenant, label, created_at, task, work) AS
SELECT task.tenant, char(31) || 'skill:' || skill.value, task.created_at, task.id, work.id
  FROM task JOIN work ON work.task = task.id JOIN queue ON queue.id = work.queue, json_each(queue.skills) AS skill
 UNION ALL
SELECT task.tenant, char(31) || 'error:' || word.value, task.created_at, task.id, attempt.work
  FROM task JOIN attempt ON attempt.task = task.id AND attempt.error IS NOT NULL,
       -- In four parts: a program with an older SQLite (before 3.46) can open no store with one expression so deep.
       json_each('[' || replace(json_quote((
       SELECT replace(replace(replace(replace(replace(replace(replace(replace(replace(said
              , '{', ' '), '|', ' '), '}', ' '), '~', ' '), '`', ' '), char(9), ' '), char(10), ' '), char(13), ' ')
              , char(127), ' ')
         FROM (SELECT replace(replace(replace(replace(replace(replace(replace(replace(replace(said
                      , '=', ' '), '>', ' '), '?', ' '), '@', ' '), '[', ' '), '\', ' '), ']', ' '), '^', ' '), ';', ' ')
                      AS said
                 FROM (SELECT replace(replace(replace(replace(replace(replace(replace(replace(replace(said
                              , '*', ' '), '+', ' '), ',', ' '), '-', ' '), '.', ' '), '/', ' '), ':', ' '), '<', ' ')
                              , ')', ' ') AS said
                         FROM (SELECT replace(replace(replace(replace(replace(replace(replace(replace(
                                      lower(substr(attempt.error ->> 'message', 1, 300))
                                      , '"', ' '), '''', ' '), '!', ' '), '#', ' '), '$', ' '), '%', ' '), '&', ' ')
                                      , '(', ' ') AS said)))
       )), ' ', '","') || ']') AS word
 WHERE word.value <> '' AND attempt.error ->> 'message' IS NOT NULL;
CREATE VIEW label_of_task (tenant, label, created_at, task) AS
SELECT task.tenant, has.key || ':' || has.value, task.created_at, task.id FROM task, json_each(task.labels) AS has
 UNION ALL
SELECT tenant, char(31) || 'failure:' || (failure ->> 'code'), created_at, id FROM task WHERE failure IS NOT NULL
 UNION ALL
SELECT tenant, label, created_at, task FROM mark_of_item;

-- The marks of older tasks are made in slices after this.
UPDATE rebuild SET step = 'begin', tenant = '', place = 0, task = '';
INSERT INTO rebuild SELECT 'label', '', -4611686018427387904, '' WHERE EXISTS (SELECT 1 FROM task)
                                                                  AND NOT EXISTS (SELECT 1 FROM rebuild);
