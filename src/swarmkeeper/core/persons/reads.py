"""The named reads about persons; see core/named_reads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swarmkeeper.core.persons.records import PersonRecord
from swarmkeeper.core.ports import Read

PERSONS_PAGE = Read("persons_page", PersonRecord, "tenant", "after", "limit")
PERSON_ROW = Read("person_row", PersonRecord, "tenant", "person")
PERSON_BY_NAME = Read("person_by_name", PersonRecord, "tenant", "name")

READS: Mapping[str, Read[Any]] = {str(read): read for read in list(vars().values()) if isinstance(read, Read)}
