-- What follows from other rows, for lists and sums that must not read them all: counts of tasks, sums of costs, labels,
-- words of titles. See core/tallies/ and storage/derived/. An older store is filled after this, in slices.

-- Tasks of a week, by status and outcome; empty for none. `party` is who submitted them.
CREATE TABLE task_count (
    tenant  TEXT NOT NULL,
    party   TEXT NOT NULL,
    week    INTEGER NOT NULL,
    status  TEXT NOT NULL,
    outcome TEXT NOT NULL,
    number  INTEGER NOT NULL,
    PRIMARY KEY (tenant, party, week, status, outcome)
) STRICT, WITHOUT ROWID;

-- Tasks of a week with a label.
CREATE TABLE label_count (
    tenant TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  TEXT NOT NULL,
    party  TEXT NOT NULL,
    week   INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (tenant, key, value, party, week)
) STRICT, WITHOUT ROWID;

-- What attempts used on a day, of tasks of a week. `part` says what `name` is: a bot's id, a skill, a label, or nothing.
CREATE TABLE cost (
    tenant          TEXT NOT NULL,
    part            TEXT NOT NULL,
    day             INTEGER NOT NULL,
    name            TEXT NOT NULL,
    party           TEXT NOT NULL,
    week            INTEGER NOT NULL,
    cost_micro_usd  INTEGER NOT NULL,
    tokens          INTEGER NOT NULL,
    unpriced_tokens INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    PRIMARY KEY (tenant, part, day, name, party, week)
) STRICT, WITHOUT ROWID;

-- The labels of tasks, as key:value.
CREATE TABLE task_label (
    tenant     TEXT NOT NULL,
    label      TEXT NOT NULL,
    created_at INTEGER NOT NULL,  -- of the task
    task       TEXT NOT NULL,
    PRIMARY KEY (tenant, label, created_at, task)
) STRICT, WITHOUT ROWID;

-- The words of titles, and by which number they know a task. Numbers are in the order of the tasks' creation.
CREATE TABLE task_number (
    n    INTEGER PRIMARY KEY,
    task TEXT NOT NULL UNIQUE
) STRICT;
CREATE VIRTUAL TABLE task_words USING fts5(tenant, title, content = '');
-- A word that is deleted leaves the file, and is not only marked.
INSERT INTO task_words (task_words, rank) VALUES ('secure-delete', 1);
CREATE TRIGGER words_come AFTER INSERT ON task BEGIN
    INSERT INTO task_number (task) VALUES (NEW.id);
    INSERT INTO task_words (rowid, tenant, title)
    SELECT n, 't' || hex(NEW.tenant), NEW.title FROM task_number WHERE task = NEW.id;
END;
CREATE TRIGGER words_go BEFORE DELETE ON task BEGIN
    INSERT INTO task_words (task_words, rowid, tenant, title)
    SELECT 'delete', n, 't' || hex(OLD.tenant), OLD.title FROM task_number WHERE task = OLD.id;
    DELETE FROM task_number WHERE task = OLD.id;
END;

-- How far making all of this anew has come; no row if that is done.
CREATE TABLE rebuild (
    step   TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    place  INTEGER NOT NULL,
    task   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO rebuild SELECT 'begin', '', 0, '' WHERE EXISTS (SELECT 1 FROM task);

-- Tasks of which few are among many.
CREATE INDEX task_open ON task (tenant, created_at, id) WHERE outcome IS NULL;
CREATE INDEX task_ended ON task (tenant, outcome, created_at, id) WHERE outcome IS NOT NULL;
CREATE INDEX task_of_party ON task (tenant, party, created_at, id) WHERE party IS NOT NULL;

-- The first and the last attempt of a task, and its first error.
DROP INDEX attempt_of_bot;
CREATE INDEX attempt_of_task ON attempt (task, started, bot);
CREATE INDEX attempt_with_error ON attempt (task, ended) WHERE error IS NOT NULL;
