"""All that a server imports and compiles until it listens, and what bots import. The process from which the others are
forked imports it.
"""

import gc
import importlib

from swarmkeeper.govern.redaction.redactor import Redactor

LOADED = (
    *("uvicorn", "uvloop", "httptools", "uvicorn.loops.uvloop", "uvicorn.protocols.http.httptools_impl"),
    *("uvicorn.lifespan.off", "swarmkeeper.cli.main", "swarmkeeper.cli.commands", "swarmkeeper.cli.serving.server"),
    *("swarmkeeper.server", "swarmkeeper.app", "swarmkeeper.http.app", "swarmkeeper.http.intake.guard"),
    *("swarmkeeper.storage.sqlite.store", "swarmkeeper.storage.postgres.store"),
    *("swarmkeeper.sdk.runner", "swarmkeeper.bench.load_clients"),
)
for name in LOADED:
    importlib.import_module(name)
Redactor.default().redact({"event": "started", "url": "sqlite:///store.db"})  # rules are compiled for the first text
gc.collect()
gc.freeze()  # what all share is not looked at, and so not copied, again
