"""Modules of one package import each other in one direction only, and no folder has more files than a reader can
survey.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.tidy.tree import SRC, files, imports

FILES_MAX = 12  # in a folder, without __init__.py: a list that a reader can survey


def test_no_module_of_a_package_imports_itself_through_others() -> None:
    found = {circle for package in packages() for circle in circles(graph_of(SRC / package))}

    assert found == set(), "a module imports itself: move what both need into a third module"


def test_no_folder_has_too_many_files() -> None:
    counts = {
        folder.relative_to(SRC).as_posix(): len([file for file in folder.glob("*.py") if file.name != "__init__.py"])
        for folder in {file.parent for file in files(SRC, ".py")}
    }

    assert {name: count for name, count in counts.items() if count > FILES_MAX} == {}, "split the folder"


def packages() -> list[str]:
    return sorted(file.parent.name for file in SRC.glob("*/__init__.py"))


def graph_of(package: Path) -> dict[str, set[str]]:
    """Return the modules of a package that each of its modules imports, also in functions and for the type checker."""
    modules = {module_of(file): file for file in files(package, ".py")}
    graph: dict[str, set[str]] = {}
    for name, file in modules.items():
        named = set[str]()
        for _, module, names in imports(file):
            inside = module.removeprefix(f"{SRC.name}.")
            parts = [f"{inside}.{name}" for name in names]
            named |= {part if part in modules else inside for part in parts or [inside]}
        graph[name] = named & set(modules) - {name}
    return graph


def module_of(file: Path) -> str:
    """`cli/main.py` is `cli.main`; `cli/__init__.py` is `cli`."""
    parts = file.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def circles(graph: Mapping[str, set[str]]) -> set[tuple[str, ...]]:
    """Return the groups of modules in which each imports all others, directly or indirectly."""
    reached = {name: reachable(graph, name) for name in graph}
    return {
        tuple(sorted(other for other in reached[name] if name in reached[other]))
        for name in graph
        if name in reached[name]
    }


def reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    coming = list(graph[start])
    while coming:
        name = coming.pop()
        if name not in found:
            found.add(name)
            coming += graph[name]
    return found


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, set()),
        ({"a": {"b"}, "b": {"a"}, "c": {"a"}}, {("a", "b")}),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"e"}, "e": {"d"}}, {("a", "b", "c"), ("d", "e")}),
    ],
)
def test_circles_are_found(graph: dict[str, set[str]], found: set[tuple[str, ...]]) -> None:
    assert circles(graph) == found
