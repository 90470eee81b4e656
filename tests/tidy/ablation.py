"""Removes the value of one field or setting after another, and checks that the test of that place then fails.

`python -m tests.tidy.ablation [place …]` takes some minutes and is not part of a usual run: run it after adding a line
to effects.toml. Each test runs in a child of this process, where the place is always read as if nothing had been set.
"""

import importlib
import os
import sys
import tempfile
from typing import Any, Literal, get_args, get_origin
from urllib.parse import parse_qsl, urlencode

import pytest
from pydantic import BaseModel

from swarmkeeper.http import middleware
from swarmkeeper.http.app import ROUTES
from swarmkeeper.http.dependencies import Call
from swarmkeeper.settings import BY_NAME, Settings
from swarmkeeper.wire import v1
from tests.tidy.effects import Place, effects, inventory
from tests.tidy.tree import ROOT


def take_away(place: Place) -> None:
    if place.table == "settings":
        # A store in memory, because the default would be a file in this repository.
        always(Settings, place.name, "sqlite://:memory:" if place.name == "store" else BY_NAME[place.name].default)
    elif place == ("Plan", "subtasks"):
        vars(v1)["read_plan"] = lambda raw, **options: ([], [])  # plans are read without the record
    elif place.table[0].isupper():
        of_every_record(getattr(v1, place.table), place.name)
    else:
        of_every_call(place)


def always(owner: type, name: str, value: Any) -> None:
    setattr(owner, name, property(lambda self: value, lambda self, given: None))


def of_every_record(record: type[BaseModel], name: str) -> None:
    attribute, nothing = unset(record, name)
    dump = record.model_dump

    def dumped(self: BaseModel, **options: Any) -> dict[str, Any]:
        dumped = dump(self, **options)
        return {**dumped, attribute: nothing} if attribute in dumped else dumped

    always(record, attribute, nothing)
    record.model_dump = dumped  # type: ignore[method-assign]  # for the life of this process


def of_every_call(place: Place) -> None:
    """Ignore a header of a call, or a field of its query or body."""
    (route,) = (route for route in ROUTES if route.operation_id == place.table)

    class Deaf(Call):
        @property  # type: ignore[override]  # `Call` has a plain attribute
        def headers(self) -> dict[str, str]:
            return {name: value for name, value in self._headers.items() if not self._meant(name)}

        @headers.setter
        def headers(self, given: dict[str, str]) -> None:
            self._headers = given

        @property
        def body(self) -> Any:
            return self._body

        @body.setter
        def body(self, given: Any) -> None:
            self._body = self._without(given)

        @property
        def query(self) -> Any:
            return self._query

        @query.setter
        def query(self, given: Any) -> None:
            self._query = self._without(given)
            if self._query is not given:  # FastAPI reads it, too
                pairs = parse_qsl(self.scope["query_string"].decode(), keep_blank_values=True)
                left = [(name, value) for name, value in pairs if name != place.name]
                self.scope["query_string"] = urlencode(left).encode()

        def _meant(self, header: str) -> bool:
            return (self.method, self.path) == (route.method, route.path_format) and header == place.name.lower()

        def _without(self, record: Any) -> Any:
            if not isinstance(record, BaseModel) or (self.method, self.path) != (route.method, route.path_format):
                return record
            fields = type(record).model_fields
            if place.name not in {
                name for attribute, field in fields.items() for name in (attribute, field.validation_alias)
            }:
                return record
            attribute, nothing = unset(type(record), place.name)
            return record.model_copy(update={attribute: nothing})

    vars(middleware)["Call"] = Deaf


def unset(record: type[BaseModel], name: str) -> tuple[str, Any]:
    """Return the attribute of a field, and its value if nothing was sent; a wrong value if the field is required."""
    for attribute, field in record.model_fields.items():
        if name in (attribute, field.validation_alias):
            if not field.is_required():
                return attribute, field.get_default(call_default_factory=True)
            if get_origin(field.annotation) is Literal:
                return attribute, get_args(field.annotation)[0]
            return attribute, [] if get_origin(field.annotation) is list else "ablated"
    raise KeyError(name)


def still_green(place: Place, test: str) -> str | None:
    """Return the output of the run if the test did not fail."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        child = os.fork()
        if child == 0:
            code = -1
            try:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                take_away(place)
                code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", str(ROOT / test)])
                sys.stdout.flush()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        said.seek(0)
        return None if os.waitstatus_to_exitcode(status) == pytest.ExitCode.TESTS_FAILED else said.read()[-4000:]


def main(asked: list[str]) -> int:
    ignored = {place for place, on_purpose in inventory().items() if on_purpose}
    importlib.import_module("swarmkeeper.app")  # once, not in each child
    bad = 0
    for place, test in effects().items():
        if place in ignored or (asked and str(place) not in asked):
            continue
        said = still_green(place, test)
        bad += said is not None
        sys.stdout.write(f"{'red  ' if said is None else 'GREEN'} {place}  {test}\n{said or ''}")
        sys.stdout.flush()
    sys.stdout.write(f"{bad} of the tests did not fail\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
