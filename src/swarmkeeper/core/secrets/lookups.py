"""The kinds of rows of secrets that a store can load; see core/lookups.py."""

from __future__ import annotations

from swarmkeeper.core.lookups import Lookup
from swarmkeeper.core.secrets.records import LeaseSecrets, ReleasedValue, SecretUse, SecretVersion

# (tenant, name) -> the versions that this server keeps, ascending
SECRET: Lookup[tuple[str, str], list[SecretVersion]] = Lookup("secret")
# (tenant, name, tag) -> the value as it was released before
SECRET_RELEASED: Lookup[tuple[str, str, str], ReleasedValue | None] = Lookup("secret_released")
# (tenant, name) -> its releases in a minute
SECRET_USE: Lookup[tuple[str, str], SecretUse | None] = Lookup("secret_use")
SECRET_LEASE: Lookup[str, LeaseSecrets | None] = Lookup("secret_lease")
