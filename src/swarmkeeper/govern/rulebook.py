"""The port `Rules` of core/: the role table and the redactor in one object."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import partial

from swarmkeeper.core.errors import Detail
from swarmkeeper.core.model import Json, Principal, Redacted
from swarmkeeper.core.policies.records import Policies
from swarmkeeper.govern import access, schemas
from swarmkeeper.govern.known_values import Known, KnownOfTenants
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.redaction.tags import Tags, TenantTags


class Rulebook:
    """The rules in force: `core.ports.Rules`."""

    def __init__(self, redactor: Redactor, tags: Tags | None = None) -> None:
        self.redactor = redactor
        self.hash = redactor.hash
        self.known = KnownOfTenants()  # stays the same when the rules change
        self.policies: Policies | None = None
        self.tags = tags  # of placeholders; without them, equal secrets cannot be recognised as equal

    def redact(self, value: Json, own: Mapping[str, Json] | None = None, *, tenant: str | None) -> Redacted:
        return self.redactor.redact(value, own, tags=self._tags_of(tenant), known=self._known_of(tenant))

    def text(self, value: str, *, tenant: str | None) -> str:
        return self.redactor.text(value, tags=self._tags_of(tenant), known=self._known_of(tenant))

    def text_of(self, value: str, tenant: str | None) -> str:
        return self.text(value, tenant=tenant)

    def safe_name(self, name: str, *, tenant: str | None) -> str:
        """Make a caller's name safe to show in an error: redacted, printable, and not long."""
        return self.redactor.safe_segment(name, known=self._known_of(tenant))

    def in_force(self) -> Rulebook:
        """Return a copy of the current rules, which `change` does not affect."""
        return copy(self)

    def change(self, redactor: Redactor) -> None:
        """Replace the rules. Copies from `in_force` keep the old ones."""
        self.redactor, self.hash = redactor, redactor.hash

    def _tags_of(self, tenant: str | None) -> TenantTags | None:
        return None if not tenant or self.tags is None else self.tags.of(tenant)

    def _known_of(self, tenant: str | None) -> Known:
        return self.known if tenant is None else self.known.of(tenant)

    def may(self, principal: Principal, action: str) -> bool:
        return access.may(principal, action)

    def why_not(self, principal: Principal, action: str) -> str:
        return access.why_not(principal, action)

    def check_schema(self, schema: Mapping[str, Json], *, tenant: str) -> tuple[Detail, ...]:
        return schemas.check_schema(schema, partial(self.safe_name, tenant=tenant))

    def check_answer(self, schema: Mapping[str, Json], answer: Json, *, tenant: str) -> tuple[Detail, ...]:
        return schemas.check_answer(schema, answer, partial(self.safe_name, tenant=tenant))
