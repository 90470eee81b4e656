-- Most timers repeat a time of another row: a lease has `expires_at` and `ends_at`, an item in its queue has `start_due`.
-- Writing and deleting them took six rows for each subtask. The store now takes these times from the rows themselves.
ALTER TABLE ready ADD COLUMN start_due INTEGER;  -- as in `work`; NULL if no timer is set
UPDATE ready SET start_due = (SELECT start_due FROM work WHERE work.id = ready.work);
CREATE INDEX ready_start ON ready (start_due, work);
DELETE FROM timer WHERE kind IN ('lease', 'ends', 'start');
