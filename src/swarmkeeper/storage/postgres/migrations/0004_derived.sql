-- What follows from other rows, for lists and sums that must not read them all: counts of tasks, sums of costs, labels,
-- words of titles. See core/tallies/ and storage/derived/. The sequencer adds to counts and sums.

-- Tasks of a week, by status and outcome; empty for none. `party` is who submitted them.
CREATE TABLE task_count (
    tenant  text COLLATE "C" NOT NULL,
    party   text COLLATE "C" NOT NULL,
    week    bigint NOT NULL,
    status  text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    number  bigint NOT NULL,
    PRIMARY KEY (tenant, party, week, status, outcome)
) WITH (fillfactor = 60);

-- Tasks of a week with a label.
CREATE TABLE label_count (
    tenant text COLLATE "C" NOT NULL,
    key    text COLLATE "C" NOT NULL,
    value  text COLLATE "C" NOT NULL,
    party  text COLLATE "C" NOT NULL,
    week   bigint NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (tenant, key, value, party, week)
) WITH (fillfactor = 60);

-- What attempts used on a day, of tasks of a week. `part` says what `name` is: a bot's id, a skill, a label, or nothing.
CREATE TABLE cost (
    tenant          text COLLATE "C" NOT NULL,
    part            text COLLATE "C" NOT NULL,
    day             bigint NOT NULL,
    name            text COLLATE "C" NOT NULL,
    party           text COLLATE "C" NOT NULL,
    week            bigint NOT NULL,
    cost_micro_usd  bigint NOT NULL,
    tokens          bigint NOT NULL,
    unpriced_tokens bigint NOT NULL,
    attempts        bigint NOT NULL,
    PRIMARY KEY (tenant, part, day, name, party, week)
) WITH (fillfactor = 60);

-- The labels of tasks, as key:value.
CREATE TABLE task_label (
    tenant     text COLLATE "C" NOT NULL,
    label      text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,  -- of the task
    task       text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, label, created_at, task)
);

-- How far making all of this anew has come; no row if that is done.
CREATE TABLE rebuild (
    step   text COLLATE "C" PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    place  bigint NOT NULL,
    task   text COLLATE "C" NOT NULL
);
INSERT INTO rebuild SELECT 'begin', '', 0, '' WHERE EXISTS (SELECT 1 FROM task);

-- The words of titles. Punctuation separates words: otherwise the parser would take `a.b` for one word.
CREATE FUNCTION title_words(title text) RETURNS tsvector LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN to_tsvector(CAST('simple' AS regconfig),
                       translate(title, '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', '                                '));
CREATE INDEX task_words ON task USING gin (title_words(title));

-- Tasks of which few are among many.
CREATE INDEX task_open ON task (tenant, created_at, id) WHERE outcome IS NULL;
CREATE INDEX task_ended ON task (tenant, outcome, created_at, id) WHERE outcome IS NOT NULL;
CREATE INDEX task_of_priority ON task (tenant, priority, created_at, id);
CREATE INDEX task_of_party ON task (tenant, party, created_at, id) WHERE party IS NOT NULL;

-- The first and the last attempt of a task, and its first error. What is dropped comes last: then nobody can read the table.
CREATE INDEX attempt_of_task ON attempt (task, started, bot);
CREATE INDEX attempt_with_error ON attempt (task, ended) WHERE error IS NOT NULL;
DROP INDEX attempt_of_bot;

-- What a task is listed by: its labels, and marks, which begin with a character that no label has: the skills that its items
-- need, the words of errors of its attempts, and the code of its failure. See core/tallies/records.py: the words of an
-- error are parted by everything in ASCII but letters, digits and the underscore.
CREATE FUNCTION words_of_error(said text) RETURNS TABLE (value text) LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_to_table(translate(lower(substr(said, 1, 300) COLLATE "C"),
                                     E'"!#$%&\'()*+,-./:;<=>?@[\\]^`{|}~\t\n\r\x7f', repeat(' ', 35)), ' ')
$$;
CREATE VIEW mark_of_item (tenant, label, created_at, task, work) AS
SELECT task.tenant, (chr(31) || 'skill:' || skill.value) COLLATE "C", task.created_at, task.id, work.id
  FROM task JOIN work ON work.task = task.id JOIN queue ON queue.id = work.queue,
       json_array_elements_text(CAST(queue.skills AS json)) AS skill
 UNION ALL
SELECT task.tenant, (chr(31) || 'error:' || word.value) COLLATE "C", task.created_at, task.id, attempt.work
  FROM task JOIN attempt ON attempt.task = task.id AND attempt.error IS NOT NULL,
       words_of_error(CAST(attempt.error AS json) ->> 'message') AS word
 WHERE word.value <> '';
CREATE VIEW label_of_task (tenant, label, created_at, task) AS
SELECT task.tenant, (has.key || ':' || has.value) COLLATE "C", task.created_at, task.id
  FROM task, json_each_text(CAST(task.labels AS json)) AS has
 UNION ALL
SELECT tenant, (chr(31) || 'failure:' || (CAST(failure AS json) ->> 'code')) COLLATE "C", created_at, id
  FROM task
 WHERE failure IS NOT NULL
 UNION ALL
SELECT tenant, label, created_at, task FROM mark_of_item;

-- Sums of costs over spans of days, so that a sum over many days reads few rows. See storage/derived/spans.py.
CREATE TABLE cost_span (
    tenant          text COLLATE "C" NOT NULL,
    part            text COLLATE "C" NOT NULL,
    days            bigint NOT NULL,  -- how many
    first           bigint NOT NULL,  -- of these days
    name            text COLLATE "C" NOT NULL,
    cost_micro_usd  bigint NOT NULL,
    tokens          bigint NOT NULL,
    unpriced_tokens bigint NOT NULL,
    attempts        bigint NOT NULL,
    PRIMARY KEY (tenant, part, days, first, name)
) WITH (fillfactor = 90);

-- From which day on a tenant has spans, and which day is the first that they do not reach.
CREATE TABLE cost_folded (
    tenant text COLLATE "C" PRIMARY KEY,
    first  bigint NOT NULL,
    past   bigint NOT NULL
);

-- How many days spans have. Some begin at each multiple of it; of the others there is one, which ends with the last day.
CREATE VIEW cost_length (days, rolls) AS
SELECT CAST(days AS bigint), rolls
  FROM (VALUES (1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (32, 0), (64, 0), (128, 0), (6, 1), (29, 1), (89, 1))
       AS length (days, rolls);
