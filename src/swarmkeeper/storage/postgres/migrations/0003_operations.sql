-- One command on many tasks: what is to be done, by whom, and what came of each task.
CREATE TABLE operation (
    id text COLLATE "C" PRIMARY KEY, tenant text COLLATE "C" NOT NULL, party text COLLATE "C" NOT NULL,
    caller text COLLATE "C" NOT NULL, action text COLLATE "C" NOT NULL, args text COLLATE "C" NOT NULL,  -- JSON
    dry_run bigint NOT NULL CHECK (dry_run IN (0, 1)), total bigint NOT NULL CHECK (total >= 0),
    trace text COLLATE "C" NOT NULL, created_at bigint NOT NULL, ended_at bigint,
    owner text COLLATE "C" NOT NULL DEFAULT '', until bigint NOT NULL DEFAULT 0,  -- others may take it over then
    items_hash text COLLATE "C" NOT NULL, slices bigint NOT NULL,  -- of the tasks, and of what came of them in so many notes
    done bigint NOT NULL, refused bigint NOT NULL,  -- tasks with this outcome
    seal bytea NOT NULL,  -- HMAC of what is acted on
    forged_at bigint  -- when a server found that the seal does not fit
);
CREATE INDEX operation_open ON operation (created_at, id) WHERE ended_at IS NULL;
CREATE INDEX operation_ended ON operation (ended_at, id) WHERE ended_at IS NOT NULL;
CREATE INDEX operation_of_tenant ON operation (tenant, created_at, id);
CREATE INDEX operation_of_party ON operation (tenant, party, created_at, id);
CREATE TABLE operation_item (
    operation text COLLATE "C" NOT NULL, place bigint NOT NULL, task text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" CHECK (outcome IN ('done', 'refused')), code text COLLATE "C", detail text COLLATE "C",
    slice bigint,  -- in which note the outcome was
    PRIMARY KEY (operation, place)
);
CREATE INDEX operation_item_left ON operation_item (operation, place) WHERE outcome IS NULL;
