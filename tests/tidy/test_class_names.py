"""Each class of the source has a name of its own: one name, one thing."""

import ast
from collections.abc import Iterator, Mapping

from tests.tidy.tree import SRC, files, name_of, nodes

# Name -> why two classes have it. Both are public: neither can be renamed without breaking a user's code.
SHARED: Mapping[str, str] = {
    "Ask": "an answer of the SDK, and the schema that the API has for it",
    "Client": "the asynchronous client, and the same one in `swarmkeeper.sync`",
    "Health": "where a bot of the SDK reports its health, and the API's answer about the server",
    "Plan": "an answer of the SDK, and the schema that the API has for it",
    "Reject": "an answer of the SDK, and the API's schema of a person's decision",
}


def classes() -> Iterator[tuple[str, str]]:
    """Yield name and place of each class, also inside functions and classes."""
    for file in files(SRC, ".py"):
        for node in nodes(file):
            if isinstance(node, ast.ClassDef):
                yield node.name, f"{name_of(file)}:{node.lineno}"


def test_no_two_classes_have_the_same_name() -> None:
    places: dict[str, list[str]] = {}
    for name, place in classes():
        places.setdefault(name, []).append(place)
    several = {name: found for name, found in places.items() if len(found) > 1}

    assert {name: found for name, found in several.items() if name not in SHARED} == {}
    assert {name for name, found in several.items() if len(found) == 2} == set(SHARED), "these are shared, by two each"
