"""A bot that uses only the standard library, as an author without our SDK might write it; FAULT breaks one rule.

Run by the tests of the conformance kit as a process of its own.
"""

import http.client
import json
import os
import secrets
import signal
import sys
import threading
import time
from typing import Any
from urllib.parse import urlsplit

FAULT = os.environ.get("FAULT", "")
ADDRESS = urlsplit(os.environ["SWARMKEEPER_URL"]).netloc
KEY = os.environ["SWARMKEEPER_API_KEY"]
KNOWN = {"leases", "reason"}

stopping = threading.Event()
holding = threading.Event()
lease_ids: list[str] = []


def call(path: str, body: dict[str, Any], *, tries: int = 1000) -> tuple[int, dict[str, Any]]:
    """Call until there is an answer, and return it."""
    for attempt in range(tries):
        try:
            connection = http.client.HTTPConnection(ADDRESS, timeout=40)
            connection.request("POST", path, json.dumps(body), {"X-API-KEY": KEY, "Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            if answer.status < 500 and answer.status != 429:
                return answer.status, json.loads(content)
            if FAULT == "survives_garbage":
                json.loads(content)
            if FAULT == "is_patient":
                continue
        except (OSError, http.client.HTTPException):
            if FAULT == "repeats_a_report" and "results" in path:
                return 0, {}
            if FAULT == "repeats_a_claim" and path == "/leases":
                sys.stdin.read() if sys.stdin.isatty() else time.sleep(3600)
            if FAULT == "names_its_claims" and path == "/leases":
                body = {**body, "claim_id": secrets.token_hex(8)}
        time.sleep(min(2.0, 0.1 * 2**attempt))
    raise SystemExit(1)


def beat(bot_id: str) -> None:
    while FAULT != "beats":
        time.sleep(0.5)
        if lease_ids:
            call(
                f"/bots/{bot_id}:heartbeat",
                {"leases": [{"lease_id": lease_id} for lease_id in list(lease_ids)]},
                tries=1000,
            )


def work(subtask: dict[str, Any]) -> dict[str, Any]:
    if FAULT == "reports_what_it_cannot_do" and subtask["input"]:
        raise KeyError("text")
    return {"made": secrets.token_hex(4) if FAULT == "takes_a_lease_once" else len(json.dumps(subtask["input"]))}


def do(bot_id: str, lease: dict[str, Any]) -> None:
    if FAULT == "reports":
        return
    lease_ids.append(lease["lease_id"])
    try:
        output = work(lease["subtask"])
    except KeyError:
        lease_ids.remove(lease["lease_id"])
        return
    body = {"bot_id": bot_id, "lease_id": lease["lease_id"], "status": "succeeded", "output": output}
    while True:
        status, _ = call(f"/tasks/{lease['task_id']}/results", body)
        if status == 409 and FAULT == "drops_lost_work":
            time.sleep(0.2)
            continue
        if status == 409 and FAULT in ("drops_cancelled_work", "takes_a_lease_once"):
            raise SystemExit(1)
        break
    lease_ids.remove(lease["lease_id"])


def stop(number: int, frame: object) -> None:
    if FAULT == "stops_clean":
        os._exit(0)
    if FAULT != "stops":
        stopping.set()


def main() -> None:
    if FAULT == "registers":
        raise SystemExit(1)
    signal.signal(signal.SIGTERM, stop)
    _, bot = call("/bots/register", {"type": "Executor", "version": "1", "name": "plain", "skills": ["plain"]})
    threading.Thread(target=beat, args=(bot["id"],), daemon=True).start()
    wait = 0 if FAULT == "idles" else 2
    while not stopping.is_set():
        claim = {"bot_id": bot["id"], "wait_seconds": wait, "claim_id": secrets.token_hex(8)}
        _, page = call("/leases", claim)
        if FAULT == "forgives_new_fields":
            assert set(page) == KNOWN
        for lease in page["leases"]:
            do(bot["id"], lease)


main()
