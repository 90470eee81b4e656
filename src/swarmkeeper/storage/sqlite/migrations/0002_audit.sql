-- Finding audit records by who and by what. Both end in the place, which only grows within a tenant: writing costs one
-- entry behind the last of few, reading a page costs the same however long the log is.

CREATE INDEX audit_leaf_of_actor ON audit_leaf (tenant, actor, place);
CREATE INDEX audit_leaf_of_action ON audit_leaf (tenant, action, place);
