"""A server whose bodies are encrypted or not, a story that plants a text in every body, and what is on the disk."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import apsw
import asyncpg
import pytest

from swarmkeeper.cli.at_rest import encryption
from swarmkeeper.settings import Settings
from swarmkeeper.storage.at_rest import passes
from tests.secrets.conftest import Swarm, running
from tests.support.at_rest import key_file
from tests.support.kept_sessions import _function_scoped_runner  # noqa: F401
from tests.support.postgres import server

TITLE = "a title of roses"  # in events and audit records; and in the row of the task, which is not encrypted
PLANTED = "the tulip opens at seven"  # in inputs, outputs, checkpoints and messages


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    (tmp_path / "store").mkdir()
    return f"sqlite:///{tmp_path}/store/store.db" if request.param == "sqlite" else server().new_store()


@pytest.fixture
def database() -> str:
    """An empty database, for a copy."""
    return server().new_database()


@pytest.fixture
def key(tmp_path: Path) -> str:
    return key_file(tmp_path / "master")


def settings(store: str, key: str = "", **more: Any) -> Settings:
    return Settings(store=store, log_level="error", encryption_key=key, **more)


@asynccontextmanager
async def serving(store: str, key: str = "", **more: Any) -> AsyncIterator[Swarm]:
    async with running(store, encryption_key=key, four_eyes=False, **more) as swarm:
        yield swarm


async def play(swarm: Swarm, number: int = 1, *, name: str = "worker") -> str:
    """Let a bot do a task whose bodies have the planted text; return the task's id."""
    bot = await swarm.bot(name)
    for _ in range(number):
        subtask = {
            "key": "grow",
            "description": f"grow: {PLANTED}",
            "required_skills": ["work"],
            "input": {"text": PLANTED},
        }
        answer = await swarm.admin.post("/tasks", {"title": TITLE, "evaluation": "none", "subtasks": [subtask]})
        assert answer.status == 201, answer.json
        task: str = answer.json["id"]
        lease = await bot.take()
        assert PLANTED in str(lease)
        beat = {"lease_id": lease["lease_id"], "checkpoint": {"at": PLANTED}}
        answer = await bot.call.post(f"/bots/{bot.id}:heartbeat", {"leases": [beat]})
        assert answer.status == 200, answer.json
        await bot.tell(text=PLANTED)
        answer = await bot.report(output={"text": PLANTED * 3})
        assert answer.status in (200, 201), answer.json
    return task


async def output_of(swarm: Swarm, task: str) -> Any:
    return await swarm.admin.get(f"/tasks/{task}/subtasks/grow/output")


async def encrypted(store: str, key: str) -> dict[str, Any]:
    """Do what `store encrypt` does."""
    return await encryption._encrypt(settings(store, key))


async def looked(store: str, key: str) -> passes.Survey:
    """Count and check all bodies, as `doctor --deep` does."""
    found = await encryption.survey(settings(store, key))
    assert found is not None
    return found


# ---- the rows, as one who has the disk sees and changes them ---------------------------------------------------------


def path_of(store: str) -> Path:
    return Path(store.removeprefix("sqlite:///"))


@asynccontextmanager
async def asking(store: str) -> AsyncIterator[Callable[..., Awaitable[list[tuple[Any, ...]]]]]:
    """Give a function that runs a statement with `?` for each value, on the store itself."""
    if store.startswith("sqlite"):
        file = apsw.Connection(str(path_of(store)))

        async def in_sqlite(statement: str, *values: Any) -> list[tuple[Any, ...]]:
            return file.execute(statement, values).fetchall()

        try:
            yield in_sqlite
        finally:
            file.close()
        return
    connection = await asyncpg.connect(store)

    async def in_postgres(statement: str, *values: Any) -> list[tuple[Any, ...]]:
        for number in range(len(values)):
            statement = statement.replace("?", f"${number + 1}", 1)
        return [tuple(row) for row in await connection.fetch(statement, *values)]

    try:
        yield in_postgres
    finally:
        await connection.close()


async def ask(store: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    async with asking(store) as asked:
        return await asked(statement, *values)


_COLUMNS_OF_SQLITE = (
    "SELECT schema.name, info.name, '' FROM sqlite_schema AS schema, pragma_table_info(schema.name) AS info"
    " WHERE schema.type = 'table'"
)
_COLUMNS_OF_POSTGRES = (
    "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = current_schema()"
)


async def places_of(store: str, text: str) -> set[str]:
    """Return where in the rows of a store a text stands: table and column."""
    in_sqlite = store.startswith("sqlite")
    found = set()
    async with asking(store) as asked:
        tables: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for table, column, kind in await asked(_COLUMNS_OF_SQLITE if in_sqlite else _COLUMNS_OF_POSTGRES):
            if in_sqlite:
                has = f"instr(CAST({column} AS BLOB), given.searched)"
            else:
                bytes_ = column if kind == "bytea" else f"convert_to(CAST({column} AS text), $$UTF8$$)"
                has = f"position(given.searched IN {bytes_})"
            tables[table][column] = f"count(CASE WHEN {has} > 0 THEN 1 END)"
        given = f"(SELECT CAST(? AS {'BLOB' if in_sqlite else 'bytea'}) AS searched) AS given"
        for table, columns in tables.items():
            counts = ", ".join(columns.values())
            (row,) = await asked(f'SELECT {counts} FROM "{table}", {given}', text.encode())
            found |= {f"{table}.{column}" for column, number in zip(columns, row, strict=True) if number}
    return found


async def times_in_files(store: str, text: str) -> int:
    """Return how often a text stands in the files of a store."""
    if store.startswith("sqlite"):
        files = [file for file in path_of(store).parent.iterdir() if file.suffix != ".pepper"]
    else:
        await ask(store, "CHECKPOINT")
        ((folder,),) = await ask(store, "SELECT current_setting('data_directory')")
        ((number,),) = await ask(store, "SELECT CAST(oid AS text) FROM pg_database WHERE datname = current_database()")
        files = list((Path(folder) / "base" / number).iterdir())
    return await asyncio.to_thread(lambda: sum(file.read_bytes().count(text.encode()) for file in files))


@contextmanager
def refused(error: type[Exception], text: str) -> Iterator[None]:
    with pytest.raises(error) as caught:
        yield
    assert text in str(caught.value)
