"""Decisions on persons: create, rename, disable, enable."""

from __future__ import annotations

from dataclasses import replace

from swarmkeeper.core import lookups
from swarmkeeper.core.catalogue import EventBody
from swarmkeeper.core.decide.anchors import AnchoredRow
from swarmkeeper.core.decide.decisions import bots
from swarmkeeper.core.decide.effects.owners import check_may
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import Invalid, ResourceNotFound
from swarmkeeper.core.model import Principal
from swarmkeeper.core.persons import events
from swarmkeeper.core.persons import lookups as own
from swarmkeeper.core.persons.commands import CreatePerson, DisablePerson, EnablePerson, RenamePerson
from swarmkeeper.core.persons.records import PersonRecord


def create(working: WorkingSet, command: CreatePerson) -> str:
    """Create a person; return its id.

    Raises:
        Invalid: the tenant has a person of this name.
    """
    check_may(working, command.by, "person.manage")
    tenant = command.by.tenant
    if working.get(lookups.TENANT, tenant) is None:
        raise ResourceNotFound("no such tenant: its first key creates it")
    _check_free(working, tenant, command.name)
    person = PersonRecord(working.new_id("per"), tenant, command.name, working.now)
    working.put_row(own.PERSON_NAME, (tenant, command.name), person.id)
    _put(working, person)
    working.record("person.create", person.id, body={"name": command.name})
    working.emit(events.PersonCreated(person=person.id))
    return person.id


def rename(working: WorkingSet, command: RenamePerson) -> str:
    """Give a person another name; return its id. Tokens with the old name are refused from then on.

    Raises:
        Invalid: another person has this name.
    """
    person = _person(working, command.by, command.person)
    if command.name != person.name:
        _check_free(working, person.tenant, command.name)
        working.put_row(own.PERSON_NAME, (person.tenant, person.name), None)
        working.put_row(own.PERSON_NAME, (person.tenant, command.name), person.id)
        _put(working, replace(person, name=command.name))
        _tell(working, person, "person.rename", events.PersonRenamed(person=person.id), name=command.name)
    return person.id


def disable(working: WorkingSet, command: DisablePerson) -> str:
    """Refuse the person's keys and tokens from now on; return its id.

    Bots that registered with one of the keys, and have no key of others, lose their leases; no crash is counted.
    """
    person = _person(working, command.by, command.person)
    if person.disabled_at is None:
        keys = working.get(own.KEYS_OF_PERSON, (person.tenant, person.id))
        _put(working, replace(person, disabled_at=working.now))
        _tell(working, person, "person.disable", events.PersonDisabled(person=person.id), name=person.name)
        bots.lose_keys(working, person.tenant, keys)
    return person.id


def enable(working: WorkingSet, command: EnablePerson) -> str:
    """Accept the person's keys and tokens again, if these were not revoked; return its id."""
    person = _person(working, command.by, command.person)
    if person.disabled_at is not None:
        _put(working, replace(person, disabled_at=None))
        _tell(working, person, "person.enable", events.PersonEnabled(person=person.id), name=person.name)
    return person.id


def _person(working: WorkingSet, by: Principal, person_id: str) -> PersonRecord:
    check_may(working, by, "person.manage")
    person: PersonRecord | None = working.get(own.PERSON, person_id)
    if person is None or person.tenant != by.tenant:
        raise ResourceNotFound("no such person")
    return person


def _check_free(working: WorkingSet, tenant: str, name: str) -> None:
    if working.get(own.PERSON_NAME, (tenant, name)) is not None:
        where = ("/name", "duplicate", "another person of the tenant has this name")
        raise Invalid("the name is taken", details=(where,))


def _tell(working: WorkingSet, person: PersonRecord, action: str, event: EventBody, *, name: str) -> None:
    working.record(action, person.id, body={"name": name})
    working.emit(event)


def _put(working: WorkingSet, person: PersonRecord) -> None:
    working.put_row(own.PERSON, person.id, person)
    working.put(working.changes.persons, person.id, person)
    working.put(working.anchored, ("person", person.id), AnchoredRow(person.tenant, "", person))
