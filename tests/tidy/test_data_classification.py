"""docs/reference/data-classification.md lists everything that is stored or shown, with its plane, and nothing else."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import apsw
import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.core.named_reads import EventRow
from swarmkeeper.reads import views
from swarmkeeper.settings import Settings
from swarmkeeper.storage.sqlite import migrations
from swarmkeeper.wire.answers import AuditLog
from swarmkeeper.wire.events import CloudEvent
from swarmkeeper.wire.problems import Problem
from tests.http.conftest import Answered, Caller, Fleet
from tests.tidy.data_classification import PLANES, columns, listed
from tests.tidy.tree import SRC, files, name_of, nodes


def test_every_column_of_the_store_has_its_plane() -> None:
    connection = apsw.Connection(":memory:")
    migrations.apply(connection, migrations.known(), None)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    there = {
        (table, row[1])
        for table in tables
        if not table.startswith("sqlite_")
        for row in connection.execute(f"PRAGMA table_info({table})")
    }

    assert {(table, column) for table, column, _ in columns()} == there
    assert len(columns()) == len(there), "a column has one plane"


def test_every_plane_is_one_of_three() -> None:
    sections = ("Log", "Metrics", "Headers of answers", "Errors", "Events", "Audit records")
    planes = {plane for store in ("Store", "Store in PostgreSQL") for _, _, plane in columns(store)}
    planes |= {plane for section in sections for plane in listed(section).values()}

    assert planes == set(PLANES)


# ---- the log ---------------------------------------------------------------------------------------------------------

# Fields of every line, of a library's line, of the line that counts lost ones, and of a trace; see observe/logs.py.
OF_THE_LOG = {"at", "level", "event", "logger", "message", "count", "trace_id", "span_id"}


def logged() -> Iterator[tuple[str, str]]:
    """Yield each field of each call of a log, with its place."""
    for file in files(SRC, ".py"):
        for node in nodes(file):
            if isinstance(node, ast.Call) and _is_log(node):
                for keyword in node.keywords:
                    names = [keyword.arg] if keyword.arg else _keys(keyword.value)
                    for name in names:
                        yield name, f"{name_of(file)}:{node.lineno}"


def _is_log(node: ast.Call) -> bool:
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    event = node.args[0] if node.args else None
    return called in ("log", "_log") and isinstance(event, ast.Constant) and isinstance(event.value, str)


def _keys(value: ast.expr) -> list[str]:
    """Return the keys of a dictionary that is unpacked into a call: it must be a literal."""
    found = [part for part in ast.walk(value) if isinstance(part, ast.Dict)]
    assert found, f"fields of the log are written where they are logged: {ast.unparse(value)}"
    return [ast.literal_eval(key) for part in found for key in part.keys if key is not None]


def test_every_field_of_the_log_has_its_plane() -> None:
    there = dict(logged())

    assert {name: place for name, place in there.items() if name not in listed("Log")} == {}
    assert set(listed("Log")) - set(there) - OF_THE_LOG == set()
    assert len(there) > 5


# ---- what a running server says --------------------------------------------------------------------------------------


@pytest.fixture
async def answers() -> list[Answered]:
    """Return one answer of each kind: created, read, replayed, streamed, pages, refusals, metrics."""
    async with Orchestrator(Settings(store="sqlite://:memory:")) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        sent = {"title": "t", "evaluation": "none", "subtasks": [{"key": "a", "description": ""}]}
        found = [await admin.post("/tasks", sent, idempotency_key="once") for _ in range(2)]
        task = found[0].json["id"]
        waiting = {"title": "t", "subtasks": [{"description": "", "required_skills": ["rare"]}]}
        found.append(await admin.post("/tasks", waiting))
        bot = await Fleet(swarm).bot("Executor")
        found.append(await bot.report(await bot.one(), output={}))
        paths = [f"/tasks/{task}", "/tasks", f"/tasks/{task}/events", "/events?after=1", "/audit", "/docs", "/health"]
        found += [await admin.get(path) for path in paths]
        found.append(await admin.get(f"/tasks/{task}/events", accept="text/event-stream"))
        found.append(await admin.with_key(None).get("/tasks"))
        found.append(await admin.call("DELETE", "/tasks"))
        found.append(await admin.post("/tasks", {"title": 5}))
        found.append(await admin.post(f"/tasks/{task}:cancel", {}))
        found.append(await admin.post(f"/tasks/{task}:retry", {}))
        await admin.get("/metrics")  # queues are counted only while metrics are requested
        swarm._metrics._looked_at = 0  # they may have been counted just now
        await swarm._metrics.refresh()
        found.append(await admin.get("/metrics"))
        return found


async def test_every_label_of_a_metric_has_its_plane(answers: list[Answered]) -> None:
    figures = answers[-1].body.decode()
    there = {name for labels in re.findall(r"^\w+\{(.*)\} ", figures, re.MULTILINE) for name in _names(labels)}

    assert there - set(listed("Metrics")) == set()
    assert set(listed("Metrics")) - there == set()


def _names(labels: str) -> list[str]:
    return re.findall(r'(\w+)="(?:[^"\\]|\\.)*"', labels)


async def test_every_header_of_an_answer_has_its_plane(answers: list[Answered]) -> None:
    sent = {name for answer in answers for name in answer.headers}

    assert (sent | set(_written())) - set(listed("Headers of answers")) == set()
    assert set(listed("Headers of answers")) - sent - set(_written()) == set()
    assert len(sent) > 8


@cache
def _written() -> frozenset[str]:
    """Yield headers as the code writes them: pairs that begin with such a name, and keys of dictionaries."""
    found: set[str] = set()
    for file in files(SRC / "http", ".py"):
        for node in nodes(file):
            places: list[ast.expr | None] = []
            if isinstance(node, ast.Tuple) and len(node.elts) == 2:
                places = [node.elts[0]]
            elif isinstance(node, ast.Dict):
                places = list(node.keys)
            for place in places:
                name: Any = place.value if isinstance(place, ast.Constant) else None
                text = name.decode() if isinstance(name, bytes) else name
                if isinstance(text, str) and re.fullmatch(r"[a-z]+(-[a-z]+)+|allow|link|etag|location", text):
                    found.add(text)
    return frozenset(found)


def test_every_field_of_an_error_has_its_plane() -> None:
    assert set(listed("Errors")) == set(Problem.model_fields)


def test_every_field_of_an_event_has_its_plane() -> None:
    row: dict[str, Any] = dict.fromkeys(EventRow._fields, 1)
    row |= {"kind": "k", "body": "{}", "redacted": '[["/a", "r", "replaced", "value"]]'}
    shown = views.event(EventRow(**row), "an-id")

    assert set(shown) == set(CloudEvent.model_fields)
    assert set(listed("Events")) == {*shown, *(f"data.{name}" for name in shown["data"])}


def test_every_field_of_an_audit_record_has_its_plane() -> None:
    assert set(listed("Audit records")) == set(AuditLog.model_fields)
