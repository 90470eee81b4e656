"""The page at /docs: calls and error codes, generated from the OpenAPI document and the table of errors. It has no
scripts and no external resources, so that it works behind any firewall.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from html import escape
from typing import Any

from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.http.errors import STATUS
from swarmkeeper.http.insight.examples import examples_of

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1 { font-size: 1.6rem } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc } h3 { margin-bottom: 0 }
code, .path { font-family: ui-monospace, monospace } table { border-collapse: collapse }
td { padding: .1rem .8rem .1rem 0; vertical-align: top }
pre { overflow-x: auto; padding: .6rem .8rem; background: #f3f3f3 }
.method { display: inline-block; min-width: 4.5rem; font-weight: 600 }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #ddd } a { color: #8cf }
  pre { background: #222 } }
"""


def page(document: Mapping[str, Any]) -> bytes:
    """Return the page as HTML; `document` is the OpenAPI document."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>swarmkeeper {escape(document['info']['version'])}</title><style>{STYLE}</style>",
        f"<h1>swarmkeeper {escape(document['info']['version'])}</h1>",
        "".join(f"<p>{escape(part)}</p>" for part in document["info"]["description"].split("\n\n")),
        "<p>For machines: <a href='openapi.json'>openapi.json</a>.</p>",
    ]
    for tag in document["tags"]:
        parts.append(f"<h2 id='{tag['name']}'>{escape(tag['name'])}</h2><p>{escape(tag['description'])}</p>")
        for path, operations in document["paths"].items():
            parts += [
                _operation(method, path, operation)
                for method, operation in operations.items()
                if tag["name"] in operation["tags"]
            ]
    parts.append("<h2 id='errors'>Errors</h2>")
    parts += [_code(error) for error in STATUS]
    return "".join(parts).encode()


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code><td>{each['in']}<td>{escape(each.get('description', ''))}"
        for each in operation["parameters"]
    )
    body = ""
    if "requestBody" in operation:
        name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        body = f"<p>Body: <code>{escape(name)}</code></p>"
    shown = "".join(
        f"<details><summary>{what}</summary><pre>{escape(text)}</pre></details>"
        for what, text in examples_of(operation)
    )
    answers = ", ".join(f"<code>{status}</code>" for status in operation["responses"])
    return (
        f"<h3 id='{operation['operationId']}'><span class=method>{method.upper()}</span> "
        f"<span class=path>{escape(path)}</span></h3><p>{escape(operation['summary'])}. "
        f"{escape(operation.get('description', ''))}</p>{body}<table>{rows}</table><p>Answers: {answers}</p>{shown}"
    )


def _code(error: type[SwarmkeeperError]) -> str:
    status, title = STATUS[error]
    retryable = "The same call may succeed later." if error.retryable else ""
    code = error.code
    words = inspect.cleandoc(error.__doc__ or "") if "__doc__" in vars(error) else ""
    return f"<h3 id='{code}'><code>{code}</code> {status}</h3><p>{escape(title)}. {escape(words)} {retryable}</p>"
