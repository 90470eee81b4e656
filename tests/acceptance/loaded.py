"""All that a server imports and compiles until it listens. The process from which the others are forked imports it."""

import gc
import importlib

from swarmkeeper.govern.redaction.redactor import Redactor

LOADED = (
    *("uvicorn", "uvloop", "httptools", "uvicorn.loops.uvloop", "uvicorn.protocols.http.httptools_impl"),
    *("uvicorn.lifespan.off", "swarmkeeper.cli.main", "swarmkeeper.cli.commands", "swarmkeeper.cli.serving.server"),
    *("swarmkeeper.server", "swarmkeeper.app", "swarmkeeper.http.app", "swarmkeeper.http.intake.guard"),
)
for name in LOADED:
    importlib.import_module(name)
Redactor.default()
gc.collect()
gc.freeze()  # what all share is not looked at, and so not copied, again
