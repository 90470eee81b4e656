"""A whole task in raw HTTP, as a bot written with curl would do it."""

from tests.http.conftest import BotCaller, Caller, Fleet, Json


async def swarm_of(fleet: Fleet) -> tuple[BotCaller, BotCaller, BotCaller]:
    return await fleet.bot("Planner"), await fleet.bot("Executor", capacity=10), await fleet.bot("Evaluator")


def subtasks() -> list[Json]:
    return [
        {"key": "a", "description": "first"},
        {"key": "b", "description": "second", "input": {"n": 2}},
        {"key": "sum", "description": "join", "depends_on": ["a", "b"]},
    ]


async def test_a_task_goes_from_submission_to_the_archive(client: Caller, fleet: Fleet) -> None:
    planner, executor, evaluator = await swarm_of(fleet)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    made = await client.post("/tasks", {"title": "add", "input": {"x": 1}}, traceparent=trace)
    task_id = made.json["id"]
    assert (made.status, made.json["status"]) == (201, "CREATED")
    assert made.headers["location"] == f"/tasks/{task_id}"

    plan = await planner.one()
    assert (plan["kind"], plan["task"]["input"], plan["traceparent"]) == ("plan", {"x": 1}, trace)
    assert (await planner.report(plan, plan={"subtasks": subtasks()})).json["task_status"] == "PLANNED"

    for _ in range(2):
        work = await executor.one()
        assert (await executor.report(work, output={"key": work["subtask"]["key"]})).status == 200
    join = await executor.one()
    assert join["upstream"] == {"a": {"key": "a"}, "b": {"key": "b"}}
    done = await executor.report(join, output=3, usage={"tokens": 7, "cost_micro_usd": 2})
    assert done.json == {"accepted": True, "replayed": False, "task_status": "COMPLETED", "leases": []}

    review = await evaluator.one()
    assert review["review"] == {"of": "task", "results": {"a": {"key": "a"}, "b": {"key": "b"}, "sum": 3}}
    verdict = {"decision": "accept", "score": 1, "reasons": ["right"]}
    assert (await evaluator.report(review, verdict=verdict)).json["task_status"] == "ARCHIVED"

    task = (await client.get(f"/tasks/{task_id}")).json
    assert (task["status"], task["outcome"], task["result"]) == ("ARCHIVED", "accepted", {"sum": 3})
    assert task["verdict"]["decision"] == "accept"
    assert task["usage"]["tokens"] == 7
    assert task["progress"] == {"total": 3, "done": 3, "failed": 0}
    assert (await client.get(f"/tasks/{task_id}/subtasks/sum/output")).json == 3
    graph = (await client.get(f"/tasks/{task_id}/graph")).json
    assert [edge["state"] for edge in graph["edges"]] == ["met", "met"]
