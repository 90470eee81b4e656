-- Tenants have a share of the engine's time and a bound on what they may have open. How much that is is counted here,
-- in the transaction that changes it; `doctor --deep` compares it with the tasks.

ALTER TABLE tenant ADD COLUMN weight INTEGER NOT NULL DEFAULT 1 CHECK (weight >= 1);
ALTER TABLE tenant ADD COLUMN max_backlog INTEGER CHECK (max_backlog >= 0);  -- NULL: no bound
ALTER TABLE tenant ADD COLUMN open_tasks INTEGER NOT NULL DEFAULT 0 CHECK (open_tasks >= 0);

INSERT INTO tenant (id, name) SELECT DISTINCT tenant, tenant FROM task WHERE true ON CONFLICT DO NOTHING;
UPDATE tenant
   SET open_tasks = (SELECT count(*) FROM task WHERE task.tenant = tenant.id AND task.outcome IS NULL);

-- Whose long work there is, and the next of one tenant.
CREATE INDEX chore_of_tenant ON chore (tenant, task, seq);
