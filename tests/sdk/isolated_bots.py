"""Executors that run in child processes and misbehave there. Each child imports this module: keep it small."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from swarmkeeper import Context, Done, ExecutorBot, Later, SubTask, executor
from tests.sdk.alive import family


class Worst(ExecutorBot):
    skills = frozenset({"worst"})
    isolation = "process"
    capacity = 2  # the orchestrator counts the slot of cancelled work as taken for ten seconds
    lease_seconds = 1  # so that a heartbeat soon says that the work was cancelled

    def __init__(self, text: str = "") -> None:
        self.text = text

    def execute(self, subtask: SubTask, context: Context) -> object:
        print("printed")
        does: Callable[[object, Context], object] = getattr(self, subtask.input["do"])
        return does(subtask.input.get("with"), context)

    def work(self, _: object, context: Context) -> Done:
        return Done({"text": self.text, "process": os.getpid(), "parent": os.getppid()})

    def exits(self, _: object, context: Context) -> Done:
        sys.exit("usage: none")

    def exits_at_once(self, _: object, context: Context) -> Done:
        os._exit(4)

    def crashes(self, _: object, context: Context) -> Done:
        ctypes.string_at(0)
        return Done({})

    def is_killed(self, _: object, context: Context) -> Done:
        os.kill(os.getpid(), signal.SIGKILL)
        return Done({})

    def raises(self, _: object, context: Context) -> Done:
        return Done({"share": 1 / 0})

    def answers_nothing(self, _: object, context: Context) -> object:
        return None

    def writes_everywhere(self, _: object, context: Context) -> Done:
        for file in range(3, 1024):
            try:
                os.write(file, b"garbage\n")
            except OSError:
                pass
        return Done({})

    def closes_everything(self, _: object, context: Context) -> Done:
        os.closerange(3, 4096)
        return Done({})

    def forks(self, _: object, context: Context) -> Done:
        if os.fork() == 0:
            return Done({"from": "the fork"})
        os.wait()
        return Done({"from": "the process"})

    def leaves_children(self, path: str, context: Context) -> Done:
        subprocess.Popen(family(path), shell=True, start_new_session=True)
        threading.Thread(target=time.sleep, args=(1000,)).start()
        return Done({"left": os.read(os.open(path, os.O_RDONLY), 10).decode()})

    def hangs(self, path: str, context: Context) -> Done:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        context.run_sync(family(path))
        return Done({})


class Talks(ExecutorBot):
    """A coroutine that uses every method of its context."""

    isolation = "process"
    capacity = 2

    async def execute(self, subtask: SubTask, context: Context) -> Later:
        heard = asyncio.create_task(asyncio.to_thread(self.hear, context))
        context.log(f"line {context.attempt}")
        context.progress(0.5, "half")
        context.use(tokens=3)
        context.use(tokens=4, cost_micro_usd=5)
        context.checkpoint({"from": context.resumed_from, "upstream": context.upstream})
        ran = await context.run("echo from a command")
        context.tell("other", {"heard": await heard})
        return Later(7, f"{ran.code} {context.feedback[0].text} {subtask.input['text']}")

    def hear(self, context: Context) -> object:
        while not context.messages:
            time.sleep(0.01)
        return context.messages[0].payload["text"]


@executor(skills={"shout"}, isolation="process")
def shout(subtask: SubTask) -> Done:
    return Done({"text": str(subtask.input["text"]).upper(), "process": os.getpid()})
