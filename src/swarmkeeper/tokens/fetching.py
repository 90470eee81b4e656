"""Reads the keys of an issuer from where the file of issuers says: a file, a URL, or its discovery document."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from swarmkeeper.sinks.targets.addresses import AddressRefused, CheckedResolver, check, literal
from swarmkeeper.tokens.compact import strict_json
from swarmkeeper.tokens.file import IssuerTable
from swarmkeeper.tokens.keys import SET_BYTES_MAX, BadIssuerKeys, KeySet, read_keys

SECONDS_MAX = 5.0
WELL_KNOWN = "/.well-known/openid-configuration"


async def fetch_keys(table: IssuerTable) -> KeySet:
    """Return the keys that an issuer publishes now.

    Raises:
        BadIssuerKeys: they cannot be read, or are not usable; the message says why.
    """
    try:
        async with asyncio.timeout(SECONDS_MAX):
            # A bundle of SPIFFE has the certificates of the trust domain beside the keys of its tokens.
            uses = ("sig", "jwt-svid") if table.spiffe else ("sig",)
            return read_keys(await _content(table), table.algorithms, uses)
    except TimeoutError:
        raise BadIssuerKeys(f"no answer within {SECONDS_MAX:g} s") from None
    except (OSError, aiohttp.ClientError) as error:
        raise BadIssuerKeys(_reason(error)) from None


async def _content(table: IssuerTable) -> bytes:
    if table.jwks_file is not None:
        return await asyncio.to_thread(_read_file, Path(table.jwks_file))
    tls: ssl.SSLContext | bool = True
    if table.ca_file is not None:
        tls = ssl.create_default_context(cafile=table.ca_file)
    connector = aiohttp.TCPConnector(
        resolver=CheckedResolver(allow_private=table.allow_private), use_dns_cache=False, limit=1, ssl=tls
    )
    # A session for each: it is used every few minutes, and an old connection would be closed by then.
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "swarmkeeper", "Accept": "application/json", "Accept-Encoding": "identity"},
        auto_decompress=False,  # a small answer could become a very long one
        trust_env=False,  # a proxy would connect to addresses that nobody has checked
    ) as session:
        url = table.jwks_url
        if url is None:
            url = _named_url(table, await _get(session, table, table.issuer.rstrip("/") + WELL_KNOWN))
        return await _get(session, table, url)


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(SET_BYTES_MAX + 1)


def _named_url(table: IssuerTable, document: bytes) -> str:
    """Return the URL of the keys that a discovery document names (OpenID Connect Discovery 1.0, sections 3 and 4.3)."""
    try:
        found = strict_json(document)
    except ValueError as error:
        raise BadIssuerKeys(f"the discovery document {error}") from None
    if not isinstance(found, dict) or found.get("issuer") != table.issuer:
        raise BadIssuerKeys("the discovery document is of another issuer")
    url = found.get("jwks_uri")
    schemes = ("https", "http") if table.insecure else ("https",)
    if not isinstance(url, str) or urlsplit(url).scheme not in schemes:
        raise BadIssuerKeys("the discovery document names no jwks_uri with https")
    return url


async def _get(session: aiohttp.ClientSession, table: IssuerTable, url: str) -> bytes:
    address = literal(urlsplit(url).hostname or "")
    if address is not None:  # no resolver sees it
        check(address, address, allow_private=table.allow_private)
    async with session.get(url, allow_redirects=False) as answer:
        if answer.status != 200:
            also = "; redirects are not followed" if 300 <= answer.status < 400 else ""
            raise BadIssuerKeys(f"it answered with {answer.status}{also}")
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise BadIssuerKeys("it answered compressed, although that was not asked for")
        content = bytearray()
        async for piece in answer.content.iter_any():
            content += piece
            if len(content) > SET_BYTES_MAX:
                raise BadIssuerKeys(f"it answered with more than {SET_BYTES_MAX >> 10} KiB")
        return bytes(content)


def _reason(error: Exception) -> str:
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(inner, AddressRefused):
        return str(inner)
    return str(inner) or type(inner).__name__
