"""Commands on persons."""

from __future__ import annotations

from dataclasses import dataclass

from swarmkeeper.core import lookups
from swarmkeeper.core.commands import Repeatable
from swarmkeeper.core.persons import lookups as own
from swarmkeeper.core.ports import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePerson(Repeatable[str]):
    """Create a person in the caller's tenant. Answers the person's id."""

    name: str

    @property
    def redacted_characters(self) -> int:
        return len(self.name)

    def _own_needs(self) -> list[Key]:
        tenant = self.by.tenant
        return [own.PERSON_NAME.of((tenant, self.name)), lookups.TENANT.of(tenant)]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnPerson(Repeatable[str]):
    """A command on one person. Answers the person's id."""

    person: str

    def _own_needs(self) -> list[Key]:
        return [own.PERSON.of(self.person), lookups.TENANT.of(self.by.tenant)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenamePerson(OnPerson):
    name: str

    @property
    def redacted_characters(self) -> int:
        return len(self.name)

    def _own_needs(self) -> list[Key]:
        return [*OnPerson._own_needs(self), own.PERSON_NAME.of((self.by.tenant, self.name))]


@dataclass(frozen=True, slots=True, kw_only=True)
class DisablePerson(OnPerson):
    """Refuse the person's keys and tokens, until the person is enabled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnablePerson(OnPerson):
    """Accept the person's keys and tokens again."""
