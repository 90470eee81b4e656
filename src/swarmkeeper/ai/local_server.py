"""A script that serves the small local model, run by local.py as a process of its own.

    python local_server.py MODEL_FILE CONTEXT_TOKENS THREADS PARENT

It prints one line of JSON, `{"url": …, "key": …}`, when the model is loaded. It ends when its stdin does: that is when
the parent closes it, or dies. A process that the parent forked may hold the other end of stdin open, so this one also
looks each second whether its parent is still PARENT. It imports nothing of swarmkeeper.

Theory. The library is written in C++ and reads text of strangers. In a process of its own, a crash of it ends one
request and not the orchestrator; and this process gets no environment variable that could hold a secret.
"""

import json
import os
import secrets  # noqa: TID251 - a password between two processes; nothing repeats it
import select
import sys


def main(arguments: list[str]) -> None:
    file, context, threads, parent = arguments[0], *map(int, arguments[1:4])
    answers = os.dup(1)
    os.dup2(2, 1)  # the library may print
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = file
    params.n_ctx, params.n_parallel, params.n_gpu_layers = context, 1, 0
    params.cpuparams.n_threads = threads
    params.warmup = False
    params.verbosity = -1
    params.port = 0
    key = secrets.token_hex(16)
    params.api_keys = [key]
    server = xllamacpp.Server(params)
    os.write(answers, json.dumps({"url": server.listening_address, "key": key}).encode() + b"\n")
    while os.getppid() == parent:
        if select.select([0], [], [], 1.0)[0] and not os.read(0, 1024):
            break
    os._exit(0)  # its threads may be in the middle of an answer that nobody waits for


if __name__ == "__main__":
    main(sys.argv[1:])
