"""Texts of people and bots in columns of other tables: questions, answers, decisions, subjects and feedback."""

from __future__ import annotations

from typing import Any

import pytest

from tests.at_rest.conftest import ask, encrypted, looked, places_of, serving, times_in_files
from tests.at_rest.test_at_rest import examined
from tests.at_rest.test_erasure import killed_and_erased
from tests.secrets.conftest import Swarm

SAID = "the lily closes at nine"
TABLES = {"feedback", "answered", "approval"}


async def talk(swarm: Swarm) -> str:
    """Let a bot ask a person, and a review ask for rework; all texts have the planted one. Return the task's id."""
    bot, judge = await swarm.bot(), await swarm.bot("judge", "Evaluator")
    subtask = {"key": "a", "description": "d", "required_skills": ["work"]}
    task = {"title": "t", "evaluation": "final", "evaluator_skills": ["work"], "subtasks": [subtask]}
    created = await swarm.admin.post("/tasks", {**task, "approval": "final"})
    assert created.status == 201, created.json
    lease = await bot.take()
    question = {"question": SAID, "choices": [SAID, "no"]}
    asked = await bot.call.post(f"/leases/{lease['lease_id']}:ask", question)
    approval = f"/approvals/{asked.json['approval_id']}"
    assert (await swarm.admin.get(approval)).json["question"] == SAID
    answer = await swarm.admin.post(f"{approval}:answer", {"answer": SAID})
    assert answer.status == 200, answer.json
    again = await bot.take()
    assert [each["answer"] for each in again["answers"]] == [SAID]
    await bot.report(output={})
    review = await judge.take()
    targets = [{"subtask": "a", "feedback": SAID}]
    verdict = {"decision": "rework", "targets": targets}
    body = {"bot_id": judge.id, "lease_id": review["lease_id"], "status": "succeeded", "verdict": verdict}
    told = await judge.call.post(f"/tasks/{created.json['id']}/results", body)
    assert told.status in (200, 201), told.json
    reworked = await bot.take()
    assert [each["text"] for each in reworked["feedback"]] == [SAID]
    return str(created.json["id"])


async def test_with_a_key_no_text_is_readable_and_every_read_opens_it(store: str, key: str) -> None:
    async with serving(store, key) as swarm:
        task = await talk(swarm)
        (approval,) = (await swarm.admin.get(f"/approvals?task_id={task}&state=decided")).json["items"]
        assert (approval["question"], approval["choices"]) == (SAID, [SAID, "no"])
        assert approval["decision"]["answer"] == SAID

    assert await places_of(store, SAID) == set()
    assert await times_in_files(store, SAID) == 0
    assert await examined(store) == ([], {"whole"})


async def test_the_pass_encrypts_texts_and_leaves_nothing_in_the_files(store: str, key: str) -> None:
    async with serving(store) as swarm:
        await talk(swarm)
    before = await places_of(store, SAID)
    assert {place.partition(".")[0] for place in before} > TABLES, "the search finds what is there"
    assert {
        place.partition(".")[0] for place in before if not place.startswith(("event", "audit", "payload"))
    } == TABLES

    done = (await encrypted(store, key))["encrypted"]

    assert done.keys() > TABLES
    assert await places_of(store, SAID) == set()
    assert await times_in_files(store, SAID) == 0
    found = await looked(store, key)
    assert found.wrong == []
    assert sum(counted.plain for counted in found.tables.values()) == 0
    assert set((await encrypted(store, key))["encrypted"].values()) == {0}
    assert await examined(store) == ([], {"whole"})


@pytest.mark.parametrize(("table", "column"), [("feedback", "text"), ("answered", "answer"), ("approval", "question")])
async def test_a_text_that_was_changed_is_found(store: str, key: str, table: str, column: str) -> None:
    async with serving(store, key) as swarm:
        await talk(swarm)
    ((text,),) = await ask(store, f"SELECT {column} FROM {table} LIMIT 1")
    other = text[:-6] + ("A" if text[-6] != "A" else "B") + text[-5:]
    await ask(store, f"UPDATE {table} SET {column} = ?", other)

    findings, _ = await examined(store)

    assert any(f"{table}.{column}" in trouble for trouble in (await looked(store, key)).wrong)
    assert findings


async def test_a_text_that_only_looks_encrypted_is_taken_as_it_is(store: str, key: str) -> None:
    odd = "\x01sk1:no base64"
    async with serving(store, key) as swarm:
        await talk(swarm)
    await ask(store, "UPDATE feedback SET text = ?", odd)

    found = await looked(store, key)

    assert found.wrong == []
    assert found.tables["feedback"].plain == 1


async def test_texts_of_an_erased_tenant_say_that_they_were_erased(
    store: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(self: Any) -> None:
        """Let no rows leave."""

    monkeypatch.setattr("swarmkeeper.access.retention.Retention.look_for_erasures", nothing)
    async with serving(store, key) as swarm:
        task = await talk(swarm)
        await swarm.admin.post(f"/tasks/{task}:cancel")
        await killed_and_erased(swarm)

        shown = (await swarm.admin.get(f"/approvals?task_id={task}")).json["items"]

        assert [each["question"] for each in shown] == ["[erased]"]
        assert SAID not in str(shown)
    assert (await examined(store))[1] == {"whole"}
