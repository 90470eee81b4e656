-- The first letters of the words of titles have an index of their own: a search for `re` finds tasks at once, and does not
-- put together all words that begin so. The words of an older store are made anew after this, in slices.
DROP TRIGGER words_come;
DROP TRIGGER words_go;
DROP TABLE task_words;

CREATE VIRTUAL TABLE task_words USING fts5(tenant, title, content = '', prefix = '1 2 3 4 5 6');
-- A word that is deleted leaves the file, and is not only marked.
INSERT INTO task_words (task_words, rank) VALUES ('secure-delete', 1);
-- All words, in order.
CREATE VIRTUAL TABLE task_words_terms USING fts5vocab(task_words, instance);
-- The character before the tenant is one that words do not begin with.
CREATE TRIGGER words_come AFTER INSERT ON task BEGIN
    INSERT INTO task_number (task) VALUES (NEW.id);
    INSERT INTO task_words (rowid, tenant, title)
    SELECT n, char(57344) || hex(NEW.tenant), NEW.title FROM task_number WHERE task = NEW.id;
END;
CREATE TRIGGER words_go BEFORE DELETE ON task BEGIN
    INSERT INTO task_words (task_words, rowid, tenant, title)
    SELECT 'delete', n, char(57344) || hex(OLD.tenant), OLD.title FROM task_number WHERE task = OLD.id;
    DELETE FROM task_number WHERE task = OLD.id;
END;

-- Counts and sums stay unless they were being made, too. A task that comes meanwhile gets a number above all others, as
-- in storage/derived/in_sqlite.py.
UPDATE rebuild SET step = 'begin', tenant = '', place = 0, task = '';
INSERT INTO rebuild SELECT 'task', '', -4611686018427387904, '' WHERE EXISTS (SELECT 1 FROM task)
                                                                 AND NOT EXISTS (SELECT 1 FROM rebuild);
INSERT INTO task_number (n, task)
SELECT (SELECT coalesce(max(n), 0) / 4294967296 + 1 FROM task_number) * 4294967296, ' '
 WHERE EXISTS (SELECT 1 FROM rebuild WHERE step = 'task');
DELETE FROM task_number WHERE task <> ' ' AND EXISTS (SELECT 1 FROM rebuild WHERE step = 'task');
UPDATE task_number SET task = '' WHERE task = ' ';

-- Lists by priority.
CREATE INDEX task_of_priority ON task (tenant, priority, created_at, id);
