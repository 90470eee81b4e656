"""Users' own bots in a run: their code runs as it is. What happens to their processes, and to what they send, is
drawn as for the bots that behave by chance (`SdkBotProcess.around`). Garbage and secrets are never sent in their
name.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from typing import Any

from swarmkeeper.sdk.bots import BaseBot, takes_context
from swarmkeeper.sdk.context import Context
from swarmkeeper.sim import user_code
from swarmkeeper.sim.kernel.coverage import reached
from swarmkeeper.sim.play.http.sdk_bots import SdkBotProcess


def among_faults(bot: BaseBot, process: SdkBotProcess, path: str) -> BaseBot:
    """The same bot; its code goes through what the process meets. It goes by the name that it has in the run."""
    code, on_event = bot.code(), bot.on_event
    with_context, plain = takes_context(code), not inspect.iscoroutinefunction(code)

    async def work(given: object, context: Context) -> object:
        user_code.PLAYED.set(process.bot.name)
        arguments = (given, context) if with_context else (given,)
        try:
            if plain:  # a thread in earnest, which virtual loops have none of
                answer = await asyncio.get_running_loop().run_in_executor(None, lambda: code(*arguments))
            else:
                answer = code(*arguments)
            return await answer if inspect.isawaitable(answer) else answer
        except (Exception, SystemExit) as error:
            reached(f"a bot's code raised {type(error).__name__} ({user_code.line_of(error, path) or 'elsewhere'})")
            raise

    async def attempt(given: object, context: Context) -> object:
        return await process.around(context, lambda: work(given, context))

    def heard(kind: str, fields: Mapping[str, Any]) -> None:
        process.heard(kind, fields)
        on_event(kind, fields)

    bot.name = process.bot.known_as
    bot.instance = bot.instance or ""  # not this machine's: a run depends on nothing but code and seed
    bot.code = lambda: attempt  # type: ignore[method-assign]  # of this instance alone, which nobody else has
    bot.on_event = heard  # type: ignore[method-assign]  # of this instance alone, too
    return bot
