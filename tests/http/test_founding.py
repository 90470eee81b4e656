"""The founding contract: each record as in the founding plan, with every field filled."""

from tests.http.conftest import BotCaller, Caller, Fleet, Json

WHEN = "2026-01-01T00:00:00Z"
SUBTASK = {
    "id": "st-1",
    "parent_task_id": "t-1",
    "description": "Count the words",
    "required_skills": ["text.count"],
    "status": "CREATED",
}
TASK = {
    "id": "t-1",
    "title": "Count",
    "description": "Count the words of three pages",
    "created_at": WHEN,
    "priority": 5,
    "subtasks": [SUBTASK],
}
BOT = {"id": "b-1", "type": "executor", "version": "1.0", "endpoint": "http://bots.example/1"}


async def test_a_founding_task_is_a_valid_body_unchanged(nobody: Caller, admin: Caller) -> None:
    answer = await nobody.call("POST", "/tasks", TASK, headers={"X-API-KEY": str(admin.key)})

    task = answer.json
    assert (answer.status, task["status"], task["title"]) == (201, "PLANNED", "Count")
    assert task["id"].startswith("tsk_")
    assert task["created_at"] != WHEN
    (subtask,) = task["subtasks"]
    assert (subtask["parent_task_id"], subtask["required_skills"]) == (task["id"], ["text.count"])
    assert (await admin.get(f"/tasks/{task['id']}")).json["subtasks"] == [subtask]


async def test_a_founding_task_without_subtasks_waits_for_its_planner(admin: Caller) -> None:
    answer = await admin.post("/tasks", {name: value for name, value in TASK.items() if name != "subtasks"})

    assert (answer.status, answer.json["status"]) == (201, "CREATED")


async def test_a_founding_bot_is_a_valid_body_unchanged(admin: Caller) -> None:
    made = await admin.post("/bots/register", BOT)
    assert (made.status, made.json["type"], made.json["version"]) == (201, "Executor", "1.0")
    assert (made.json["endpoint"], made.json["name"]) == ("http://bots.example/1", made.json["id"])


async def test_bot_types_are_case_insensitive(admin: Caller) -> None:
    for type_ in ("Planner", "EXECUTOR", "evaluator"):
        made = await admin.post("/bots/register", {"type": type_, "version": "1"})
        assert made.json["type"] == type_.capitalize()


async def test_health_needs_no_key(nobody: Caller) -> None:
    answer = await nobody.get("/health")

    assert (answer.status, answer.json["status"]) == (200, "ok")


async def test_a_founding_result_moves_the_task_to_its_next_state(client: Caller, fleet: Fleet) -> None:
    executor = await fleet.bot("Executor", skills=["text.count"])
    task = (await client.post("/tasks", {**TASK, "evaluation": "none"})).json
    lease = await executor.one()

    answer = await executor.call.post(
        f"/tasks/{task['id']}/results", {"bot_id": executor.id, "status": "succeeded", "output": {"words": 3}}
    )

    assert (answer.status, answer.json["accepted"], answer.json["task_status"]) == (200, True, "ARCHIVED")
    assert lease["kind"] == "execute"


async def test_a_task_can_be_submitted_with_only_a_title(client: Caller, fleet: Fleet) -> None:
    async def goes(bot: BotCaller, **content: Json) -> str:
        lease = await bot.one()
        return str((await bot.report(lease, **content)).json["task_status"])

    await client.post("/tasks", {"title": "x"})
    planner, executor, evaluator = [await fleet.bot(kind) for kind in ("Planner", "Executor", "Evaluator")]

    statuses = [
        await goes(planner, plan={"subtasks": [{"description": ""}]}),
        await goes(executor, output=None),
        await goes(evaluator, verdict={"decision": "accept"}),
    ]

    assert statuses == ["PLANNED", "COMPLETED", "ARCHIVED"]
