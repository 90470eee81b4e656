"""Nothing is accepted and ignored: every field and every setting has a test that fails if its value has no effect.

`python -m tests.tidy.ablation` shows that these tests do fail: it removes the values one after another.
"""

import ast

from swarmkeeper.http.app import ROUTES
from swarmkeeper.wire import requests
from swarmkeeper.wire.shapes import Request
from tests.tidy.effects import effects, inventory
from tests.tidy.tree import ROOT, parsed


def test_exactly_the_fields_and_settings_have_a_test() -> None:
    there, mapped = set(inventory()), set(effects())

    assert sorted(str(place) for place in there - mapped) == [], "these need a line in effects.toml"
    assert sorted(str(place) for place in mapped - there) == [], "these are in effects.toml, and nowhere else"


def test_every_named_test_exists() -> None:
    missing = [f"{place}: {test}" for place, test in effects().items() if function_of(test) is None]

    assert missing == []


def function_of(test: str) -> ast.AST | None:
    path, _, name = test.partition("::")
    file = ROOT / path
    if not (path.startswith("tests/") and file.name.startswith("test_") and file.is_file()):
        return None
    functions = (node for node in parsed(file).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return next((function for function in functions if function.name == name and name.startswith("test_")), None)


def test_every_named_test_mentions_its_field() -> None:
    silent = [
        f"{place}: {test}"
        for place, test in effects().items()
        if plain(place.name) not in plain((ROOT / test.partition("::")[0]).read_text(encoding="utf-8"))
    ]

    assert silent == []


def plain(text: str) -> str:
    """Return the text so that headers match in any case, and as names of arguments."""
    return text.lower().replace("-", "_")


def test_a_test_shows_that_fields_ignored_on_purpose_are_ignored() -> None:
    """Only these may be ignored."""
    ignored = {place for place, on_purpose in inventory().items() if on_purpose}
    shown = {place for place, test in effects().items() if "_only_the_server_sets" in test}

    assert ignored == shown
    assert {place.name for place in ignored} == {
        *("id", "parent_task_id", "created_at", "status"),
        *("from_bot", "task_id", "timestamp"),
    }


def test_some_call_takes_each_record_of_a_request() -> None:
    records = {record for record in vars(requests).values() if isinstance(record, type) and issubclass(record, Request)}
    deeper = {place.table for place in inventory()}
    taken = {route.body_model for route in ROUTES if route.body_model} | {
        record for record in records if record.__name__ in deeper
    }

    left = {record for record in records if not any(issubclass(model, record) for model in taken)}

    assert not left
