"""The table of statuses, and the problem documents."""

import pytest

from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.http import errors
from swarmkeeper.http.app import ROUTES
from tests.http.conftest import Caller, path_of


def test_every_error_has_a_status() -> None:
    assert set(SwarmkeeperError.__subclasses__()) == set(errors.STATUS)


def test_every_code_is_in_the_closed_set_and_belongs_to_one_error() -> None:
    codes = [error.code for error in errors.STATUS]

    assert len(codes) == len(set(codes)) == 33


def test_a_retryable_refusal_has_a_retry_after() -> None:
    for error in errors.STATUS:
        if errors.STATUS[error][0] in (429, 503):
            assert error.retryable


async def test_every_refusal_is_a_problem_document(nobody: Caller, admin: Caller) -> None:
    answers = [
        (await nobody.get("/tasks"), 401, "unauthenticated"),
        (await admin.get("/nowhere"), 404, "not_found"),
        (await admin.get("/tasks/tsk_0"), 404, "not_found"),
        (await admin.get("/tasks/garbage"), 404, "not_found"),
        (await admin.call("PUT", "/tasks"), 405, "method_not_allowed"),
        (await admin.call("POST", "/tasks", raw=b"{", headers={"content-type": "application/json"}), 400, "malformed"),
        (await admin.call("POST", "/tasks", raw=b"a=b", headers={"content-type": "text/plain"}), 415, None),
        (await admin.post("/tasks", {}), 422, "invalid"),
        (await admin.post("/tasks", {"title": "x", "approval": "always"}), 422, "invalid"),
    ]
    for answer, status, code in answers:
        problem = answer.json
        assert (answer.status, problem["status"]) == (status, status)
        assert problem["code"] == (code or "unsupported_media_type")
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["type"] == f"/docs#{problem['code']}"
        assert problem["request_id"] == answer.headers["x-request-id"]
        assert set(problem) == {"type", "title", "status", "detail", "code", "retryable", "request_id", "errors"}


async def test_a_wrong_method_gets_the_allowed_ones(admin: Caller) -> None:
    answer = await admin.call("DELETE", "/tasks/tsk_0")

    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, PATCH")
    assert (await admin.get("/tasks/tsk_0:cancel")).headers["allow"] == "POST"


async def test_every_declared_route_answers_at_its_path(admin: Caller) -> None:
    for route in ROUTES:
        answer = await admin.call(route.method, path_of(route), {} if route.body_model else None)
        assert answer.status != 405, route
        # The 404 must come from the route itself.
        assert answer.status != 404 or answer.json["detail"] != "not found", route


async def test_an_overloaded_engine_answers_with_retry_after(admin: Caller) -> None:
    admin.app.state.services.engine.stop()  # type: ignore[attr-defined]  # the app is a FastAPI

    answer = await admin.post("/tasks", {"title": "x"})

    assert (answer.status, answer.json["code"], answer.headers["retry-after"]) == (503, "overloaded", "1")


async def test_an_internal_error_is_logged_and_answered_without_its_cause(
    admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*args: object, **named: object) -> None:
        raise RuntimeError("swordfish")

    monkeypatch.setattr(admin.app.state.services.queries, "tasks", broken)  # type: ignore[attr-defined]  # the app is a FastAPI

    answer = await admin.get("/tasks")

    assert (answer.status, answer.json["code"]) == (500, "internal")
    assert b"swordfish" not in answer.body
