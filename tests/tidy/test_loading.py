"""What is loaded when: a bot author loads no server, and `--help` loads almost nothing."""

import ast

import swarmkeeper
from tests.tidy.tree import SRC, nodes, packages_loaded_by

HEAVY = {"fastapi", "starlette", "uvicorn", "apsw", "rich", "pydantic", "aiohttp", "cryptography", "typer"}


def test_importing_the_package_loads_no_library() -> None:
    assert packages_loaded_by("import swarmkeeper") & HEAVY == set()


def test_asking_for_help_loads_neither_the_server_nor_the_records() -> None:
    asking = """
import contextlib, sys
from swarmkeeper.cli.main import main
sys.argv = ["swarmkeeper", "--help"]
with contextlib.suppress(SystemExit):
    main()
"""

    assert packages_loaded_by(asking) & {"fastapi", "starlette", "uvicorn", "pydantic", "apsw"} == set()


def test_a_bot_author_loads_no_server() -> None:
    assert (
        packages_loaded_by("from swarmkeeper import ExecutorBot, Done, SubTask, run, Client")
        & {
            "fastapi",
            "starlette",
            "uvicorn",
            "apsw",
            "sqlite3",
        }
        == set()
    )


def test_a_server_that_calls_no_other_server_loads_no_http_client() -> None:
    assert packages_loaded_by("import swarmkeeper.app, swarmkeeper.server") & {"aiohttp", "httpx2", "asyncpg"} == set()


def test_every_public_name_can_be_loaded_from_its_declared_module() -> None:
    for name in swarmkeeper.__all__:
        assert getattr(swarmkeeper, name) is not None


def test_a_type_checker_sees_the_names_that_are_loaded() -> None:
    seen = {
        alias.asname or alias.name: node.module
        for node in nodes(SRC / "__init__.py")
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("swarmkeeper.")
        for alias in node.names
    }

    assert seen == swarmkeeper._HOME
    assert {*seen, "__version__"} == set(swarmkeeper.__all__)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    assert not hasattr(swarmkeeper, "Nothing")
