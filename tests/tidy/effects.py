"""Lists everything that callers and operators can set, with the test that each needs. The map itself is effects.toml.

A place is `<call>.<field>` for a field in a body, query or header of one call, `<Record>.<field>` for a field deeper in
a body, and `settings.<name>`. The list comes from the application's own description, so nothing can be left out.
"""

import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from swarmkeeper.http.app import openapi_document
from swarmkeeper.settings import SETTINGS

MAP = Path(__file__).with_name("effects.toml")
BY_THE_SERVER = "Set by the server; ignored in a request."


class Place(NamedTuple):
    table: str  # a call, a record, or "settings"
    name: str

    def __str__(self) -> str:
        return f"{self.table}.{self.name}"


@cache
def described() -> dict[str, Any]:
    return openapi_document("0.0.0")


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        for part in schema.values():
            yield from _references(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _references(part)


def _deeper() -> dict[str, dict[str, Any]]:
    """Yield the fields of every record inside a body, with their schemas."""
    records = described()["components"]["schemas"]
    waiting = [record for body in _bodies().values() for record in _references(records[body]["properties"])]
    found: dict[str, dict[str, Any]] = {}
    while waiting:
        record = waiting.pop()
        if record not in found:
            found[record] = records[record].get("properties", {})
            waiting += _references(found[record])
    return found


def _bodies() -> dict[str, str]:
    """Return the record that each call takes as its body, if that has fields."""
    found = {
        operation["operationId"]: record
        for path in described()["paths"].values()
        for operation in path.values()
        for record in _references(operation.get("requestBody"))
    }
    records = described()["components"]["schemas"]
    return {call: record for call, record in found.items() if records[record].get("properties")}


def _fields() -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield every field that can be sent, with its schema."""
    for operation in (operation for path in described()["paths"].values() for operation in path.values()):
        for parameter in operation["parameters"]:
            if parameter["in"] != "path":  # a parameter in the path names the object of the call
                yield Place(operation["operationId"], parameter["name"]), parameter
    records = dict(_deeper())
    for call, record in _bodies().items():
        if record not in records:  # otherwise it is also a record inside another body
            records[call] = described()["components"]["schemas"][record]["properties"]
    for table, schemas in records.items():
        for name, schema in schemas.items():
            yield Place(table, name), schema


def inventory() -> dict[Place, bool]:
    """Return all places, and for each whether its value is ignored on purpose."""
    found = {place: schema.get("description") == BY_THE_SERVER for place, schema in _fields()}
    return found | {Place("settings", setting.name): False for setting in SETTINGS}


@cache
def effects() -> dict[Place, str]:
    """Return for each place the test that fails if the value has no effect: `path::name`."""
    tables = tomllib.loads(MAP.read_text(encoding="utf-8"))
    return {Place(table, name): test for table, names in tables.items() for name, test in names.items()}
