"""The kinds of events of persons; see core/events.py. They hold no names: the feed is read by many."""

# No `from __future__ import annotations` here: `event` reads the field types when it creates a class.

from swarmkeeper.core.catalogue import EventBody, Own, event


@event("person.created")
class PersonCreated(EventBody):
    """A person was created."""

    person: Own[str]


@event("person.renamed")
class PersonRenamed(EventBody):
    """A person has another name now. Tokens must give the new one."""

    person: Own[str]


@event("person.disabled")
class PersonDisabled(EventBody):
    """The keys and tokens of a person are refused from now on."""

    person: Own[str]


@event("person.enabled")
class PersonEnabled(EventBody):
    """The keys and tokens of a person are accepted again."""

    person: Own[str]
