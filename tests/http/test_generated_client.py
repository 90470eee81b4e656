"""A client generated from the OpenAPI document: it is complete, and works with a real server.

The generator has its own environment, `.venv-generator`, which `make setup` creates.
"""

import json
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.http.app import openapi_document
from tests.acceptance.server import Server

GENERATOR = Path(__file__).resolve().parents[2] / ".venv-generator" / "bin"

USING = """
import importlib, json, pkgutil, sys
import swarmkeeper_client
from swarmkeeper_client import AuthenticatedClient
from swarmkeeper_client.api.bots import register_bot
from swarmkeeper_client.api.tasks import get_graph, get_task, list_tasks, submit_task
from swarmkeeper_client.api.work import lease_work, report_result
from swarmkeeper_client.models import BotRegistration, BotRegistrationType, LeaseRequest, Problem, Report
from swarmkeeper_client.models import SubTask, TaskDefinition

for module in pkgutil.walk_packages(swarmkeeper_client.__path__, "swarmkeeper_client."):
    importlib.import_module(module.name)

url, client_key, bot_key = sys.argv[1:]
client = AuthenticatedClient(url, token=client_key)
worker = AuthenticatedClient(url, token=bot_key)

sent = TaskDefinition.from_dict(
    {"title": "t", "evaluation": "none", "subtasks": [{"description": "a"}, {"description": "b", "depends_on": ["s1"]}]}
)
assert sent.to_dict().keys() == {"title", "evaluation", "subtasks"}, "what is left out is not sent"
task = submit_task.sync(client=client, body=sent)
bot = register_bot.sync(client=worker, body=BotRegistration(type_=BotRegistrationType.EXECUTOR, version="1.0"))
for _ in range(2):
    page = lease_work.sync(client=worker, body=LeaseRequest(bot_id=bot.id, wait_seconds=20))
    (lease,) = page.leases
    report = Report.from_dict({"bot_id": bot.id, "lease_id": lease.lease_id, "status": "succeeded", "output": {"n": 1}})
    report_result.sync(lease.task_id, client=worker, body=report)
done = get_task.sync(task.id, client=client, wait_seconds=20)
graph = get_graph.sync(task.id, client=client)
refused = submit_task.sync(client=client, body=TaskDefinition(title=""))
assert isinstance(refused, Problem)
print(json.dumps({
    "outcome": done.outcome, "done": done.progress.done, "labels": done.labels.to_dict(),
    "created": done.created_at.year > 2000,
    "edges": [edge.when for edge in graph.edges], "pages": len(list_tasks.sync(client=client).items),
    "refused": [refused.code, refused.errors[0].pointer],
}))
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    described = folder / "openapi.json"
    described.write_text(json.dumps(openapi_document("1.2.3")))
    program = [str(GENERATOR / "openapi-python-client"), "generate", "--meta", "none", "--fail-on-warning"]
    where = ["--path", str(described), "--output-path", str(folder / "swarmkeeper_client")]
    path = {"PATH": f"{GENERATOR}:/usr/bin:/bin"}  # the generator formats its output
    done = subprocess.run([*program, *where], capture_output=True, text=True, check=False, env=path)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_a_generated_client_carries_a_task_through_its_life(client: Path, tmp_path: Path) -> None:
    (client / "use.py").write_text(textwrap.dedent(USING))
    with Server(tmp_path / "store.db") as server:
        keys = [server.key("client"), server.key("bot:executor", bot="worker")]

        program = [str(GENERATOR / "python"), str(client / "use.py"), server.url, *keys]
        done = subprocess.run(program, capture_output=True, text=True, check=False, cwd=client)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "outcome": "accepted",
        "done": 2,
        "labels": {},
        "created": True,
        "edges": ["success"],
        "pages": 1,
        "refused": ["invalid", "/title"],
    }


def test_no_field_has_a_default_and_answers_mark_required_fields() -> None:
    """Generators treat a field with a default as always present."""
    schemas = openapi_document("1.2.3")["components"]["schemas"]

    assert [name for name, schema in schemas.items() if '"default":' in json.dumps(schema)] == []
    assert schemas["TaskDefinition"]["required"] == ["title"]
    assert {"labels", "progress", "quorum", "usage"} <= set(schemas["Task"]["required"])
    assert schemas["Dependency"]["required"] == ["key"]
    assert schemas["DependencyOut"]["required"] == ["key", "when"]


def test_enumeration_values_differ_by_more_than_case() -> None:
    """Generators convert values to names of one case."""
    described = openapi_document("1.2.3")

    assert [words for words in enumerations(described) if len({word.lower() for word in words}) < len(words)] == []


def enumerations(part: Any) -> Iterator[list[str]]:
    if isinstance(part, dict):
        if isinstance(part.get("enum"), list):
            yield [str(word) for word in part["enum"]]
        for each in part.values():
            yield from enumerations(each)
    elif isinstance(part, list):
        for each in part:
            yield from enumerations(each)
