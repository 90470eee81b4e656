"""The sink `syslog`: RFC 5424 messages with octet counting (RFC 6587), over TLS (RFC 5425) or plain TCP.

Theory. The protocol has no answers, so a sender cannot know what a receiver has read. The end of a connection tells:
the receiver ends it in order only after it has read everything before our end; one that dies resets it, or is silent.
So each batch has a connection of its own, and counts as sent when the receiver has ended it in order after us. What a
receiver loses after it has read it is lost.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from swarmkeeper.sinks.file import Entry, SyslogTable
from swarmkeeper.sinks.records import SinkRecord
from swarmkeeper.sinks.targets.target import OneCallThread
from swarmkeeper.sinks.targets.web import tls

SECONDS_MAX = 4.0  # for each step
_AUDIT = 13  # the facility "log audit"
_WARNING, _INFORMATIONAL = 4, 6
# 32473 is the number that IANA reserves for texts such as this one; we have none of our own.
STRUCTURED_ID = "swarmkeeper@32473"
APP = "swarmkeeper"


def message(record: SinkRecord, host: str, process: str) -> bytes:
    """Return a message of RFC 5424. All of it is printable ASCII: the JSON escapes everything else."""
    priority = 8 * _AUDIT + (_WARNING if record.refused else _INFORMATIONAL)
    at = datetime.fromtimestamp(record.at / 1_000_000, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    facts = dict(record.facts)
    parameters = "".join(f' {name}="{_value(value)}"' for name, value in facts.items() if name != "type")
    head = f"<{priority}>1 {at} {host} {APP} {process} {facts['type']} [{STRUCTURED_ID}{parameters}] "
    return head.encode("ascii") + _ascii(record.body)


def _value(text: str) -> str:
    """Return a parameter's value: `"`, `\\` and `]` are escaped as the RFC says, other characters as in JSON."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
    return "".join(each if " " <= each <= "~" else _escaped(each).replace("\\", "\\\\") for each in escaped)


def _ascii(body: bytes) -> bytes:
    """Return JSON with every character beyond printable ASCII escaped."""
    text = body.decode()
    if text.isascii() and text.isprintable():
        return body
    return "".join(each if " " <= each <= "~" else _escaped(each) for each in text).encode("ascii")


def _escaped(character: str) -> str:
    pair = character.encode("utf-16-be")
    return "".join(f"\\u{pair[at]:02x}{pair[at + 1]:02x}" for at in range(0, len(pair), 2))


def framed(content: bytes) -> bytes:
    """Return a message with its length before it."""
    return b"%d %b" % (len(content), content)


class SyslogTarget:
    """Implements `SinkTarget`."""

    pace = 1.0  # each batch has a connection, and with it a handshake

    def __init__(self, entry: Entry, table: SyslogTable) -> None:
        self._address = (table.host, table.port)
        self._tls = None if table.insecure else tls(entry, table)
        scheme = "tcp" if self._tls is None else "tls"
        self.place = urlsplit(f"{scheme}://{table.host}:{table.port}").geturl()
        self._worker = OneCallThread(entry.name)
        self._host = _word(socket.gethostname(), 255)
        self._process = str(os.getpid())

    async def open(self) -> None:
        """Nothing stays open between batches."""

    async def send(self, records: Sequence[SinkRecord]) -> int:
        data = b"".join(framed(message(record, self._host, self._process)) for record in records)
        await self._worker.run(lambda: self._send(data))
        return len(records)

    async def close(self) -> None:
        """Nothing stays open between batches."""

    def _send(self, data: bytes) -> None:
        with contextlib.closing(socket.create_connection(self._address, timeout=SECONDS_MAX)) as plain:
            if self._tls is None:
                plain.sendall(data)
                plain.shutdown(socket.SHUT_WR)
                _await_end(plain)
                return
            with contextlib.closing(self._tls.wrap_socket(plain, server_hostname=self._address[0])) as secured:
                secured.sendall(data)
                _end_in_order(secured)


def _end_in_order(secured: ssl.SSLSocket) -> None:
    """Say that this is the end, and wait until the other side has said so as well.

    Receivers that close their side without a word have read our end, too: TCP tells an orderly end from a reset.

    Raises:
        OSError: the other side did not end in order: it may not have read everything.
    """
    try:
        plain = secured.unwrap()
    except TimeoutError:
        raise
    except OSError as error:
        if not isinstance(error, ssl.SSLEOFError) and error.errno != 0:
            raise ConnectionError(f"the receiver did not end the connection in order: {error}") from None
        _check_all_acknowledged(secured)
    else:
        plain.close()


def _await_end(plain: socket.socket) -> None:
    while plain.recv(4096):
        pass  # receivers have nothing to say
    _check_all_acknowledged(plain)


def _check_all_acknowledged(connection: socket.socket) -> None:
    """Check that nothing that was sent after the receiver's end was answered with a reset.

    Raises:
        OSError: it was.
    """
    error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, os.strerror(error))


def _word(text: str, most: int) -> str:
    return "".join(character for character in text if "!" <= character <= "~")[:most] or "-"
