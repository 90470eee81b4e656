-- Cursors of the feed show no numbers: see govern/cursors.py. Their key (cursor_key) is drawn when this file has run.
-- Clients keep numbers that they were shown before, up to this one: these are still taken.
INSERT INTO meta (key, value)
SELECT 'numbers_until', max(
    coalesce((SELECT max(seq) FROM event), 0),
    coalesce((SELECT max(seq) FROM feed_start), 0),
    coalesce((SELECT max(upto) FROM feed_gap), 0)
);
