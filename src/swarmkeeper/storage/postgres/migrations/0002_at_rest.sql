-- For encryption at rest: what the database must not keep, and what it must not take.

ALTER TABLE payload ALTER COLUMN body SET STATISTICS 0; -- they would keep bodies that are encrypted later
ALTER TABLE event ALTER body SET STATISTICS 0; ALTER TABLE audit_leaf ALTER body SET STATISTICS 0;
ALTER TABLE feedback ALTER text SET STATISTICS 0;
ALTER TABLE answered ALTER question SET STATISTICS 0, ALTER answer SET STATISTICS 0;
ALTER TABLE approval ALTER question SET STATISTICS 0, ALTER choices SET STATISTICS 0, ALTER schema SET STATISTICS 0,
 ALTER subject SET STATISTICS 0, ALTER decision SET STATISTICS 0;

-- Enabled when the first server with a master key opens the store; see storage/at_rest/guard.py.
CREATE FUNCTION refuse_plain() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE 'bodies in this store are encrypted: set `encryption_key`, and start again' USING ERRCODE = '55000'; END $$;
CREATE TRIGGER refuse_plain BEFORE INSERT OR UPDATE OF body ON payload FOR EACH ROW WHEN (NEW.sealed = 0)
    EXECUTE FUNCTION refuse_plain();
CREATE TRIGGER refuse_plain BEFORE INSERT ON outbox FOR EACH ROW WHEN (NEW.sealed = 0) EXECUTE FUNCTION refuse_plain();
ALTER TABLE payload DISABLE TRIGGER refuse_plain; ALTER TABLE outbox DISABLE TRIGGER refuse_plain;
