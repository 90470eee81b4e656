"""Encrypts a store slowly, and says on stdout after how many slices it is: for tests that kill it in between."""

import asyncio
import sys
from typing import Any

from swarmkeeper.cli.at_rest import encryption
from swarmkeeper.storage.at_rest import passes, raw
from tests.at_rest.conftest import settings

passes.SECONDS_BETWEEN = 0.05


async def main(store: str, key: str) -> None:
    async with encryption.raw_of(settings(store, key)) as (bodies_of_store, bodies, _):
        whole = bodies_of_store.slice

        async def counted(*given: Any) -> Any:
            last = await whole(*given)
            print("slice", flush=True)
            return last

        bodies_of_store.slice = counted  # type: ignore[method-assign, assignment]  # to be told of each
        await passes.encrypt(bodies_of_store, bodies, seconds_between=0.05)


raw.SLICE = dict.fromkeys(raw.TABLES, 3)
asyncio.run(main(*sys.argv[1:]))
