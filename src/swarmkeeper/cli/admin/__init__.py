"""Commands of an administrator: keys, tenants, the audit log, and the store itself."""
