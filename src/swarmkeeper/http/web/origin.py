"""Decides whether a call comes from a page of this server, and whether the cookie of a session counts.

Theory. A browser sends a cookie by itself, also with calls that another site's page makes. So a cookie counts only if
the browser says that the page is ours: `Sec-Fetch-Site: same-origin`, or without that header an `Origin` that is ours.
Calls that change something must also be declared as JSON, which no form of another site can send unasked.

Which origins are ours: that of the setting `public_url`; `https://` with the host of the call; and `http://` with it if
the host is a loopback name or address. So over plain http there are sessions on this machine only, and a name of
somebody else's that leads to this machine (DNS rebinding) is not ours.

The cookie. Over https its name begins with `__Host-`, which browsers accept only for the whole host and `Secure`. On
http://127.0.0.1 not all browsers take a `Secure` cookie (Safari does not), so the name lacks the prefix there. Browsers
give cookies to all ports of a host: the name ends with a hash of host, port and root path, so that two servers on one
machine have two cookies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import Scope

from swarmkeeper.core.errors import AuthenticationFailed, Invalid
from swarmkeeper.http.intake.limits import JSON_TYPE, HttpLimits

_READING = frozenset({"GET", "HEAD"})
_COOKIE_LENGTH_MAX = 128
_ELSEWHERE = "the call does not come from a page of this server, so the cookie does not count"


def own_origin(headers: Mapping[str, str], limits: HttpLimits) -> str:
    """Return the origin of our pages as the call's browser sees it; empty if the page is not one of ours.

    Without an `Origin` it is https, or http on a loopback host.
    """
    host, said = headers.get("host", "").lower(), headers.get("origin")
    own = [f"http://{host}"] if is_loopback_name(host) else []
    if limits.public_url:
        own.append(_origin_of(limits.public_url))
    elif host:
        own.append(f"https://{host}")
    if said is None:
        return own[0] if own and headers.get("sec-fetch-site") == "same-origin" else ""
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return ""
    return said if said in own else ""


def check_page(headers: Mapping[str, str], limits: HttpLimits) -> str:
    """Return the origin of the page that makes this call.

    Raises:
        Invalid: the page is not one of this server's, or a browser must not sign in there.
    """
    found = own_origin(headers, limits)
    if not found:
        raise Invalid(
            "sessions are for browsers on pages of this server",
            details=(
                ("/headers/origin", "invalid", "must be its own: at https, its public_url, or a loopback address"),
            ),
        )
    return found


def session_cookie(method: str, scope: Scope, headers: Mapping[str, str], limits: HttpLimits) -> str | None:
    """Return the cookie of the call's session; None if there is none, or the call has a key or token.

    Raises:
        AuthenticationFailed: there is a cookie, and it does not count here.
    """
    sent = headers.get("cookie")
    if sent is None or "x-api-key" in headers or "authorization" in headers:
        return None
    # Not parsed by a library: other programs on this host may have set a cookie that it stumbles over.
    cookies = {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in sent.split(";"))}
    found = cookies.get(cookie_name("https://", scope, headers), "")
    if not found and is_loopback_name(headers.get("host", "")):
        found = cookies.get(cookie_name("http://", scope, headers), "")
    if not found:
        return None
    if len(found) > _COOKIE_LENGTH_MAX or not own_origin(headers, limits):
        raise AuthenticationFailed(_ELSEWHERE)
    if method not in _READING and headers.get("content-type", "").partition(";")[0].strip().lower() != JSON_TYPE:
        raise AuthenticationFailed(f"with a cookie, a call that changes something has the content type {JSON_TYPE}")
    return found


def cookie_name(origin: str, scope: Scope, headers: Mapping[str, str]) -> str:
    """Return the name of the session's cookie for an origin."""
    place = f"{headers.get('host', '').lower()}{scope.get('root_path', '')}"
    name = f"swarmkeeper-{hashlib.sha256(place.encode(errors='replace')).hexdigest()[:8]}"
    return f"__Host-{name}" if origin.startswith("https://") else name


def set_cookie(origin: str, scope: Scope, headers: Mapping[str, str], value: str, seconds: int) -> str:
    """Return the header Set-Cookie. Args: with 0 `seconds` the browser forgets the cookie."""
    secure = "; Secure" if origin.startswith("https://") else ""
    name = cookie_name(origin, scope, headers)
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"


def is_own_host(headers: Mapping[str, str], limits: HttpLimits) -> bool:
    """Whether a call's `Host` names this machine itself, or the host of the setting `public_url`.

    A browser sends the name that its page has: a name of somebody else's that leads to this machine (DNS rebinding) is
    refused. A call without `Host` comes from no browser.
    """
    host = headers.get("host", "").lower()
    return not host or is_loopback_name(host) or host == urlsplit(limits.public_url or "").netloc.lower()


def is_loopback_name(host: str) -> bool:
    """Whether a `Host` names this machine itself: `localhost`, or a loopback address."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
