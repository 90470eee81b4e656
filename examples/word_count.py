"""The shortest bot: counts words."""

from swarmkeeper import Done, ExecutorBot, SubTask, run


class WordCount(ExecutorBot):
    skills = {"text.count"}

    async def execute(self, subtask: SubTask) -> Done:
        return Done({"words": len(subtask.input["text"].split())})


run(WordCount())  # SWARMKEEPER_URL and SWARMKEEPER_API_KEY (or _FILE) from the environment
