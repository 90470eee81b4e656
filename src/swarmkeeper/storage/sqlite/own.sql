-- What SQLite words in its own way; the shared files say what each statement promises.

-- name: purge_idempotency
DELETE FROM idempotency
 WHERE rowid IN (SELECT rowid FROM idempotency WHERE expires < :now ORDER BY expires, tenant, key LIMIT :limit);

-- name: load_tenant
SELECT tenant.id, tenant.weight, tenant.max_backlog, tenant.open_tasks, tenant.open_subtasks, tenant.stored_bytes,
       tenant.budget
  FROM {each :keys} AS wanted CROSS JOIN tenant ON tenant.id = wanted.value;

-- name: update_lease
UPDATE lease SET {lease=} WHERE lease.work = :work AND lease.lease_id = :lease_id AND lease.version = :version - 1;

-- name: put_ready
INSERT OR REPLACE INTO ready ({ready}, start_due)
VALUES ({:ready}, coalesce(:start_due, (SELECT start_due FROM ready WHERE work = :work)));

-- name: put_idempotency
INSERT OR REPLACE INTO idempotency ({idempotency}) VALUES ({:idempotency});

-- name: put_tree
INSERT OR REPLACE INTO audit_tree ({audit_tree}) VALUES ({:audit_tree});

-- name: count_opened
INSERT INTO tenant (id, name, open_tasks, open_subtasks, stored_bytes)
VALUES (:id, :id, max(0, :opened), max(0, :opened_subtasks), max(0, :stored))
    ON CONFLICT (id) DO UPDATE SET open_tasks = open_tasks + :opened,
                                   stored_bytes = max(0, stored_bytes + :stored),
                                   open_subtasks = max(0, open_subtasks + :opened_subtasks);

-- name: put_meta
INSERT OR REPLACE INTO meta (key, value) VALUES (:key, :value);

-- name: doctor_record_events
SELECT id AS subject FROM audit_leaf GROUP BY id HAVING count(*) > 1
UNION
SELECT leaf.id
  FROM (SELECT id, CAST(body AS TEXT) AS body FROM audit_leaf WHERE body IS NOT NULL) AS leaf
  LEFT JOIN (SELECT audit, count(*) AS named FROM event GROUP BY audit) AS counted ON counted.audit = leaf.id
  LEFT JOIN (SELECT audit, sum(events) AS events
               FROM audit_cut
              WHERE EXISTS (SELECT 1 FROM audit_leaf AS told
                             WHERE told.task = audit_cut.task AND told.action = :task_erase)
              GROUP BY audit) AS cut ON cut.audit = leaf.id
 WHERE CASE WHEN json_valid(leaf.body) THEN json_array_length(leaf.body, '$.events') ELSE -1 END
       <> coalesce(counted.named, 0) + coalesce(cut.events, 0)
 LIMIT :n;

-- name: doctor_clock
SELECT strftime('%Y-%m-%dT%H:%M:%SZ', value / 1000000, 'unixepoch') AS subject
  FROM meta
 WHERE key = 'alive_at' AND value > :latest;

-- name: doctor_damage
SELECT quick_check AS subject FROM pragma_quick_check WHERE quick_check <> 'ok' LIMIT :n;

-- name: doctor_records
SELECT rowid AS place, id AS subject, leaf AS head, body FROM audit_leaf WHERE rowid > :place ORDER BY rowid LIMIT :n;

-- name: open_upstream
SELECT wanted.value AS child,
       (SELECT json_group_array(before.key)
          FROM (SELECT parent.key
                  FROM edge CROSS JOIN work AS parent ON parent.id = edge.parent
                 WHERE edge.child = wanted.value AND parent.status IN (SELECT value FROM {each :statuses})
                 ORDER BY edge.parent
                 LIMIT :limit) AS before) AS keys
  FROM {each :works} AS wanted;

-- name: size_of_tables
-- Reads the whole file.
SELECT coalesce(owner.tbl_name, page.name) AS "table", sum(page.pgsize) AS bytes, sum(page.unused) AS spare,
       sum(CASE WHEN owner.type = 'table' AND page.pagetype = 'leaf' THEN page.ncell ELSE 0 END) AS "rows"
  FROM dbstat AS page LEFT JOIN sqlite_schema AS owner ON owner.name = page.name
 GROUP BY coalesce(owner.tbl_name, page.name)
 ORDER BY bytes DESC, "table";

-- name: size_of_free
SELECT freelist_count * page_size AS bytes FROM pragma_freelist_count, pragma_page_size;

-- name: load_newest_record
SELECT coalesce((SELECT at FROM audit_leaf WHERE task = :task ORDER BY place DESC LIMIT 1), 0) AS at;

-- name: erase_marks
DELETE FROM task_label
 WHERE (tenant, label, created_at, task) IN
       (SELECT tenant, label, created_at, task FROM mark_of_item WHERE work IN (SELECT value FROM {each :works}));

-- name: audit_places_about
SELECT place
  FROM audit_leaf
 WHERE tenant = :tenant AND place IN (SELECT value FROM {numbers :places}) AND instr(leaf, {bytes :said}) > 0;

