"""A planner in twenty lines: makes one subtask for each text, and one that adds up the counts."""

from swarmkeeper import Failed, Plan, SubTask, TaskDefinition, planner, run


@planner(skills={"toy.plan"}, dedicated=True)
async def plan(task: TaskDefinition) -> Plan | Failed:
    texts = task.input.get("texts")
    if not texts:
        return Failed('the input of this task is {"texts": [...]}', kind="not_retryable")
    counts = [
        SubTask(key=f"count.{n}", description=f"Count text {n}", required_skills=["toy.count"], input={"text": text})
        for n, text in enumerate(texts, start=1)
    ]
    keys = [count.key for count in counts if count.key is not None]
    total = SubTask(key="total", description="Add up", required_skills=["toy.count"], depends_on=[*keys])
    return Plan([*counts, total])


run(plan)
