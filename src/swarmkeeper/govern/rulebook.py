"""The port `Rules` of core/: the role table and the redactor in one object."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy

from swarmkeeper.core.errors import Detail
from swarmkeeper.core.model import Json, Principal, Redacted
from swarmkeeper.core.policies.records import Policies
from swarmkeeper.govern import access, schemas
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.redaction.tags import Tags, TenantTags


class Rulebook:
    """The rules in force: `core.ports.Rules`."""

    def __init__(self, redactor: Redactor, tags: Tags | None = None) -> None:
        self.redactor = redactor
        self.hash = redactor.hash
        self.known = redactor.known  # stays the same when the rules change
        self.policies: Policies | None = None
        self.tags = tags  # of placeholders; without them, equal secrets cannot be recognised as equal

    def redact(self, value: Json, own: Mapping[str, Json] | None = None, *, tenant: str | None = None) -> Redacted:
        tags = None if tenant is None or self.tags is None else self.tags.of(tenant)
        return self.redactor.redact(value, own, tags=tags)

    def text(self, value: str, *, tenant: str | None = None) -> str:
        return self.redactor.text(value, tags=self._tags_of(tenant))

    def in_force(self) -> Rulebook:
        """Return a copy of the current rules, which `change` does not affect."""
        return copy(self)

    def change(self, redactor: Redactor) -> None:
        """Replace the rules. Copies from `in_force` keep the old ones."""
        redactor.known = self.known
        self.redactor, self.hash = redactor, redactor.hash

    def _tags_of(self, tenant: str | None) -> TenantTags | None:
        return None if tenant is None or self.tags is None else self.tags.of(tenant)

    def may(self, principal: Principal, action: str) -> bool:
        return access.may(principal, action)

    def why_not(self, principal: Principal, action: str) -> str:
        return access.why_not(principal, action)

    def check_schema(self, schema: Mapping[str, Json]) -> tuple[Detail, ...]:
        return schemas.check_schema(schema, self.redactor.safe_segment)

    def check_answer(self, schema: Mapping[str, Json], answer: Json) -> tuple[Detail, ...]:
        return schemas.check_answer(schema, answer, self.redactor.safe_segment)
