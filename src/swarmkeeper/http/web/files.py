"""Serves the dashboard under /ui/: the files of swarmkeeper/web/, which `make web` builds.

Everything is relative to the page, so that it works below any path that a proxy adds. Browsers ask each time whether a
file has changed (ETag): names without hashes stay the same from version to version. The files are read and compressed
when they are first asked for, once.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from swarmkeeper.core.errors import ResourceNotFound
from swarmkeeper.http.dependencies import Call
from swarmkeeper.http.errors import CALL

REPORTS = "csp-reports"
INDEX = "index.html"
_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
# Nothing comes from elsewhere, no text becomes code, and no other site frames the page. What a browser refuses by this,
# it reports; the number of reports is that of the calls of this route in the metrics.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types swarmkeeper",  # for the addresses of its own workers
        f"report-uri {REPORTS}",
    )
)
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "cache-control": "no-cache",
        "content-security-policy": POLICY,
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "vary": "Accept-Encoding",
    }
)


@dataclass(frozen=True, slots=True)
class WebFile:
    media_type: str
    body: bytes = field(repr=False)
    packed: bytes = field(repr=False)  # by gzip
    tag: str

    @classmethod
    def of(cls, name: str, body: bytes) -> WebFile:
        kind = _TYPES[name.rpartition(".")[2]]
        return cls(kind, body, gzip.compress(body, 9, mtime=0), hashlib.sha256(body).hexdigest()[:32])


@cache
def web_files() -> Mapping[str, WebFile]:
    """Return the dashboard's files by name."""
    found = files("swarmkeeper").joinpath("web")
    return {file.name: WebFile.of(file.name, file.read_bytes()) for file in found.iterdir()}


async def _file(request: Request) -> Response:
    call = _call(request)
    name = request.path_params["file"] or INDEX
    file = web_files().get(name)
    if file is None:
        raise ResourceNotFound("the dashboard has no such file")
    packs = _takes_gzip(call.headers.get("accept-encoding", ""))
    tag = f'"{file.tag}{"-gz" if packs else ""}"'
    headers = {**HEADERS, "etag": tag}
    asked = [each.strip().removeprefix("W/") for each in call.headers.get("if-none-match", "").split(",")]
    if tag in asked or "*" in asked:
        return Response(status_code=304, headers=headers)
    if packs:
        headers["content-encoding"] = "gzip"
    return Response(file.packed if packs else file.body, media_type=file.media_type, headers=headers)


async def _report(request: Request) -> Response:
    """Count a report of a browser. What it says is not read: anybody can send one."""
    _call(request)
    return Response(status_code=204)


async def _without_slash(request: Request) -> Response:
    """Lead to the folder, to which the files are relative."""
    _call(request)
    return RedirectResponse("ui/", 307)


def _call(request: Request) -> Call:
    call: Call = request.scope[CALL]
    call.path = request.scope["route"].path_format  # what the metrics count it by
    return call


def _takes_gzip(accepted: str) -> bool:
    for each in accepted.split(","):
        name, _, rest = each.partition(";")
        if name.strip().lower() in ("gzip", "*"):
            return rest.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


class FileRoute(Route):
    """A route that is no part of the API: no key, no query, no body. Refusals of its path look like others."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["path"].endswith("\n"):  # see StrictRoute
            return Match.NONE, {}
        found, more = super().matches(scope)
        return found, {**more, "route": self} if more else more


ROUTES = (
    FileRoute(f"/ui/{REPORTS}", _report, methods=["POST"]),
    FileRoute("/ui/{file:path}", _file, methods=["GET"]),
    FileRoute("/ui", _without_slash, methods=["GET"]),
)
