-- Loads and writes kills; see core/decide/kills.py.

-- name: load_kills
-- All kills of a tenant; a tenant has few.
SELECT {kill} FROM kill WHERE tenant = :tenant ORDER BY id;

-- name: load_kill
-- One of them.
SELECT {kill} FROM kill WHERE id = :id;

-- name: put_kill
-- A kill of this name is replaced.
INSERT INTO kill (id, tenant, kind, name, reason, placed_by, placed_at, until)
VALUES (:id, :tenant, :kind, :name, :reason, :placed_by, :placed_at, :until)
    ON CONFLICT (id) DO UPDATE
   SET reason = excluded.reason, placed_by = excluded.placed_by, placed_at = excluded.placed_at, until = excluded.until;

-- name: delete_kill
-- Lifted.
DELETE FROM kill WHERE id = :id;

-- name: leases_of_killed_bot
-- Items that a bot of this name or id leases.
SELECT lease.work
  FROM bot
  JOIN lease ON lease.bot = bot.id
 WHERE bot.tenant = :tenant AND (bot.name = :name OR bot.id = :name)
 ORDER BY lease.work
 LIMIT :n;

-- name: leases_of_killed_owner
-- Items that bots of this owner lease.
SELECT lease.work
  FROM bot
  JOIN lease ON lease.bot = bot.id
 WHERE bot.tenant = :tenant AND bot.owner = :name
 ORDER BY lease.work
 LIMIT :n;

-- name: leases_of_killed_skill
-- Leased items that require this skill. There are few queues, and few leases against all items.
SELECT lease.work
  FROM lease
  JOIN work ON work.id = lease.work
 WHERE lease.tenant = :tenant
   AND work.queue IN (SELECT queue.id FROM queue
                       WHERE :name IN (SELECT required.value FROM {each queue.skills} AS required))
 ORDER BY lease.work
 LIMIT :n;

-- name: leases_of_killed_tenant
-- All leased items; the name is the tenant's, too.
SELECT work FROM lease WHERE tenant = :tenant AND tenant = :name ORDER BY work LIMIT :n;
