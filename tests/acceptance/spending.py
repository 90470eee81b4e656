"""Ten bots of random appetite in one process, which a test kills: spending.py URL KEY NUMBER STEP.

A bot uses up to STEP between two heartbeats, so no attempt has more than that in hand that it has not told.
"""

from __future__ import annotations

import random
import sys
import threading
from typing import Any

from tests.acceptance.server import Caller, Server

BOTS = 10
LEASE_SECONDS = 2


def spend(call: Caller, bot: str, lease: dict[str, Any], chance: random.Random, step: int) -> None:
    used = 0
    for _ in range(chance.choice((0, 0, 1, 2, 6))):
        used += chance.randint(0, step)
        beat = {"leases": [{"lease_id": lease["lease_id"], "usage": {"cost_micro_usd": used}}]}
        (answer,) = call.insist("POST", f"/bots/{bot}:heartbeat", beat).json()["leases"]
        if answer["directive"] != "continue":
            return
    used += chance.randint(0, step)
    report: dict[str, Any] = {"bot_id": bot, "lease_id": lease["lease_id"], "usage": {"cost_micro_usd": used}}
    if chance.random() < 0.15:
        report |= {"status": "failed", "error": {"class": "retryable", "message": "no luck"}}
    else:
        report |= {"status": "succeeded", "output": {"cost": used}}
    for _ in range(chance.choice((1, 1, 2))):  # a reply may be lost, so a report may come twice
        call.insist("POST", f"/tasks/{lease['task_id']}/results", report)


def run(server: Server, key: str, name: str, step: int) -> None:
    chance = random.Random(name)
    call = Caller(server, key)
    body = {"type": "Executor", "version": "1", "name": name, "capacity": 2}
    bot = call.insist("POST", "/bots/register", body).json()["id"]
    while True:
        ask = {"bot_id": bot, "max": 1, "wait_seconds": 1, "lease_seconds": LEASE_SECONDS}
        for lease in call.insist("POST", "/leases", ask).json().get("leases", ()):
            spend(call, bot, lease, chance, step)


class Elsewhere(Server):
    """A server that another process runs."""

    def __init__(self, url: str) -> None:
        self.url = url


def main() -> None:
    url, key, number, step = sys.argv[1:]
    server = Elsewhere(url)
    threads = [
        threading.Thread(target=run, args=(server, key, f"spender-{number}-{each}", int(step))) for each in range(BOTS)
    ]
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main()
