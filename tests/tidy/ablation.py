"""Takes away what is set at one place after the other, and looks whether the test of that place then fails.

`python -m tests.tidy.ablation [place …]` takes some minutes, so that it is no part of a usual run: it is for whoever
adds a line to effects.toml. Each test runs in a child of this process, where the place is always read as if nothing had
been set, whatever was.
"""

import importlib
import os
import sys
import tempfile
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from swarmkeeper.http import api
from swarmkeeper.http.calls import Exchange
from swarmkeeper.settings import BY_NAME, Settings
from swarmkeeper.wire import v1
from tests.tidy.effects import Place, effects, inventory
from tests.tidy.tree import ROOT


def take_away(place: Place) -> None:
    if place.table == "settings":
        # A store in memory is nowhere, as the default would be somewhere in this repository.
        always(Settings, place.name, "sqlite://:memory:" if place.name == "store" else BY_NAME[place.name].default)
    elif place == ("Plan", "subtasks"):
        vars(v1)["read_plan"] = lambda raw, **options: ([], [])  # it reads each by itself, without the record
    elif place.table[0].isupper():
        of_every_record(getattr(v1, place.table), place.name)
    else:
        of_every_exchange(place)


def always(owner: type, name: str, value: Any) -> None:
    setattr(owner, name, property(lambda self: value, lambda self, given: None))


def of_every_record(record: type[BaseModel], name: str) -> None:
    attribute, nothing = unset(record, name)
    dump = record.model_dump

    def dumped(self: BaseModel, **options: Any) -> dict[str, Any]:
        told = dump(self, **options)
        return {**told, attribute: nothing} if attribute in told else told

    always(record, attribute, nothing)
    record.model_dump = dumped  # type: ignore[method-assign]  # for the life of this process


def of_every_exchange(place: Place) -> None:
    """Of a call its header, or the field of its query or body."""

    class Deaf(Exchange[Any, Any]):
        def __init__(self, *, headers: dict[str, str], **known: Any) -> None:
            if known["call"].operation == place.table:
                headers = {name: value for name, value in headers.items() if name != place.name.lower()}
            super().__init__(headers=headers, **known)

        def take_body(self, body: Any) -> None:
            super().take_body(self._without(body))

        def take_query(self, query: Any) -> None:
            super().take_query(self._without(query))

        def _without(self, record: BaseModel) -> BaseModel:
            fields = type(record).model_fields
            if self.call.operation != place.table or place.name not in {
                name for attribute, field in fields.items() for name in (attribute, field.validation_alias)
            }:
                return record
            attribute, nothing = unset(type(record), place.name)
            return record.model_copy(update={attribute: nothing})

    vars(api)["Exchange"] = Deaf


def unset(record: type[BaseModel], name: str) -> tuple[str, Any]:
    """The attribute of a field, and what it is where nothing was sent; something wrong where something must be."""
    for attribute, field in record.model_fields.items():
        if name in (attribute, field.validation_alias):
            if not field.is_required():
                return attribute, field.get_default(call_default_factory=True)
            if get_origin(field.annotation) is Literal:
                return attribute, get_args(field.annotation)[0]
            return attribute, [] if get_origin(field.annotation) is list else "ablated"
    raise KeyError(name)


def still_green(place: Place, test: str) -> str | None:
    """What the run said, where the test did not fail."""
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
    importlib.import_module("swarmkeeper.app")  # once, rather than in each child
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
