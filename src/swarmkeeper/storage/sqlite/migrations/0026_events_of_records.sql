-- Events of no task are found by the record that lists them: they leave when its body is erased with its task, because
-- nothing proves them any more. Those of tasks that were erased before leave now.
-- runs from: schema 18
CREATE INDEX event_of_record ON event (audit) WHERE task IS NULL;

INSERT INTO feed_start (tenant, seq)
SELECT tenant, max(seq) FROM event
 WHERE task IS NULL AND audit IN (SELECT id FROM audit_leaf WHERE body IS NULL)
 GROUP BY tenant
    ON CONFLICT (tenant) DO UPDATE SET seq = max(feed_start.seq, excluded.seq);
DELETE FROM event WHERE task IS NULL AND audit IN (SELECT id FROM audit_leaf WHERE body IS NULL);
