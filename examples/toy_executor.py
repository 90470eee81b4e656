"""An executor in twenty lines: counts the words of a text, or adds up the counts of other subtasks."""

from swarmkeeper import Context, Done, ExecutorBot, Failed, SubTask, run


class Toy(ExecutorBot):
    skills = {"toy.count"}
    dedicated = True
    capacity = 4

    async def execute(self, subtask: SubTask, context: Context) -> Done | Failed:
        if context.upstream:
            return Done({"words": sum(output["words"] for output in context.upstream.values())})
        text = subtask.input.get("text")
        if not isinstance(text, str):
            return Failed("there is no text to count", kind="not_retryable")
        context.log(f"counting {len(text)} characters")
        return Done({"words": len(text.split())})


run(Toy())
