"""The terms of approvals over HTTP: accepted, shown, refused where they make no sense."""

from __future__ import annotations

import pytest

from tests.http.conftest import Caller, Fleet, Json

TERMS = {
    "expires_in_seconds": 3600.0,
    "at_expiry": "approve",
    "remind_after_seconds": 600.0,
    "escalate_after_seconds": 1200.0,
}


def task_with(**more: Json) -> Json:
    return {"title": "t", "subtasks": [{"key": "a", "description": ""}], **more}


async def test_the_terms_of_a_task_hold_for_its_approvals(client: Caller, admin: Caller) -> None:
    task = (await client.post("/tasks", task_with(approval="plan", approval_terms=TERMS))).json
    plain = (await client.post("/tasks", task_with(approval="plan"))).json

    assert task["approval_terms"] == {**TERMS, "step_up": None}
    assert plain["approval_terms"] is None
    shown = {each["task_id"]: each for each in (await admin.get("/approvals")).json["items"]}
    assert shown[task["id"]]["at_expiry"] == {"verb": "approve"}
    assert shown[plain["id"]]["at_expiry"] is None
    assert shown[task["id"]]["expires_at"] < shown[plain["id"]]["expires_at"]


@pytest.mark.parametrize(
    "terms",
    [
        {"expires_in_seconds": 60, "remind_after_seconds": 60},
        {"expires_in_seconds": 60, "escalate_after_seconds": 61},
        {"expires_in_seconds": 0},
        {"at_expiry": "approve"},
        {"expires_in_seconds": 60, "at_expiry": "maybe"},
    ],
)
async def test_terms_that_make_no_sense_are_refused(client: Caller, terms: Json) -> None:
    answer = await client.post("/tasks", task_with(approval_terms=terms))

    assert (answer.status, answer.json["code"]) == (422, "invalid")
    assert answer.json["errors"][0]["pointer"].startswith("/approval_terms")


async def test_a_question_may_have_a_default_and_a_reminder(client: Caller, admin: Caller, fleet: Fleet) -> None:
    await client.post("/tasks", task_with())
    bot = await fleet.bot("Executor")
    lease = await bot.one()
    asked = {"question": "go on?", "choices": ["yes", "no"], "default_answer": "no"}

    late = await bot.call.post(f"/leases/{lease['lease_id']}:ask", asked | {"remind_after_seconds": 5})
    assert (late.status, late.json["code"]) == (422, "invalid")
    times = {"expires_in_seconds": 60, "remind_after_seconds": 5, "escalate_after_seconds": 10}
    answer = await bot.call.post(f"/leases/{lease['lease_id']}:ask", asked | times)

    assert answer.status == 200, answer.json
    (shown,) = (await admin.get("/approvals")).json["items"]
    assert shown["at_expiry"] == {"verb": "answer", "answer": "no"}
