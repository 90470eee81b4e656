"""Which HTTP proxy the environment names for a host (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

# A proxy cannot reach this machine's own loopback address.
OWN_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})


def proxy_for(scheme: str, host: str) -> str | None:
    """Return the proxy's URL; None to connect directly.

    Raises:
        ValueError: the proxy is not an HTTP proxy.
    """
    if host in OWN_MACHINE or proxy_bypass(host):
        return None
    named = getproxies()
    proxy = named.get(scheme) or named.get("all")
    if not proxy:
        return None
    url = proxy if "://" in proxy else f"http://{proxy}"
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ValueError("the environment names a proxy that is not an HTTP proxy; NO_PROXY names hosts without one")
    return url
