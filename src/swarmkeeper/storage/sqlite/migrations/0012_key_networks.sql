-- From which networks a key may be used, and when it last was.
ALTER TABLE api_key ADD COLUMN networks TEXT;

CREATE TABLE key_use (
    key TEXT NOT NULL PRIMARY KEY,
    at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
