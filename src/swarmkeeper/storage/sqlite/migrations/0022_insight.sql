-- What dashboards read: reviews of a task, and open approvals by the time at which they expire.
-- runs from: schema 18
CREATE INDEX work_reviews ON work (task, seq) WHERE kind = 'review';
CREATE INDEX approval_open ON approval (tenant, expires_at, id) WHERE state = 'open';
