"""What sinks over HTTP have in common: one POST for each batch, to a checked address, without following redirects."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp

from swarmkeeper.sinks.file import Entry, HttpTable, OtlpOverWeb, SyslogTable
from swarmkeeper.sinks.targets.addresses import AddressRefused, CheckedResolver, check, literal
from swarmkeeper.sinks.targets.target import RecordRefused, TargetBusy

SECONDS_MAX = 9.0
ANSWER_BYTES_MAX = 64 << 10
SHOWN_MAX = 200  # characters of an answer in a message
RETRY_AFTER_MAX = 300.0
# The other side says: later. Every other answer of 400 to 499 will be the same next time.
_LATER = (408, 425, 429)


class Web:
    """A session with one address."""

    def __init__(self, entry: Entry, table: HttpTable | OtlpOverWeb, url: str) -> None:
        self._url, self._allow_private = url, table.allow_private
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self.place = f"{parts.scheme}://{parts.netloc}{parts.path}"  # a query may have a token
        self._headers = {name: entry.secret(value) for name, value in table.headers.items()}
        self._tls = tls(entry, table) if parts.scheme == "https" else None
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        await self.close()
        check_literal(self._host, allow_private=self._allow_private)
        resolver = CheckedResolver(allow_private=self._allow_private)
        connector = aiohttp.TCPConnector(
            resolver=resolver, use_dns_cache=False, limit=1, ssl=True if self._tls is None else self._tls
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=SECONDS_MAX),
            headers={"User-Agent": "swarmkeeper"},
            trust_env=False,  # a proxy would connect to addresses that nobody has checked
        )

    async def post(self, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Send a batch, and return the answer's body: all of it, or more than ANSWER_BYTES_MAX.

        Raises:
            RecordRefused: by the answer, or because of the address.
            TargetBusy: by the answer.
            aiohttp.ClientError, TimeoutError: there was no answer.
        """
        if self._session is None:
            raise ConnectionError("the session was closed")
        try:
            async with self._session.post(
                self._url, data=body, headers={**self._headers, **headers}, allow_redirects=False
            ) as answer:
                content = await _read(answer.content)
                status, again = answer.status, answer.headers.get("Retry-After")
        except aiohttp.InvalidURL as error:
            raise RecordRefused(f"this URL cannot be called: {error}") from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, AddressRefused):
                raise RecordRefused(str(error.os_error)) from None
            raise
        if 200 <= status < 300:
            return content
        said = f"it answered with {status}: {shown(content)}"
        if status in _LATER or status >= 500:
            raise TargetBusy(said, _seconds(again))
        if 300 <= status < 400:
            raise RecordRefused(f"{said}; redirects are not followed")
        raise RecordRefused(said)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


async def _read(content: aiohttp.StreamReader) -> bytes:
    """Read an answer to its end, or a little more than counts. One that comes in pieces is not taken for its first."""
    pieces, size = [], 0
    while size <= ANSWER_BYTES_MAX and (piece := await content.readany()):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def check_literal(host: str, *, allow_private: bool) -> None:
    """Check a host that is an address, which no resolver sees.

    Raises:
        RecordRefused: nothing may be sent there.
    """
    address = literal(host)
    if address is not None:
        try:
            check(address, address, allow_private=allow_private)
        except AddressRefused as error:
            raise RecordRefused(str(error)) from None


def with_path(url: str, path: str) -> str:
    """Return the URL with this path after its own, unless it ends with it already."""
    parts = urlsplit(url)
    own = parts.path.rstrip("/")
    return parts._replace(path=own if own.endswith(path) else own + path).geturl()


def shown(content: bytes) -> str:
    """Return the beginning of an answer, for a message."""
    text = content[: 4 * SHOWN_MAX].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else " " for character in text)[:SHOWN_MAX].strip()


def _seconds(again: str | None) -> float | None:
    """Return the seconds of a Retry-After header; None if it has a date, or nothing of use."""
    if again is None or not again.isascii() or not again.isdecimal() or len(again) > 6:
        return None
    return min(float(again), RETRY_AFTER_MAX)


def tls(entry: Entry, table: HttpTable | OtlpOverWeb | SyslogTable) -> ssl.SSLContext:
    """Return the TLS settings of a sink.

    Raises:
        OSError: a file cannot be read, or has no certificate or key.
    """
    context = ssl.create_default_context(cafile=None if table.ca_file is None else entry.path(table.ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if table.certificate_file is not None and table.key_file is not None:
        context.load_cert_chain(entry.path(table.certificate_file), entry.path(table.key_file))
    return context
