"""The file of a backup of a store in PostgreSQL.

Layout:
1. A line of JSON: the format's number, the schema, when the snapshot was taken, the tables with their columns.
2. Frames, each of a length (4 bytes, big-endian) and so many bytes of zlib: MessagePack of [table, rows].
3. A length of 0.
4. A line of JSON: the SHA-256 of everything before. A file that was cut off or damaged is refused before anything is
   read from it.

The first frame is what the store keeps of itself, with its pepper and the key of its cursors; the last one has the
number of rows of each table.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from swarmkeeper import files
from swarmkeeper.storage.copying.content import Content, CopyOrigin, MetaRow, NotCopied, Row, StoredTable

FORMAT = "swarmkeeper-backup"
NUMBER = 1
_LEVEL = 1  # of compression: higher ones take several times as long for a tenth less
_LINE_MAX = 1 << 20
_BLOCK = 1 << 20
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode
_META, _ROWS = "(meta)", "(rows)"


def is_archive(file: Path) -> bool:
    """Return whether a file begins like one that `write` wrote."""
    with file.open("rb") as opened:
        return opened.read(len(FORMAT) + 20).startswith(f'{{"format": "{FORMAT}"'.encode())


class _Writer:
    """Writes frames, and keeps the hash of all bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def put(self, data: bytes) -> None:
        self._hash.update(data)
        self._file.write(data)

    def frame(self, table: str, rows: Sequence[Row]) -> None:
        data = zlib.compress(_pack((table, rows)), _LEVEL)
        self.put(len(data).to_bytes(4, "big") + data)

    def digest(self) -> str:
        return self._hash.hexdigest()


async def write(
    file: Path, content: Content, tables: Sequence[StoredTable], facts: Mapping[str, Any]
) -> dict[str, int]:
    """Write all rows to a new file; return how many each table has.

    Args:
        facts: for the first line: what people want to know of the snapshot.

    Raises:
        OSError: it cannot be written.
    """
    numbers: dict[str, int] = {}
    with files.create_binary(file) as opened:
        writer = _Writer(opened)
        head = {"format": FORMAT, "number": NUMBER, **facts, "tables": [asdict(table) for table in tables]}
        writer.put(json.dumps(head).encode() + b"\n")
        writer.frame(_META, list(content.meta))
        for table in tables:
            numbers[table.name] = 0
            async for chunk in content.chunks(table):
                numbers[table.name] += len(chunk)
                await asyncio.to_thread(writer.frame, table.name, chunk)
        writer.frame(_ROWS, list(numbers.items()))
        writer.put(bytes(4))
        opened.write(json.dumps({"sha256": writer.digest()}).encode() + b"\n")
    return numbers


@dataclass(frozen=True, slots=True)
class _Frame:
    at: int
    length: int


class BackupFile:
    """A file that `write` wrote, and that is whole. Implements `Content`."""

    def __init__(self, file: Path) -> None:
        """Read the file once, and check it.

        Raises:
            NotCopied: it is damaged, cut off, or of another version's format.
            OSError: it cannot be read.
        """
        self._file = file
        self._frames: dict[str, list[_Frame]] = {}
        try:
            with file.open("rb") as opened:
                self.head, digest = self._index(opened)
            self.meta: Sequence[MetaRow] = [tuple(row) for row in self._read(self._frames[_META][0])]
            self.rows = dict(self._read(self._frames[_ROWS][0]))
            self.tables = [_table(table) for table in self.head["tables"]]
        except (ValueError, LookupError, TypeError, zlib.error, msgspec.MsgspecError) as error:
            raise NotCopied(f"{file} is not a whole backup: it was cut off, or damaged ({error})") from None
        self.origin = CopyOrigin(digest, "")

    def _index(self, opened: BinaryIO) -> tuple[dict[str, Any], str]:
        found = hashlib.sha256()
        line = opened.readline(_LINE_MAX)
        found.update(line)
        head = json.loads(line)
        if (head["format"], head["number"]) != (FORMAT, NUMBER):
            raise NotCopied(f"{self._file} has a format of another version: use the version that wrote it")
        while length := self._length(opened, found):
            data = opened.read(length)
            if len(data) != length:
                raise ValueError("the end is missing")
            found.update(data)
            table = _table_of(data)
            self._frames.setdefault(table, []).append(_Frame(opened.tell() - length, length))
        end = json.loads(opened.readline(_LINE_MAX))
        if end["sha256"] != found.hexdigest() or opened.read(1):
            raise ValueError("its checksum is wrong")
        return head, found.hexdigest()

    @staticmethod
    def _length(opened: BinaryIO, found: Any) -> int:
        data = opened.read(4)
        if len(data) != 4:
            raise ValueError("the end is missing")
        found.update(data)
        return int.from_bytes(data, "big")

    def _read(self, frame: _Frame) -> list[Any]:
        with self._file.open("rb") as opened:
            opened.seek(frame.at)
            _, found = _unpack(zlib.decompress(opened.read(frame.length)))
        rows: list[Any] = found
        return rows

    async def chunks(self, table: StoredTable) -> AsyncIterator[list[Row]]:
        if table not in self.tables:
            raise NotCopied(f"table {table.name} has other columns than in the backup")
        for frame in self._frames.get(table.name, ()):
            yield [tuple(row) for row in await asyncio.to_thread(self._read, frame)]


def _table_of(data: bytes) -> str:
    """Return the table of a frame. Its name is at the begin, so only that is uncompressed."""
    begin = zlib.decompressobj().decompress(data, 200)
    length = begin[1] & 0x1F  # MessagePack: an array of two, a short text
    if begin[0] != 0x92 or begin[1] >> 5 != 0b101:
        raise ValueError("a frame has no table")
    return begin[2 : 2 + length].decode()


def _table(said: Mapping[str, Any]) -> StoredTable:
    words = {name: tuple(said[name]) for name in ("columns", "types", "key")}
    return StoredTable(name=said["name"], identity=said["identity"], **words)
