-- What an administrator's tools read: metrics, the audit log in order, and the search for broken invariants.

-- name: metrics_ready
-- What waits to be leased, by queue.
SELECT queue.kind AS kind, queue.skills AS skills, sum(counted.items) AS items, min(counted.oldest) AS oldest
  FROM (SELECT queue, count(*) AS items, min(since) AS oldest FROM ready GROUP BY queue) AS counted
  JOIN queue ON queue.id = counted.queue
 GROUP BY queue.kind, queue.skills
 ORDER BY queue.kind, queue.skills;

-- name: any_key
-- Whether anybody can call at all.
SELECT EXISTS (SELECT 1 FROM api_key) AS found;

-- name: audit_tenants
-- Whose audit logs there are; a log whose head, or whose records, are gone is one too.
SELECT tenant FROM audit_tree UNION SELECT tenant FROM audit_leaf ORDER BY tenant;

-- name: audit_head
-- The head of one log, and, at the same moment, whether there is a record beyond it.
SELECT tree.tenant, tree.size, tree.frontier, tree.root,
       EXISTS (SELECT 1 FROM audit_leaf WHERE tenant = :tenant AND place >= tree.size) AS beyond
  FROM audit_tree AS tree
 WHERE tree.tenant = :tenant;

-- name: audit_records
-- Records of one log in order, from :place on and below :size.
SELECT tenant, place, id, task, actor, action, at, leaf, salt, body, hash
  FROM audit_leaf
 WHERE tenant = :tenant AND place >= :place AND place < :size
 ORDER BY place
 LIMIT :n;