-- name: events_wait
SELECT 0 AS microseconds;

-- name: erase_payloads
DELETE FROM payload
 WHERE id IN (SELECT payload.id
                FROM {each :works} AS wanted
               CROSS JOIN payload ON payload.id > wanted.value || '/' AND payload.id < wanted.value || '0')
RETURNING id;

-- name: keep_sink
-- One server has the file, so nobody else can own the sink.
INSERT INTO sink (name, seq, owner, until) VALUES (:name, :seq, :owner, :lasts)
    ON CONFLICT (name) DO UPDATE SET seq = max(sink.seq, excluded.seq), owner = excluded.owner
RETURNING seq;

-- part: matches
-- A search for all words of :query and for words that begin with :last, its last one. The index has the first six letters
-- of each word. For a longer beginning it would put together all titles in memory: few words are named in its place. The
-- character before the tenant keeps that word apart from those of titles.
'tenant : "' || char(57344) || hex(:tenant) || '" AND title : ('
    || replace(replace(substr(:query, 1, length(:query) - length(:last) - 4), '''', '"'), ' & ', ' AND ')
    || coalesce((WITH RECURSIVE next (word, n) AS (
                     SELECT (SELECT term FROM task_words_terms WHERE term >= lower(:last) LIMIT 1), 1
                      UNION ALL
                     SELECT (SELECT term FROM task_words_terms WHERE term >= next.word || char(1) LIMIT 1), n + 1
                       FROM next WHERE next.word < lower(:last) || char(1114111) AND n <= 64
                 )
                 SELECT CASE WHEN count(*) BETWEEN 1 AND 64 THEN '("' || group_concat(word, '" OR "') || '")' END
                   FROM next
                  WHERE word < lower(:last) || char(1114111)
                    AND length(:last) > 6 AND :last NOT GLOB '*[^0-9A-Za-z]*'),
                '"' || :last || '"*')
    || ')'

-- name: rare_words
-- The index begins with the rarest word by itself.
SELECT '' AS word WHERE :tenant IS NULL AND :words IS NULL;

-- name: worded_tasks_newest
-- By the numbers of tasks, which are in the order of their creation. A place is the number of its task; without one, for
-- the times that were asked for, that of the first or the last task created then.
{part shown}
  FROM task_words
 CROSS JOIN task_number ON task_number.n = task_words.rowid
 CROSS JOIN task ON task.id = task_number.task
 WHERE task_words MATCH {part matches}
   AND task_words.rowid < coalesce((SELECT n FROM task_number WHERE task = :high_id),
                           (SELECT max(task_number.n)
                              FROM task CROSS JOIN task_number ON task_number.task = task.id
                             WHERE task.tenant = :tenant
                               AND task.created_at = (SELECT max(created_at) FROM task
                                                       WHERE tenant = :tenant AND (created_at, id) < (:high_at, :high_id))) + 1)
   AND task_words.rowid >= coalesce((SELECT n FROM task_number WHERE task = :low_id),
                           (SELECT min(task_number.n)
                              FROM task CROSS JOIN task_number ON task_number.task = task.id
                             WHERE task.tenant = :tenant
                               AND task.created_at = (SELECT min(created_at) FROM task
                                                       WHERE tenant = :tenant AND (created_at, id) >= (:low_at, :low_id))))
   AND task.tenant = :tenant
{part wanted}
 ORDER BY task_words.rowid DESC
 LIMIT :limit;

-- name: worded_tasks_newest_until
SELECT task.created_at AS at, task.id AS id
  FROM (SELECT rowid AS n
          FROM task_words
         WHERE task_words MATCH {part matches}
   AND task_words.rowid < coalesce((SELECT n FROM task_number WHERE task = :high_id),
                           (SELECT max(task_number.n)
                              FROM task CROSS JOIN task_number ON task_number.task = task.id
                             WHERE task.tenant = :tenant
                               AND task.created_at = (SELECT max(created_at) FROM task
                                                       WHERE tenant = :tenant AND (created_at, id) < (:high_at, :high_id))) + 1)
   AND task_words.rowid >= coalesce((SELECT n FROM task_number WHERE task = :low_id),
                           (SELECT min(task_number.n)
                              FROM task CROSS JOIN task_number ON task_number.task = task.id
                             WHERE task.tenant = :tenant
                               AND task.created_at = (SELECT min(created_at) FROM task
                                                       WHERE tenant = :tenant AND (created_at, id) >= (:low_at, :low_id))))
         ORDER BY task_words.rowid DESC
         LIMIT 1 OFFSET :passed) AS last
 CROSS JOIN task_number ON task_number.n = last.n
 CROSS JOIN task ON task.id = task_number.task;

-- name: worded_tasks_oldest
{part shown}
  FROM task_words
 CROSS JOIN task_number ON task_number.n = task_words.rowid
 CROSS JOIN task ON task.id = task_number.task
 WHERE task_words MATCH {part matches}
   AND task_words.rowid > coalesce((SELECT n FROM task_number WHERE task = :low_id),
                           (SELECT min(task_number.n)
                              FROM task CROSS JOIN task_number ON task_number.task = task.id
                             WHERE task.tenant = :tenant
                               AND task.created_at = (SELECT min(created_at) FROM task
                                                       WHERE tenant = :tenant AND (created_at, id) > (:low_at, :low_id))) - 1)
   AND task_words.rowid <= coalesce((SELECT n FROM task_number WHERE task = :high_id),
                           (SELECT max(task_number.n)
                              FROM task CROSS JOIN task_number ON task_number.task = task.id
                             WHERE task.tenant = :tenant
                               AND task.created_at = (SELECT max(created_at) FROM task
                                                       WHERE tenant = :tenant AND (created_at, id) <= (:high_at, :high_id))))
   AND task.tenant = :tenant
{part wanted}
 ORDER BY task_words.rowid
 LIMIT :limit;

-- name: worded_tasks_oldest_until
SELECT task.created_at AS at, task.id AS id
  FROM (SELECT rowid AS n
          FROM task_words
         WHERE task_words MATCH {part matches}
   AND task_words.rowid > coalesce((SELECT n FROM task_number WHERE task = :low_id),
                           (SELECT min(task_number.n)
                              FROM task CROSS JOIN task_number ON task_number.task = task.id
                             WHERE task.tenant = :tenant
                               AND task.created_at = (SELECT min(created_at) FROM task
                                                       WHERE tenant = :tenant AND (created_at, id) > (:low_at, :low_id))) - 1)
   AND task_words.rowid <= coalesce((SELECT n FROM task_number WHERE task = :high_id),
                           (SELECT max(task_number.n)
                              FROM task CROSS JOIN task_number ON task_number.task = task.id
                             WHERE task.tenant = :tenant
                               AND task.created_at = (SELECT max(created_at) FROM task
                                                       WHERE tenant = :tenant AND (created_at, id) <= (:high_at, :high_id))))
         ORDER BY task_words.rowid
         LIMIT 1 OFFSET :passed) AS last
 CROSS JOIN task_number ON task_number.n = last.n
 CROSS JOIN task ON task.id = task_number.task;

-- name: worded_tasks_counted
SELECT count(*) AS number
  FROM task_words
 CROSS JOIN task_number ON task_number.n = task_words.rowid
 CROSS JOIN task ON task.id = task_number.task
 WHERE task_words MATCH {part matches}
   AND task_words.rowid < coalesce((SELECT n FROM task_number WHERE task = :high_id),
                           (SELECT max(task_number.n)
                              FROM task CROSS JOIN task_number ON task_number.task = task.id
                             WHERE task.tenant = :tenant
                               AND task.created_at = (SELECT max(created_at) FROM task
                                                       WHERE tenant = :tenant AND (created_at, id) < (:high_at, :high_id))) + 1)
   AND task_words.rowid >= coalesce((SELECT n FROM task_number WHERE task = :low_id),
                           (SELECT min(task_number.n)
                              FROM task CROSS JOIN task_number ON task_number.task = task.id
                             WHERE task.tenant = :tenant
                               AND task.created_at = (SELECT min(created_at) FROM task
                                                       WHERE tenant = :tenant AND (created_at, id) >= (:low_at, :low_id))))
   AND task.tenant = :tenant
{part wanted};

-- name: doctor_words
-- Titles without a letter or a digit of ASCII are passed over: they may have no words.
SELECT task.id AS subject
  FROM task LEFT JOIN task_number ON task_number.task = task.id
 WHERE NOT EXISTS (SELECT 1 FROM rebuild)
   AND (task_number.n IS NULL
        OR (task.title GLOB '*[0-9A-Za-z]*'
            AND NOT EXISTS (SELECT 1
                              FROM task_words
                             WHERE task_words MATCH 'title : "' || replace(task.title, '"', '""') || '" AND tenant : "'
                                                    || char(57344) || hex(task.tenant) || '"'
                               AND task_words.rowid = task_number.n)))
 UNION ALL
SELECT 'words of no task: ' || size.id
  FROM task_words_docsize AS size LEFT JOIN task_number ON task_number.n = size.id
                                  LEFT JOIN task ON task.id = task_number.task
 WHERE task.id IS NULL AND NOT EXISTS (SELECT 1 FROM rebuild)
 LIMIT :n;

-- name: drop_cost_span
DELETE FROM cost_span
 WHERE (tenant, part, days, first, name) IN (
           SELECT :tenant, :part, days, :day / days * days, :name FROM cost_length WHERE rolls = 0
            UNION ALL
           SELECT :tenant, :part, days, folded.past - days, :name
             FROM cost_length, cost_folded AS folded WHERE rolls = 1 AND folded.tenant = :tenant)
   AND attempts = 0;

-- name: rebuild_labels
INSERT INTO task_label (tenant, label, created_at, task)
SELECT tenant, label, created_at, task FROM label_of_task WHERE task IN (SELECT value FROM {each :ids})
    ON CONFLICT DO NOTHING;
