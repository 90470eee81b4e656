"""Users' own bots in a run. Their code runs unchanged. Faults of their processes and requests are drawn as for random
bots (`SdkBotProcess.around`), but no garbage and no secrets are sent in their name.
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
    """Wrap the bot's code in the faults of its process, and give it its name in the run. Return the same bot."""
    code, on_event = bot.code(), bot.on_event
    with_context, plain = takes_context(code), not inspect.iscoroutinefunction(code)

    async def work(given: object, context: Context) -> object:
        user_code.PLAYED.set(process.bot.name)
        arguments = (given, context) if with_context else (given,)
        try:
            if plain:  # in production it runs in a thread, which a virtual loop does not have
                answer = await asyncio.get_running_loop().run_in_executor(None, lambda: code(*arguments))
            else:
                answer = code(*arguments)
            return await answer if inspect.isawaitable(answer) else answer
        except (Exception, SystemExit) as error:
            reached(f"a bot's code raised {type(error).__name__} ({user_code.line_of(error, path) or 'elsewhere'})")
            raise

    async def attempt(given: object, context: Context) -> object:
        return await process.around(context, lambda: work(given, context))

    def on_sdk_event(kind: str, fields: Mapping[str, Any]) -> None:
        process.on_sdk_event(kind, fields)
        on_event(kind, fields)

    bot.name = process.bot.known_as
    bot.instance = bot.instance or ""  # not the machine's name: a run depends only on code and seed
    bot.code = lambda: attempt  # type: ignore[method-assign]  # only of this instance, which is not shared
    bot.on_event = on_sdk_event  # type: ignore[method-assign]  # only of this instance, too
    return bot
