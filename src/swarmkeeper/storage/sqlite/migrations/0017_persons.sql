-- Somebody to whom keys and sign-ins by token belong; see core/persons/. Rows are never removed.
CREATE TABLE person (
    id          TEXT NOT NULL PRIMARY KEY,
    tenant      TEXT NOT NULL,
    name        TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    disabled_at INTEGER,
    UNIQUE (tenant, name)
) STRICT, WITHOUT ROWID;

-- NULL: the key, the bot or the decision is of no known person.
ALTER TABLE api_key ADD COLUMN person TEXT;
CREATE INDEX api_key_of_person ON api_key (tenant, person, id) WHERE person IS NOT NULL;
ALTER TABLE bot ADD COLUMN person TEXT;
ALTER TABLE approval ADD COLUMN decided_person TEXT;
-- How long ago, in microseconds, who decides may have signed in; NULL: a decision needs no sign-in.
ALTER TABLE approval ADD COLUMN step_up INTEGER;
-- 'own': the key sees only tasks of its party. NULL: all tasks that its role allows, as before.
ALTER TABLE api_key ADD COLUMN scope TEXT;
-- Who submitted the task, as a person, an owner or a key. NULL: the task is older than this column.
ALTER TABLE task ADD COLUMN party TEXT;
