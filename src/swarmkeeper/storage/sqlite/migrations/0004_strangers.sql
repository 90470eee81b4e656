-- What 0.4.0 keeps beside what there was; each part says for whom.

-- For work that is put off: how long in a row so far, and where that ends it (microseconds).
ALTER TABLE work ADD COLUMN put_off INTEGER NOT NULL DEFAULT 0 CHECK (put_off >= 0);
ALTER TABLE work ADD COLUMN give_up INTEGER NOT NULL DEFAULT 3600000000;
