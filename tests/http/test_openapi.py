"""The OpenAPI document is the contract, so changes are reviewed.

`python -m tests.http.test_openapi` writes the snapshot. test_fuzz.py checks that the server conforms to it.
"""

import json
from typing import Any

from swarmkeeper.http.app import ROUTES, openapi_document
from tests.http.conftest import Caller
from tests.http.described import SNAPSHOT

NAMED = {
    "POST /tasks",
    "POST /tasks:batch",
    "POST /tasks:bulk",
    "GET /operations",
    "GET /operations/{operation_id}",
    "GET /tasks",
    "GET /tasks:count",
    "GET /tasks:labels",
    "GET /costs",
    "GET /tasks/{task_id}",
    "PATCH /tasks/{task_id}",
    *(f"POST /tasks/{{task_id}}:{verb}" for verb in ("cancel", "pause", "resume", "retry", "archive", "erase")),
    "GET /tasks/{task_id}/subtasks",
    "GET /tasks/{task_id}/subtasks/{subtask}",
    "GET /tasks/{task_id}/subtasks/{subtask}/output",
    *(f"GET /tasks/{{task_id}}/{part}" for part in ("graph", "timeline", "verdicts", "events", "audit", "messages")),
    "GET /tasks/{task_id}:explain",
    "POST /tasks/{task_id}/messages",
    "POST /leases",
    "POST /tasks/{task_id}/results",
    "POST /results",
    "POST /bots/{bot_id}:heartbeat",
    "POST /leases/{lease_id}:release",
    "POST /leases/{lease_id}:ask",
    "POST /bots/register",
    "GET /bots",
    "GET /bots/{bot_id}",
    "GET /bots/{bot_id}/leases",
    "GET /queues",
    "GET /changes",
    "POST /bots/{bot_id}:drain",
    "POST /bots/{bot_id}:enable",
    "DELETE /bots/{bot_id}",
    "GET /skills",
    "GET /approvals",
    "GET /approvals/{approval_id}",
    *(f"POST /approvals/{{approval_id}}:{verb}" for verb in ("approve", "reject", "answer")),
    "POST /keys",
    "GET /keys",
    "POST /keys/{key_id}:rotate",
    "POST /keys/{key_id}:revoke",
    "POST /leases/{lease_id}/secrets:resolve",
    "GET /secrets",
    "PUT /secrets/{name}",
    "DELETE /secrets/{name}",
    "POST /secrets:retire",
    "GET /persons",
    "POST /persons",
    "GET /persons/{person_id}",
    "POST /persons/{person_id}:rename",
    "POST /persons/{person_id}:disable",
    "POST /persons/{person_id}:enable",
    "PUT /kills",
    "GET /kills",
    "GET /kills/{kill_id}",
    "DELETE /kills/{kill_id}",
    "POST /tenant:erase",
    "GET /legal-holds",
    "POST /legal-holds",
    "POST /legal-holds:release",
    "POST /token",
    *("POST /session", "POST /session:redeem", "GET /session", "DELETE /session"),
    *("GET /sessions", "DELETE /sessions/{session_id}", "GET /limits"),
    "GET /events",
    "GET /audit",
    *(f"GET /audit/{path}" for path in ("log", "checkpoint", "tile/{path}", "{index}/proof", "{index}/body")),
    "POST /redaction:test",
    *(f"GET /{name}" for name in ("", "health", "livez", "readyz", "metrics", "version", "openapi.json", "docs")),
}


def described() -> dict[str, Any]:
    return openapi_document("0.0.0")


def text() -> str:
    return json.dumps(described(), indent=1, ensure_ascii=False) + "\n"


def test_the_document_is_the_reviewed_snapshot() -> None:
    assert text() == SNAPSHOT.read_text(encoding="utf-8"), (
        "review the change, then run: python -m tests.http.test_openapi"
    )


def test_the_routes_are_those_of_the_design() -> None:
    assert {f"{route.method} {route.path_format}" for route in ROUTES} == NAMED


def test_each_operation_declares_parameters_body_and_responses() -> None:
    document = described()
    operations = [operation for path in document["paths"].values() for operation in path.values()]

    assert document["openapi"].startswith("3.1")
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], path
            in_path = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
            assert all(f"{{{name}}}" in path for name in in_path)
            assert len(in_path) == path.count("{")
            assert ("requestBody" in operation) <= (method in ("post", "put", "patch"))
            for status, answer in operation["responses"].items():
                if "$ref" in answer:
                    answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
                    assert list(answer["content"]) == ["application/problem+json"]
                assert status in ("204", "304") or answer["content"], (path, status)


def test_every_reference_resolves_and_every_component_is_used() -> None:
    document = described()
    for kind in ("schemas", "responses", "headers"):
        used = {part.split('"')[0] for part in json.dumps(document).split(f"#/components/{kind}/")[1:]}
        assert used == set(document["components"][kind])


def test_each_operation_is_in_a_described_group() -> None:
    document = described()
    described_tags = {tag["name"] for tag in document["tags"]}

    used = {tag for path in document["paths"].values() for operation in path.values() for tag in operation["tags"]}

    assert used == described_tags  # the page /docs lists only operations in these groups


async def test_the_document_is_served_with_the_address_of_the_api(nobody: Caller) -> None:
    served = (await nobody.get("/openapi.json")).json

    assert served["servers"] == [{"url": "/"}]
    assert served["paths"] == json.loads(text())["paths"]


if __name__ == "__main__":
    SNAPSHOT.write_text(text(), encoding="utf-8")
