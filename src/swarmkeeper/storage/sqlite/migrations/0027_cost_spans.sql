-- Sums of costs over spans of days, so that a sum over many days reads few rows. See storage/derived/spans.py.
CREATE TABLE cost_span (
    tenant          TEXT NOT NULL,
    part            TEXT NOT NULL,
    days            INTEGER NOT NULL,  -- how many
    first           INTEGER NOT NULL,  -- of these days
    name            TEXT NOT NULL,
    cost_micro_usd  INTEGER NOT NULL,
    tokens          INTEGER NOT NULL,
    unpriced_tokens INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    PRIMARY KEY (tenant, part, days, first, name)
) STRICT, WITHOUT ROWID;

-- From which day on a tenant has spans, and which day is the first that they do not reach.
CREATE TABLE cost_folded (
    tenant TEXT NOT NULL PRIMARY KEY,
    first  INTEGER NOT NULL,
    past   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How many days spans have. Some begin at each multiple of it; of the others there is one, which ends with the last day.
CREATE VIEW cost_length (days, rolls) AS
VALUES (1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (32, 0), (64, 0), (128, 0), (6, 1), (29, 1), (89, 1);

-- An older store is filled after this, day by day.
INSERT INTO rebuild SELECT 'span', '', 0, '' WHERE EXISTS (SELECT 1 FROM cost) AND NOT EXISTS (SELECT 1 FROM rebuild);
