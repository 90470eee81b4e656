-- A key of scope `own` lists the tasks of its party: without this, it would look at every task of its tenant.
CREATE INDEX task_of_party ON task (tenant, party, created_at, id);
