"""What the cursors that a tenant is shown stand for: tests read it with the key of the store."""

from swarmkeeper.core.ports import Store
from swarmkeeper.govern.cursors import Cursors


async def cursors_of(store: Store) -> Cursors:
    kept = await store.start()
    return Cursors(kept.cursor_key, kept.numbers_until)
