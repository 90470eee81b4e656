"""What a server has kept and says as evidence: all that is searched for planted secrets."""

from __future__ import annotations

import re
import threading
from typing import Any

import apsw
import httpx2

from tests.acceptance.server import Server
from tests.support.postgres import rows
from tests.tidy.data_classification import columns

WORK = "payload.body"  # not evidence: the inputs and outputs themselves


def asked(server: Server, key: str, *, marks: int = 1) -> dict[str, bytes]:
    """Return what a running server tells of what happened, by where.

    Args:
        marks: of redaction that its figures show at least.
    """
    http = httpx2.Client(base_url=server.url, headers={"X-API-KEY": key}, timeout=30)
    found = {"events": b"", "audit": b"", "metrics": b"", "stream": b""}
    found["metrics"] = http.get("/metrics").content
    for name in ("events", "audit"):
        token = ""
        while True:
            page = http.get(f"/{name}", params={"page_size": 500, "page_token": token})
            assert page.status_code == 200, page.text
            found[name] += page.content
            token = page.json()["next_page_token"]
            if not token:
                break
    newest = b"id: %s\n" % re.findall(rb'"specversion":"1.0","id":"([^"]+)"', found["events"])[-1]
    with http.stream("GET", "/events", headers={"Accept": "text/event-stream"}) as stream:
        for chunk in stream.iter_bytes():
            found["stream"] += chunk
            if newest in found["stream"]:
                break
    # Figures of what waits are read each few seconds once somebody has asked.
    for _ in range(100):
        figures = http.get("/metrics").content
        if figures.count(b"[redacted:") >= marks:
            break
        threading.Event().wait(0.1)
    found["metrics"] += figures
    found["readiness"] = http.get("/readyz?verbose").content
    http.close()
    return found


def columns_of(server: Server) -> dict[str, bytes]:
    """Return every column of the evidence, by the list that the documentation gives, and the inputs and outputs."""
    found = {}
    for table, column, plane in columns():
        if plane == "evidence" or f"{table}.{column}" == WORK:
            values = _values(server, table, column)
            found[f"{table}.{column}"] = b"\n".join(
                value if isinstance(value, bytes) else str(value).encode() for value in values
            )
    return found


def _values(server: Server, table: str, column: str) -> list[Any]:
    query = f"SELECT {column} FROM {table}"
    if not server.is_file:
        return [value for (value,) in rows(server.store_url, query)]
    connection = apsw.Connection(str(server.store), apsw.SQLITE_OPEN_READONLY)
    try:
        return [value for (value,) in connection.execute(query).fetchall()]
    finally:
        connection.close()
