-- For the outgoing stream: up to which event another program's stream has got them.
CREATE TABLE sink (
    name  TEXT NOT NULL PRIMARY KEY,
    seq   INTEGER NOT NULL,
    owner TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
